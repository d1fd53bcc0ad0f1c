"""The parameters as scalars, one at a time, and the one pass that reads their draws.

Everything that follows (metrics, verdict, most pictures) needs the draws only through a handful of
numbers per data set, the `Summary`. It is made in one pass over the draws: a sort per data set,
in blocks, so memory stays bounded beyond the draws themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.errors import DataError, SpecError, UsageError
from abi_cli.listener import Progress
from abi_cli.variables import element_names

BLOCK = 1_000_000
"""Number of draws that are in memory at once, in double precision."""

FEWEST_DATASETS = 3
"""Number of data sets below which a variance over them, or a correlation, means nothing."""

_SUBSCRIPTS = str.maketrans("0123456789,", "₀₁₂₃₄₅₆₇₈₉‚")


@dataclass(frozen=True)
class Scalars:
    """The scalar elements of all parameters, side by side.

    Arguments:
        names: `(element,)`, such as `beta[0]`.
        labels: `(element,)`, such as `β₀`.
        draws: For each element `(dataset, draw)`, posterior draws on the user's scale. Views into
            the arrays they came from: nothing is copied.
        truths: `(element, dataset)`, the values that the data were simulated with.
        skipped: Elements left out because they tell nothing of their own, and why.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    draws: tuple[np.ndarray, ...]
    truths: np.ndarray
    skipped: Mapping[str, str]

    def take(self, index: Sequence[int]) -> Scalars:
        """The elements `index`, in that order."""
        return Scalars(
            tuple(self.names[i] for i in index),
            tuple(self.labels[i] for i in index),
            tuple(self.draws[i] for i in index),
            self.truths[list(index)],
            self.skipped,
        )


@dataclass(frozen=True)
class Summary:
    """Summaries of the draws of each element of each data set.

    Arguments:
        draws: S, how many draws there are of each data set.
        scale: `(element,)`, `as it is`, or `log` or `asinh` where tails rule the sd of the true
            values (more than 3 × IQR / 1.349), as where the prior has no variance. The latter is
            that of (θ − median) / (IQR / 1.349).
        truth: The value that the data were simulated with.
        mean, sd: Moments of the draws; sd with divisor S − 1.
        median, low, high: Quantiles 50 %, 2.5 % and 97.5 % of the draws.
        pit: Randomized probability integral transform: (draws below the truth + V·(ties + 1)) /
            (S + 1) with V uniform on [0, 1). Exactly uniform for exact posteriors, for any S.
        distance_pit: The same for the distance from the centre of the draws: near 0 where the truth
            lies close to the centre, near 1 where it lies far out. The centre is the mean of the S
            draws *and* the truth, a symmetric function of S + 1 exchangeable values, so that this
            too is exactly uniform for exact posteriors.
        place, width: The median of draws and truth together, and half of their central 68 %, which
            a single one of them hardly changes.
        contraction: How much narrower than the prior it is, 1 − var(draws) / var(truths), on the
            `scale` of the element.

    Other arrays are `(element, dataset)`, float64.
    """

    draws: int
    scale: tuple[str, ...]
    truth: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    pit: np.ndarray
    distance_pit: np.ndarray
    place: np.ndarray
    width: np.ndarray
    contraction: np.ndarray

    def take(self, index: Sequence[int]) -> Summary:
        """The elements `index`, in that order."""
        rows = list(index)
        return Summary(
            self.draws,
            tuple(self.scale[row] for row in rows),
            self.truth[rows],
            self.mean[rows],
            self.sd[rows],
            self.median[rows],
            self.low[rows],
            self.high[rows],
            self.pit[rows],
            self.distance_pit[rows],
            self.place[rows],
            self.width[rows],
            self.contraction[rows],
        )


def element_labels(name: str, event: tuple[int, ...], labels: Sequence[str]) -> tuple[str, ...]:
    """Labels of a parameter's scalar elements.

    One label for each element is taken as it is; one label for a vector gets subscripts; without
    labels the names of the elements serve.

    Errors:
        SpecError: Any other number of labels.
    """
    names = element_names(name, event)
    if not labels:
        return names
    if len(labels) == len(names):
        return tuple(labels)
    if len(labels) == 1:
        index = element_names("", event)
        return tuple(labels[0] + i.strip("[]").translate(_SUBSCRIPTS) for i in index)
    raise SpecError(
        f"Expected one label, or one for each of the {len(names)} elements of {name}; "
        f"got {len(labels)}",
        place=f"parameters.{name}.labels",
        hint="Give as many labels as the parameter has elements.",
    )


