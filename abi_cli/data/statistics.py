"""Statistics of draws, by the names that users give them, and of many draws as they come.

`mean`, `sd` (divisor n − 1), `mcse` (the Monte Carlo standard error of the mean, sd / √n: draws are
independent; of Markov chains, n is the number of independent draws that they are worth), `median`,
`qP` (the quantile of P %: `q5`, `q97.5`) and `hdiP_low`, `hdiP_high` (the shortest interval that
holds P % of the draws).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from abi_cli.data.draws import DrawHeader, Draws, Statistics, whole_datasets
from abi_cli.data.spelling import elements_among
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import DrawBlock, element_names

STATISTICS = ("mean", "sd", "mcse", "median", "q5", "q95")
"""Names of the statistics that a summary for people has unless others are named."""

OF_DRAWS = ("mean", "sd", "q5", "median", "q95")
"""Names of the statistics of draws that stand for estimates."""

_PERCENT = r"(\d+(?:\.\d+)?)"
_KNOWN = "mean, sd, mcse, median, and quantiles such as q5 or q97.5"


def parse(text: str) -> tuple[str, ...]:
    """The names of statistics in a text, with commas between them.

    Errors:
        UsageError: A name is unknown, or there twice.
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
    """The number of draws that statistics need, not to be NaN."""
    return 2 if any(name in ("sd", "mcse") or name.startswith("hdi") for name in names) else 1


def _is_known(name: str) -> bool:
    if name in ("mean", "sd", "mcse", "median"):
        return True
    match = re.fullmatch(rf"q{_PERCENT}|hdi{_PERCENT}_(?:low|high)", name)
    return match is not None and 0 <= float(match[1] or match[2]) <= 100


def statistics(draws: np.ndarray, names: Sequence[str]) -> list[np.ndarray]:
    """Statistics of `draws (dataset, draw, …)`, each `(dataset, …)`, float64.

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


def summarize(draws: Draws, names: Sequence[str] = STATISTICS) -> Statistics:
    """The statistics `names` of each scalar in each data set, float64.

    Of Markov chains `mcse` counts what their draws are worth, and `ess`, which says that, is added.
    """
    chains = draws.chains if "mcse" in names else 0
    values = {}
    for name, value in draws.values.items():
        scalars = np.moveaxis(value.reshape(*value.shape[:2], -1), -1, 0)
        each = [np.stack(_of_scalar(scalar, names, chains), axis=1) for scalar in scalars]
        event = value.shape[2:]
        values[name] = np.stack(each, axis=-1).reshape(len(value), -1, *event)
    return Statistics(draws.labels, (*names, "ess") if chains else tuple(names), values)


def _of_scalar(draws: np.ndarray, names: Sequence[str], chains: int) -> list[np.ndarray]:
    """The statistics of `draws (dataset, draw)`, and what the draws of chains are worth."""
    found = statistics(draws, names)
    if not chains:
        return found
    size = worth(draws, chains)
    at = names.index("mcse")
    found[at] = found[at] * np.sqrt(draws.shape[1] / size)
    return [*found, size]


def worth(draws: np.ndarray, chains: int) -> np.ndarray:
    """The number of independent draws that those of Markov chains are worth, `(dataset,)`.

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
"""Number of draws below which chance alone may make them look like a chain."""

_LOOKED_AT = 50


def looks_like_a_chain(draws: np.ndarray) -> bool:
    """True if draws `(dataset, draw)` that are taken as independent follow each other closely."""
    number = draws.shape[1]
    if number < FEW:
        return False
    wide = draws[:_LOOKED_AT].astype(np.float64)
    wide = wide - wide.mean(axis=1, keepdims=True)
    square = np.square(wide).sum(axis=1)
    moves = square > 0
    along = (wide[:, 1:] * wide[:, :-1]).sum(axis=1)[moves] / square[moves]
    return bool((along > max(CLOSE, 6 / np.sqrt(number))).any())


def estimates_of(
    header: DrawHeader, blocks: Iterable[DrawBlock], names: Sequence[str] = OF_DRAWS
) -> Iterator[Statistics]:
    """Statistics of draws, block after block, so that the draws are never all in memory."""
    for draws in whole_datasets(header, blocks):
        values = {
            name: np.stack(statistics(value, names), axis=1).astype(np.float32)
            for name, value in draws.values.items()
        }
        yield Statistics(draws.labels, tuple(names), values)


def joined(parts: Iterable[Statistics]) -> Statistics:
    """Statistics of all data sets together."""
    parts = list(parts)
    first = parts[0]
    return Statistics(
        tuple(label for part in parts for label in part.labels),
        first.names,
        {name: np.concatenate([part.values[name] for part in parts]) for name in first.values},
    )


def gathered(
    rows: Iterable[tuple[str, str, Mapping[str, float]]], place: Callable[[int], str]
) -> Statistics:
    """The statistics of rows that come one after the other: label, scalar, value by name.

    Scalars that are called like the elements of a vector, `beta[0]`, `beta[1]`, are one.

    Arguments:
        place: Where the row of an index stands.

    Errors:
        DataError: One comes twice, or not for every data set; rows have other names than the first.
    """
    cells: dict[tuple[str, str], Mapping[str, float]] = {}
    names: tuple[str, ...] = ()
    for number, (label, scalar, values) in enumerate(rows):
        names = names or tuple(values)
        if (label, scalar) in cells or tuple(values) != names:
            raise DataError(
                "expected each parameter of each data set once, with the same estimates",
                place=place(number),
            )
        cells[label, scalar] = values
    labels = tuple(dict.fromkeys(label for label, _ in cells))
    scalars = tuple(dict.fromkeys(scalar for _, scalar in cells))
    if not names or len(cells) != len(labels) * len(scalars):
        raise DataError(
            "expected each parameter of each data set once, and a number at least", place=place(0)
        )
    by_label = [[list(cells[label, scalar].values()) for scalar in scalars] for label in labels]
    table = np.swapaxes(np.array(by_label), 1, 2)
    place_of = {scalar: at for at, scalar in enumerate(scalars)}
    found = {}
    for name, event in _parameters(scalars):
        at = [place_of[element] for element in element_names(name, event)]
        found[name] = table[..., at].reshape(len(labels), len(names), *event)
    return Statistics(labels, names, found)


def _parameters(scalars: Sequence[str]) -> Iterable[tuple[str, tuple[int, ...]]]:
    """The name and event shape of each parameter among scalars, in order."""
    parameter_of: dict[str, tuple[str, tuple[int, ...]]] = {name: (name, ()) for name in scalars}
    for found in elements_among(scalars):
        name, event = found.variable, found.event
        if event and name not in scalars and element_names(name, event) == tuple(found.in_order()):
            parameter_of |= dict.fromkeys(found.in_order(), (name, event))
    return dict.fromkeys(parameter_of.values())
