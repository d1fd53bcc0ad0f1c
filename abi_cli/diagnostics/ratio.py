r"""A density ratio that is learned from draws, and the divergence that it proves.

Of n data sets there are the truth θ₀, which is a draw of the exact posterior p(θ | y), and draws θ₁
… θ_m of the posterior q that is judged. A score T(θ, y) = w · φ(θ, y) says how much more likely one
is the truth. It is learned on some data sets by conditional logistic regression, which tells the
truth from its m rivals,

    max_w Σₙ log [exp Tₙ₀ ÷ Σⱼ exp Tₙⱼ] − ½ Σ_b λ_b |w_b|²,

whose best T is log p − log q; every block b of terms has a penalty λ_b of its own, chosen by its
evidence (MacKay 1992, "Bayesian interpolation", Neural computation 4:415), so that a block which
says nothing is left out. On other data sets, whatever T is,

    E log [exp T(θ₀, y) ÷ mean over j = 0 … S of exp T(θⱼ, y)] ≤ E KL(p ‖ q)

(van den Oord, Li & Vinyals 2018, arXiv:1807.03748; Poole et al. 2019, arXiv:1905.06922): so many
nats are lost, at least. No density is needed. And given the S + 1 values of T, which of them is the
truth's is a matter of chance if q is exact: that gives the mean a known one, and a p-value.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import special

from abi_cli.diagnostics.uniformity import INTERVAL

STEPS = 6
"""Number of Newton's steps of the regression."""

UPDATES = 12
"""Number of updates of the penalties, in every step."""

LARGEST = 30.0
"""Bound of scores, either way."""


@dataclass(frozen=True)
class Loss:
    """The least distance of a posterior from exact ones.

    Arguments:
        nats: A lower bound of the mean Kullback–Leibler divergence.
        interval: Its interval of 90 %.
        p: The p-value: how often exact posteriors give as much.
        by_data: Whether the data predict the sign of the posterior's errors: then it is information
            of the data that is lost.
    """

    nats: float
    interval: tuple[float, float]
    p: float
    by_data: bool = False

    def to_config(self) -> dict[str, Any]:
        """The loss as plain JSON values."""
        return asdict(self)


def fit(terms: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Weights `(term,)` of the score.

    Arguments:
        terms: φ of truth and rivals, `(dataset, 1 + rival, term)`, the truth first.
        blocks: Which block each term is of, `(term,)`, counted from 0.
    """
    unit = terms.std(axis=(0, 1), dtype=np.float64)
    unit = np.where(unit > 1e-9, unit, np.inf)
    x = terms / unit.astype(terms.dtype)
    w = np.zeros(x.shape[2])
    penalty = np.full(int(blocks.max(initial=0)) + 1, np.sqrt(len(x)))
    value = _likelihood(x, w)
    for _ in range(STEPS):
        gradient, curvature = _derivatives(x, w)
        target, penalty = _penalized(gradient + curvature @ w, curvature, blocks, penalty)
        step = 1.0
        while step > 1e-2 and _likelihood(x, w + step * (target - w)) < value - 1e-3 * len(x):
            step /= 2
        w = w + step * (target - w)
        value = _likelihood(x, w)
    return np.asarray(w / unit)


def _scores(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.clip(x @ w.astype(x.dtype), -LARGEST, LARGEST).astype(np.float64)


def _likelihood(x: np.ndarray, w: np.ndarray) -> float:
    scores = _scores(x, w)
    return float((scores[:, 0] - special.logsumexp(scores, axis=1)).sum())


def _derivatives(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient `(term,)` and negative curvature `(term, term)` of the log likelihood."""
    share = special.softmax(_scores(x, w), axis=1).astype(x.dtype)
    mean = np.einsum("nj,njt->nt", share, x)
    weighted = (x * np.sqrt(share)[:, :, None]).reshape(-1, x.shape[2])
    gradient = (x[:, 0] - mean).sum(axis=0, dtype=np.float64)
    return gradient, (weighted.T @ weighted - mean.T @ mean).astype(np.float64)


def _penalized(
    right: np.ndarray, curvature: np.ndarray, blocks: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The maximum of the quadratic model, and penalties that fit it."""
    for _ in range(UPDATES):
        inverse = np.linalg.inv(curvature + np.diag(penalty[blocks]))
        w = inverse @ right
        learned = 1 - penalty[blocks] * np.diagonal(inverse)
        known = np.bincount(blocks, learned, minlength=len(penalty))
        square = np.bincount(blocks, w**2, minlength=len(penalty))
        penalty = np.clip(known / np.maximum(square, 1e-12), 1e-1, 1e8)
    return w, penalty


def proved(scores: np.ndarray) -> np.ndarray:
    """Nats: log of exp T over its mean over truth and draws; both `(dataset, 1 + draw)`."""
    scores = scores.astype(np.float64)
    total = special.logsumexp(scores, axis=1, keepdims=True)
    return np.asarray(scores - total + np.log(scores.shape[1]))


def bound(scores: np.ndarray, *, by_data: bool = False) -> Loss:
    """The loss that scores `(dataset, 1 + draw)` prove, the truth's first.

    Arguments:
        scores: Those of data sets that the score was not learned from.
    """
    nats = proved(scores)
    n = len(nats)
    mean = float(nats[:, 0].mean())
    half = float(special.ndtri((1 + INTERVAL) / 2) * nats[:, 0].std(ddof=1) / np.sqrt(n))
    spread = float(np.sqrt(nats.var(axis=1).sum()) / n)
    away = mean - float(nats.mean())
    p = float(special.ndtr(-away / spread)) if spread > 1e-9 else 1.0
    return Loss(mean, (mean - half, mean + half), p, by_data)


def detectable(datasets: int, *, level: float) -> float:
    """The loss in nats that a test at `level` finds in nine cases of ten, if its score is right.

    log p/q has the mean KL and, where that is small, the variance 2 KL.
    """
    needed = -special.ndtri(level) + special.ndtri(0.9)
    return float(2 * needed**2 / datasets)
