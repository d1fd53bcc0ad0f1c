"""Statistics of draws, by the names that users give them.

`mean`, `sd` (divisor n − 1), `mcse` (the Monte Carlo standard error of the mean, sd / √n: draws are
independent; of Markov chains, n is the number of independent draws that they are worth), `median`,
`qP` (the quantile of P %: `q5`, `q97.5`) and `hdiP_low`, `hdiP_high` (the shortest interval that
holds P % of the draws).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from abi_cli.errors import UsageError

_PERCENT = r"(\d+(?:\.\d+)?)"
_KNOWN = "mean, sd, mcse, median, and quantiles such as q5 or q97.5"


def parse(text: str) -> tuple[str, ...]:
    """Names of statistics, with commas between them.

    Errors:
        UsageError: One is unknown, or there twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if not _is_known(name):
            raise UsageError(f"expected some of {_KNOWN}; got {name!r}")
    if len(set(names)) < len(names):
        raise UsageError(f"expected each statistic once; got {text}")
    return names


def interval(mass: float, kind: str) -> tuple[str, str]:
    """The names of an interval's ends.

    Arguments:
        mass: Probability of the interval, between 0 and 1.
        kind: `eti`, equal tails, or `hdi`, the shortest.

    Errors:
        UsageError: No such interval.
    """
    if not 0 < mass < 1:
        raise UsageError(f"expected a probability between 0 and 1, such as 0.9; got {mass:g}")
    if kind == "hdi":
        return f"hdi{_percent(mass)}_low", f"hdi{_percent(mass)}_high"
    return f"q{_percent((1 - mass) / 2)}", f"q{_percent((1 + mass) / 2)}"


def _percent(share: float) -> str:
    return f"{100 * share:.10g}"


def fewest_draws(names: Sequence[str]) -> int:
    """How many draws statistics need, not to be NaN."""
    return 2 if any(name in ("sd", "mcse") or name.startswith("hdi") for name in names) else 1


def _is_known(name: str) -> bool:
    if name in ("mean", "sd", "mcse", "median"):
        return True
    match = re.fullmatch(rf"q{_PERCENT}|hdi{_PERCENT}_(?:low|high)", name)
    return match is not None and 0 <= float(match[1] or match[2]) <= 100


def statistics(draws: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """Of `draws (dataset, draw, …)`, each `(dataset, …)`, float64.

    What needs more than one draw is NaN where there is only one.
    """
    wide = draws.astype(np.float64)
    levels = [float(name[1:]) / 100 for name in names if re.fullmatch(f"q{_PERCENT}", name)]
    if "median" in names:
        levels.append(0.5)
    quantiles = dict(zip(levels, np.quantile(wide, levels, axis=1), strict=True)) if levels else {}
    return [_statistic(name, wide, quantiles) for name in names]


def _statistic(name: str, draws: np.ndarray, quantiles: dict[float, np.ndarray]) -> np.ndarray:
    n = draws.shape[1]
    if name == "mean":
        return np.asarray(draws.mean(axis=1))
    if name in ("sd", "mcse"):
        if n == 1:
            return np.full_like(draws[:, 0], np.nan)
        return np.asarray(draws.std(axis=1, ddof=1) / (np.sqrt(n) if name == "mcse" else 1))
    if name == "median":
        return quantiles[0.5]
    if name.startswith("q"):
        return quantiles[float(name[1:]) / 100]
    return _shortest(draws, name)


def _shortest(draws: np.ndarray, name: str) -> np.ndarray:
    from arviz_stats.base import array_stats

    percent, _, end = name.removeprefix("hdi").partition("_")
    if draws.shape[1] == 1:
        return np.full_like(draws[:, 0], np.nan)
    both = array_stats.hdi(np.moveaxis(draws, 1, -1), prob=float(percent) / 100, axis=-1)
    return np.asarray(both[..., int(end == "high")])


def worth(draws: np.ndarray, chains: int) -> np.ndarray:
    """How many independent draws those of Markov chains are worth, `(dataset,)`.

    By the autocorrelation within chains and what parts them (Vehtari et al. 2021,
    arXiv:1903.08008). What does not move is taken for independent.

    Arguments:
        draws: `(dataset, draw)`, chain after chain.
    """
    from arviz_stats.base import array_stats

    wide = draws.astype(np.float64).reshape(len(draws), chains, -1)
    size = array_stats.ess(wide, chain_axis=1, draw_axis=2, method="mean")
    return np.where(np.isfinite(size), size, draws.shape[1])


CLOSE = 0.3
"""Correlation of each draw with the next from which on draws look like a chain."""

FEW = 50
"""Draws below which chance alone may look like one."""

_LOOKED_AT = 50


def looks_like_a_chain(draws: np.ndarray) -> bool:
    """Whether draws `(dataset, draw)` that are taken as independent follow each other closely."""
    number = draws.shape[1]
    if number < FEW:
        return False
    wide = draws[:_LOOKED_AT].astype(np.float64)
    wide = wide - wide.mean(axis=1, keepdims=True)
    square = np.square(wide).sum(axis=1)
    moves = square > 0
    along = (wide[:, 1:] * wide[:, :-1]).sum(axis=1)[moves] / square[moves]
    return bool((along > max(CLOSE, 6 / np.sqrt(number))).any())
