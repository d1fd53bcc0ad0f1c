"""Point estimates of the posterior, each learned by a score that it alone minimizes

    mean        (θ − m)² / 2
    variance    ((θ − m)² / v + log v) / 2,                        m held fixed
    quantiles   (1{θ < q} − τ) (q − θ),                            the pinball loss of level τ
    expectiles  |1{θ < e} − τ| (θ − e)²,                           of level τ

A score whose mean over θ is least at a functional of its distribution, and nowhere else, is called
strictly consistent for it (Gneiting 2011, arXiv:0912.0902; Gneiting & Raftery 2007; expectiles:
Newey & Powell 1987). Over simulations (θ, y) the mean score is then least where the estimate given
y is that functional of p(θ | y). Every parameter is scored by itself. The score of the variance is
consistent for the second moment about m, which is the variance where m is the mean; of the
consistent ones it is the one that is least upset by a few large errors, and does not let the mean
pay for the variance.

Estimates of several levels cannot cross, whatever the weights: with levels τ_1 < … < τ_K and b the
one nearest to the middle,

    q_b = base,    q_{j+1} = q_j + softplus(gap_j).

All functionals move with affine maps of θ: a + b θ with b > 0 has mean and quantiles a + b q, sd
b s, variance b² v (`degrees`). They do so with no other map, but for quantiles; so what is learned
here should be the parameters on the user's scale but for such maps (`adapter.targets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NoReturn

import numpy as np
from keras import ops

from abi_cli.networks import parts_inference as words
from abi_cli.nn.inference import NumbersLayer

LOG_VARIANCE_LIMIT = 24.0
"""Largest size of a log variance of standardized parameters."""


def _name(letter: str, level: float) -> str:
    """Name of the functional of a level: q5, median, q97.5; e10."""
    return "median" if letter == "q" and level == 0.5 else f"{letter}{100 * level:.10g}"


class PointEstimates(NumbersLayer):
    """Functionals of the distribution of `theta (…, dim)` given `c (…, conditions)`.

    The median is one of the quantiles.

    Attributes:
        names: Of the functionals, in the order of `estimates`.
        degrees: `(functional,)`: 0 for those that move with θ, 1 for its sd, 2 for its variance.
    """

    loss_is_density = False
    has_density = False

    options: words.Point

    def __init__(self, options: words.Point, *, dim: int):
        super().__init__(options, dim=dim)
        self.noise_dim = 0
        self.moments = tuple(name for name in options.estimates if name != "median")
        median = {0.5} if "median" in options.estimates else set()
        self.quantiles = tuple(sorted({*options.quantiles, *median}))
        self.expectiles = tuple(sorted(options.expectiles))
        self.names = (
            *self.moments,
            *(_name("q", level) for level in self.quantiles),
            *(_name("e", level) for level in self.expectiles),
        )
        self.degrees = np.array([{"sd": 1, "variance": 2}.get(name, 0) for name in self.names])
        spread = bool({"sd", "variance"} & {*self.moments})
        levels = len(self.quantiles), len(self.expectiles)
        self.sizes = [int(bool(self.moments)), int(spread), *levels]

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the weights for `conditions_shape[-1]` conditions; at first all are the normal's."""
        first = [np.zeros(sum(self.sizes[:2])), _first(self.quantiles), _first(self.expectiles)]
        self.build_numbers(conditions_shape[-1] or 0, np.tile(np.concatenate(first), self.dim))
        super().build(conditions_shape)

    def _functionals(self, c: Any) -> list[Any]:
        """Mean, log variance, quantiles and expectiles, `(batch, dim, of this kind)`."""
        numbers = ops.reshape(self.numbers(c), (-1, self.dim, sum(self.sizes)))
        mean, log_variance, quantiles, expectiles = ops.split(
            numbers, np.cumsum(self.sizes)[:-1].tolist(), axis=-1
        )
        log_variance = LOG_VARIANCE_LIMIT * ops.tanh(log_variance / LOG_VARIANCE_LIMIT)
        return [
            mean,
            log_variance,
            _ascending(quantiles, self.quantiles),
            _ascending(expectiles, self.expectiles),
        ]

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:  # noqa: ARG002
        """Minus the scores of all functionals of all parameters, summed, `(batch,)`."""
        theta = theta[..., None]
        mean, log_variance, quantiles, expectiles = self._functionals(c)
        error = ops.square(theta - mean)
        squares = ops.square(theta - ops.stop_gradient(mean)) if self.sizes[1] else error[..., :0]
        below = ops.cast(theta < quantiles, theta.dtype) - np.array(self.quantiles, np.float32)
        under = ops.cast(theta < expectiles, theta.dtype) - np.array(self.expectiles, np.float32)
        scores = [
            0.5 * error,
            0.5 * (squares * ops.exp(-log_variance) + log_variance),
            below * (quantiles - theta),
            ops.abs(under) * ops.square(theta - expectiles),
        ]
        return -ops.sum(ops.concatenate(scores, axis=-1), axis=(-2, -1))

    def estimates(self, c: Any) -> Any:
        """All functionals, in the order of `names`, `(batch, dim, functional)`.

        Arguments:
            c: `(batch, conditions)`.
        """
        mean, log_variance, quantiles, expectiles = self._functionals(c)
        of = {
            "mean": lambda: mean,
            "sd": lambda: ops.exp(0.5 * log_variance),
            "variance": lambda: ops.exp(log_variance),
        }
        moments = [of[name]() for name in self.moments]
        return ops.concatenate([*moments, quantiles, expectiles], axis=-1)

    def log_prob(self, theta: Any, c: Any) -> NoReturn:
        """Refuse: there is no density."""
        raise NotImplementedError("point estimates have no density")

    def inverse(self, z: Any, c: Any) -> NoReturn:
        """Refuse: there are no draws."""
        raise NotImplementedError("point estimates have no draws")


def _middle(levels: Sequence[float]) -> int:
    """The place of the level nearest to 0.5."""
    return min(range(len(levels)), key=lambda place: abs(levels[place] - 0.5))


def _first(levels: Sequence[float]) -> np.ndarray:
    """Numbers of which `_ascending` makes the quantiles of a standard normal."""
    if not levels:
        return np.zeros(0)
    normal = np.array([NormalDist().inv_cdf(level) for level in levels])
    numbers = np.log(np.expm1(np.diff(normal)))
    return np.insert(numbers, _middle(levels), normal[_middle(levels)])


def _ascending(numbers: Any, levels: Sequence[float]) -> Any:
    """Ascending values from `numbers (…, level)`: the middle one, and positive steps from it."""
    if len(levels) < 2:
        return numbers
    base = _middle(levels)
    centre = numbers[..., base : base + 1]
    steps = [centre]
    if base:
        down = ops.cumsum(ops.softplus(ops.flip(numbers[..., :base], axis=-1)), axis=-1)
        steps.insert(0, centre - ops.flip(down, axis=-1))
    if base + 1 < len(levels):
        steps.append(centre + ops.cumsum(ops.softplus(numbers[..., base + 1 :]), axis=-1))
    return ops.concatenate(steps, axis=-1)
