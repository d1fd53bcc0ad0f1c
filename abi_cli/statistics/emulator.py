"""A simulator of vectors as a smooth surface with noise, and what that says of each data set.

    y_j | θ ~ N(m_j(θ), s_j(θ)²),    log s_j² = c_j + d_j · θ

is fitted to the pilot, with y_j a number of the vector, or its logarithm, m the `Surface`, and the
scalars that the model takes as given among θ. For each data set the mode of θ is found by damped
Gauss-Newton steps (Marquardt 1963, SIAM Journal 11:431) with the pilot's spread of θ as prior; from
a linear prediction or, where the surface bends as a network does, from the likeliest of many
parameters of the pilot. Given are the mode, its log standard errors and the sizes of what is left:
of the noise of a simulator a network learns little before it can predict the curve.

The noise tells of θ, too, so both mean and variance have slopes in each step: 0.23 nats on `dose`
(a t density of the standardization), nothing elsewhere.

On `dose` the emulator added 0.27 nats to 5.2, half of that for the noise; a cubic and a quartic
surface added no more. On `peak`, whose curve no polynomial follows, the network's surface and the
nearest start took the 90 % of errors of the mean from 1.36 exact sds to 0.65, in half the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from abi_cli.statistics import scoring
from abi_cli.statistics.surface import FAR, Surface, fitted, line, terms

MOST_INPUTS = 12
"""Most parameters and scalars of a surface."""

STEPS = 6
LONGEST = 0.7
"""Longest step, in pilot sds."""

LIBRARY = 2_048
"""Parameters among which a start is looked for."""

OFFSET = 1.27
"""−E log z² of a standard normal z."""

_ARRAYS = ("location", "scale", "log_variance", "start", "library")


@dataclass(frozen=True)
class Emulator:
    """A fitted surface with noise.

    Arguments:
        location, scale: Of parameters and scalars, `(input,)`; parameters come first.
        surface: The mean of each number.
        log_variance: Of the noise, `(1 + input, value)`.
        start: Coefficients of a first prediction of parameters, `(1 + value + scalar, dim)`.
        library: Parameters among which the start is looked for instead, `(entry, dim)`; or none.
        dim: Number of parameters.
        corrected: Whether mode and errors are given corrected, too; not in runs from before that.
    """

    location: np.ndarray
    scale: np.ndarray
    surface: Surface
    log_variance: np.ndarray
    start: np.ndarray
    library: np.ndarray
    dim: int
    corrected: bool = True

    @classmethod
    def fit(cls, y: np.ndarray, scalars: np.ndarray, theta: np.ndarray) -> Emulator:
        """Learn from `y (dataset, value)`, `scalars (dataset, scalar)`, `theta (dataset, dim)`."""
        dim = theta.shape[1]
        inputs = np.concatenate([theta, scalars], axis=1)
        scale = np.maximum(inputs.std(axis=0), 1e-12)
        location = inputs.mean(axis=0)
        t = np.clip((inputs - location) / scale, -FAR, FAR)
        x, straight = terms(t), line(t)
        there = np.isfinite(y).astype(np.float64)
        y = np.where(there > 0, y, 0.0)

        def noise(mean: np.ndarray) -> np.ndarray:
            distance = np.log((y - mean) ** 2 + 1e-12) + OFFSET
            return fitted(straight, distance, there)

        def precision(log_variance: np.ndarray) -> np.ndarray:
            return there * np.exp(-_bounded(straight @ log_variance))

        log_variance = noise(x @ fitted(x, y, there))
        log_variance = noise(x @ fitted(x, y, precision(log_variance)))
        surface = Surface.fit(t, y, precision(log_variance))
        if surface.layers:
            log_variance = noise(surface.mean(t))
        told = line(np.concatenate([y, t[:, dim:]], axis=1))
        ridge = (1e-8 * (told * told).sum() / told.shape[1] + 1e-12) * np.eye(told.shape[1])
        start = np.linalg.solve(told.T @ told + ridge, told.T @ t[:, :dim])
        library = t[:LIBRARY] if surface.layers and not scalars.shape[1] else np.zeros((0, dim))
        return cls(location, scale, surface, log_variance, start, library, dim)

    def statistics(self, y: np.ndarray, scalars: np.ndarray) -> np.ndarray:
        """Mode and log standard errors, corrected, too, and residuals, `(dataset, width)`."""
        d = self.dim
        there = np.isfinite(y).astype(np.float64)
        y = np.where(there > 0, y, 0.0)
        rest = np.clip((scalars - self.location[d:]) / self.scale[d:], -FAR, FAR)
        seen = {"y": y, "there": there, "rest": rest}
        t, at = scoring.mode(
            self._started(**seen),
            lambda t, rows: self._around(t, **{name: a[rows] for name, a in seen.items()}),
            steps=STEPS,
            longest=LONGEST,
            far=FAR,
        )
        if self.corrected:
            errors, shift, width = scoring.corrected(t, at, partial(self._cost, **seen), most=1.0)
            told = [t, np.log(errors), t + errors * shift, np.log(errors) + width]
        else:
            told = [t, np.log(scoring.errors(at.information))]
        residuals, variance = self._left(t, **seen)
        n = np.maximum(there.sum(axis=1), 1.0)
        size = np.abs(residuals)
        sizes = [
            0.5 * np.log((size**2).sum(axis=1) / n + 1e-10),
            0.5 * np.log((size**2 / variance).sum(axis=1) / n + 1e-10),
            np.log(np.median(size, axis=1) + 1e-6),
            np.log(size.max(axis=1) + 1e-6),
        ]
        return np.concatenate([*told, np.stack(sizes, axis=1)], axis=1)

    @property
    def width(self) -> int:
        """Number of statistics."""
        return (4 if self.corrected else 2) * self.dim + 4

    def _started(self, y: np.ndarray, there: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Parameters that are not far from the mode, `(dataset, dim)`."""
        if not len(self.library):
            return np.clip(line(np.concatenate([y, rest], axis=1)) @ self.start, -FAR, FAR)
        m = self.surface.mean(self.library)
        log_variance = _bounded(line(self.library) @ self.log_variance)
        precision = np.exp(-log_variance)
        of = [m**2 * precision + log_variance, precision, -2 * m * precision]
        # In single precision: which is nearest need not be known to the last digit.
        told, known = (np.concatenate(a, axis=1, dtype=np.float32) for a in ((there, y**2, y), of))
        cost = told @ known.T + (self.library**2).sum(axis=1).astype(np.float32)
        return self.library[cost.argmin(axis=1)]

    def _left(
        self, t: np.ndarray, y: np.ndarray, there: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and variance of each number, `(dataset, value)`."""
        inputs = np.concatenate([t, rest], axis=1)
        variance = np.exp(_bounded(line(inputs) @ self.log_variance))
        return (y - self.surface.mean(inputs)) * there, variance

    def _cost(
        self, t: np.ndarray, y: np.ndarray, there: np.ndarray, rest: np.ndarray
    ) -> np.ndarray:
        r, variance = self._left(t, y, there, rest)
        fit = r**2 / variance + there * np.log(variance)
        return np.asarray(fit.sum(axis=1) + (t**2).sum(axis=1))

    def _around(
        self, t: np.ndarray, y: np.ndarray, there: np.ndarray, rest: np.ndarray
    ) -> scoring.Around:
        inputs = np.concatenate([t, rest], axis=1)
        mean, slopes = self.surface.mean_and_slopes(inputs, self.dim)
        r = (y - mean) * there
        log_variance = _bounded(line(inputs) @ self.log_variance)
        variance = np.exp(log_variance)
        weight = there / variance
        weighted = slopes * weight[:, None, :]
        louder = self.log_variance[1 : 1 + self.dim]
        surprise = 0.5 * (weight * r**2 - there)
        information = weighted @ slopes.transpose(0, 2, 1) + np.eye(self.dim)
        information += 0.5 * (there[:, None, :] * louder) @ louder.T
        score = (weighted @ r[:, :, None])[:, :, 0] + surprise @ louder.T - t
        cost = (weight * r**2 + there * log_variance).sum(axis=1) + (t**2).sum(axis=1)
        return scoring.Around(cost, score, information)

    def to_config(self) -> dict[str, Any]:
        """The emulator as plain JSON values."""
        return {
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
            "surface": self.surface.quadratic.tolist(),
            "layers": [layer.tolist() for layer in self.surface.layers],
            "dim": self.dim,
            "corrected": self.corrected,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Emulator:
        """An emulator from what `to_config` gave; an older run lacks some of it."""
        dim = int(config["dim"])
        arrays = {name: np.array(config.get(name, ())) for name in _ARRAYS}
        layers = tuple(np.array(layer) for layer in config.get("layers", ()))
        surface = Surface(np.array(config["surface"]), layers)
        return cls(**arrays, surface=surface, dim=dim, corrected=config.get("corrected", False))


def _bounded(log_variance: np.ndarray) -> np.ndarray:
    return np.clip(log_variance, -16.0, 10.0)