def flatten(
    estimates: Mapping[str, np.ndarray],
    truths: Mapping[str, np.ndarray],
    *,
    labels: Mapping[str, Sequence[str]],
    computed: Collection[str] = (),
) -> Scalars:
    """Lay the scalar elements of all parameters side by side.

    Elements that are the same in every data set (the ones on a correlation matrix's diagonal), and
    those that repeat an earlier one (its upper triangle), are skipped and named. So are computed
    ones that some data sets do not have, or that are infinite somewhere: their ranks would not be
    those of all data sets.

    Arguments:
        estimates: Parameter → posterior draws `(dataset, draw, *event)`.
        truths: Parameter → `(dataset, *event)`.
        labels: Parameter → its labels, see `element_labels`.
        computed: Those that are no parameters but were computed from them.

    Errors:
        DataError: Shapes that don't match, or nothing left to look at.
        UsageError: Too few data sets or draws.
        SpecError: A wrong number of labels.
    """
    names: list[str] = []
    shown: list[str] = []
    draws: list[np.ndarray] = []
    values: list[np.ndarray] = []
    skipped: dict[str, str] = {}
    seen: dict[bytes, str] = {}

    for parameter, estimate in estimates.items():
        truth = _matching_truth(parameter, estimate, truths)
        event = estimate.shape[2:]
        columns = estimate.reshape(*estimate.shape[:2], -1)
        rows = truth.reshape(len(truth), -1).T
        elements = zip(
            element_names(parameter, event),
            element_labels(parameter, event, labels.get(parameter, ())),
            strict=True,
        )
        for k, (name, label) in enumerate(elements):
            why = _unranked(columns[:, :, k], rows[k]) if parameter in computed else None
            if why is not None:
                skipped[name] = why
            elif (rows[k] == rows[k][0]).all():
                skipped[name] = "the same in every data set"
            elif (twin := seen.setdefault(rows[k].tobytes(), name)) != name:
                skipped[name] = f"equal to {twin}"
            else:
                names.append(name)
                shown.append(label)
                draws.append(columns[:, :, k])
                values.append(rows[k])
    if not names:
        raise DataError("Expected a parameter that varies over the data sets; got none")
    return Scalars(tuple(names), tuple(shown), tuple(draws), np.stack(values), skipped)


def _unranked(draws: np.ndarray, truth: np.ndarray) -> str | None:
    """The reason why computed values can't be ranked in all data sets; None if they can.

    Arguments:
        draws: `(dataset, draw)`.
        truth: `(dataset,)`.
    """
    absent = np.isnan(truth).sum()
    if absent:
        return f"not there in {absent:,} of {len(truth):,} data sets"
    infinite = np.isinf(draws).any(axis=1) | np.isinf(truth)
    if infinite.any():
        return (
            f"infinite in {infinite.sum():,} of {len(truth):,} data sets, data set "
            f"{int(infinite.argmax())} first; its logarithm may not be"
        )
    return None


def _matching_truth(
    parameter: str, estimate: np.ndarray, truths: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The true values `(dataset, *event)` of draws `(dataset, draw, *event)`, float64."""
    if parameter not in truths:
        raise DataError(
            f"Expected true values of {parameter}; got those of {', '.join(truths) or 'nothing'}"
        )
    truth = np.asarray(truths[parameter], dtype=np.float64)
    expected = (estimate.shape[0], *estimate.shape[2:])
    if truth.shape != expected:
        raise DataError(f"Expected true values of {parameter} {expected}; got {truth.shape}")
    datasets, count = estimate.shape[:2]
    if datasets < FEWEST_DATASETS or count < 2:
        raise UsageError(
            f"Expected at least {FEWEST_DATASETS} data sets with 2 draws each; "
            f"got {datasets} with {count}",
            hint="Ask for more: --datasets 1000 --draws 1000.",
        )
    return truth


def summarize(scalars: Scalars, *, seed: int, progress: Progress) -> Summary:
    """Read all draws once.

    Arguments:
        seed: Seed of the randomization within ties.
        progress: Advances by one for each element.

    Errors:
        DataError: A draw or a true value is not finite.
    """
    elements, datasets = scalars.truths.shape
    count = scalars.draws[0].shape[1]
    rng = np.random.default_rng(seed)
    scales = [_Scale.of(*both) for both in zip(scalars.truths, scalars.draws, strict=True)]
    made = (np.empty((elements, datasets)) for _ in range(11))
    result = Summary(count, tuple(scale.name for scale in scales), *made)
    step = max(1, BLOCK // count)

    for k, draws in enumerate(scalars.draws):
        jitter = rng.random((2, datasets))
        for start in range(0, datasets, step):
            rows = slice(start, start + step)
            with np.errstate(invalid="ignore"):  # of what is not finite: refused just below
                _summarize_block(
                    result, k, rows, draws[rows], scalars.truths[k, rows], jitter[:, rows]
                )
                variance = scales[k].variance_of(draws[rows], result.sd[k, rows])
                result.contraction[k, rows] = 1 - variance / scales[k].variance
        _check_finite(scalars, result, k)
        progress.advance()
    return result


def _summarize_block(
    result: Summary,
    element: int,
    rows: slice,
    draws: np.ndarray,
    truth: np.ndarray,
    jitter: np.ndarray,
) -> None:
    """Fill in the data sets `rows` of an element.

    Arguments:
        draws: `(dataset, draw)`.
        truth: `(dataset,)`.
        jitter: `(2, dataset)`, uniform on [0, 1), for the two ranks.
    """
    count = result.draws
    ordered = np.sort(draws, axis=1)
    # In the draws' own precision: a true value rounds as the draws did, so they stay comparable.
    value = truth.astype(ordered.dtype)[:, None]
    mean = ordered.mean(axis=1, dtype=np.float64)
    centred = ordered - mean[:, None]
    variance = np.einsum("nd,nd->n", centred, centred) / (count - 1)

    result.truth[element, rows] = truth
    result.mean[element, rows] = mean
    result.sd[element, rows] = np.sqrt(variance)
    result.median[element, rows] = _quantile(ordered, 0.5)
    result.low[element, rows] = _quantile(ordered, 0.025)
    result.high[element, rows] = _quantile(ordered, 0.975)
    result.pit[element, rows] = randomized_pit(ordered, value, jitter[0])

    low, middle, high = (_with(ordered, value[:, 0], level) for level in (0.16, 0.5, 0.84))
    result.place[element, rows], result.width[element, rows] = middle, (high - low) / 2

    offset = value[:, 0] - mean
    centre = offset / (count + 1)  # of draws and truth together, measured from the draws' mean
    centred -= centre[:, None]
    np.abs(centred, out=centred)
    result.distance_pit[element, rows] = randomized_pit(
        centred, np.abs(offset - centre)[:, None], jitter[1]
    )


_TAILS = 3.0
"""Ratio of an sd to IQR / 1.349, the sd of a normal distribution, above which tails rule the sd."""


@dataclass(frozen=True)
class _Scale:
    """A scale on which the prior of a scalar has a variance, and that variance."""

    name: str
    apply: Callable[[np.ndarray], np.ndarray] | None
    variance: float

    @classmethod
    def of(cls, truths: np.ndarray, draws: np.ndarray) -> _Scale:
        """The scale for the true values `(dataset,)` that draws `(dataset, draw)` allow."""
        low, centre, high = np.quantile(truths, [0.25, 0.5, 0.75])
        spread = (high - low) / 1.349
        if not 0 < _TAILS * spread < truths.std(ddof=1):
            return cls("as it is", None, float(truths.var(ddof=1)))
        if truths.min() > 0 and draws.min() > 0:
            return cls("log", np.log, float(np.log(truths).var(ddof=1)))

        def narrowed(values: np.ndarray) -> np.ndarray:
            return np.arcsinh((values - centre) / spread)

        return cls("asinh", narrowed, float(narrowed(truths).var(ddof=1)))

    def variance_of(self, draws: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """The variance of draws `(dataset, draw)` on this scale, `(dataset,)`.

        Arguments:
            sd: Sds of the draws on their own scale, `(dataset,)`.
        """
        if self.apply is None:
            return sd**2
        return np.asarray(self.apply(draws.astype(np.float64)).var(axis=1, ddof=1))


def _quantile(ordered: np.ndarray, level: float) -> np.ndarray:
    """A quantile of sorted draws `(dataset, draw)`, linear between order statistics."""
    place = level * (ordered.shape[1] - 1)
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    low, high = ordered[:, below].astype(np.float64), ordered[:, above].astype(np.float64)
    return np.asarray(low + (place - below) * (high - low))


def _with(ordered: np.ndarray, value: np.ndarray, level: float) -> np.ndarray:
    """An order statistic of sorted draws `(dataset, draw)` and a value `(dataset,)` together."""
    at = round(level * ordered.shape[1])
    below = np.count_nonzero(ordered < value[:, None], axis=1)
    right, left = ordered[:, min(at, ordered.shape[1] - 1)], ordered[:, max(at - 1, 0)]
    return np.asarray(np.where(at < below, right, np.where(at == below, value, left)), np.float64)


def randomized_pit(draws: np.ndarray, value: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Randomized rank of `value (dataset, 1)` among `draws (dataset, draw)`, in (0, 1)."""
    below = np.count_nonzero(draws < value, axis=1)
    ties = np.count_nonzero(draws == value, axis=1)
    pit = (below + jitter * (ties + 1)) / (draws.shape[1] + 1)
    tiny = np.finfo(np.float64).eps
    return np.asarray(np.clip(pit, tiny, 1 - tiny))


def _check_finite(scalars: Scalars, summary: Summary, element: int) -> None:
    name = scalars.names[element]
    # One draw that is not finite makes the mean so, too.
    bad = ~np.isfinite(summary.mean[element])
    if bad.any():
        raise DataError(
            f"Expected finite draws of {name}; got others in {int(bad.sum())} of {len(bad)} "
            f"data sets, data set {int(bad.argmax())} first",
            hint="A network gives such draws when training went wrong: look at the loss.",
        )
    if not np.isfinite(summary.truth[element]).all():
        raise DataError(f"Expected finite true values of {name}; got some that are not")
