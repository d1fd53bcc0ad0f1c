r"""Metrics of point estimates beside the posterior's, from data sets whose parameters are known.

Of networks that give estimates without draws there are no ranks. But each estimate can be held
against the true values θₙ, which are draws from the posteriors: for exact estimates

    P(θ < q) = τ        of a quantile q of level τ, on average over data sets,
    E[θ − m] = 0        of a mean m,
    E[(θ − m)²] = E[s²] of an sd s, where the mean is estimated, too.

All sizes are told in posterior sds: a share p below a quantile of level τ is off by Φ⁻¹(p) − Φ⁻¹(τ)
of them, were the posterior normal. As everywhere (`verdict`), a fault needs significance and size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Fault, Kind, Limits
from abi_cli.diagnostics.scalars import element_labels
from abi_cli.diagnostics.verdict import ElementVerdict, Outcome, Verdict, together
from abi_cli.digits import probability
from abi_cli.errors import DataError
from abi_cli.variables import element_names

SCHEMA = "abi.point-metrics/1"

_SURE = stats.norm.ppf(0.95)
"""Standard errors to either side of an estimate in its interval of 90 %."""


@dataclass(frozen=True)
class Estimate:
    """One estimate of one scalar parameter, held against the truth.

    Arguments:
        expected: What exact estimates give: τ for a quantile, 0 for a mean, 1 for an sd.
        found: The share of true values below the quantile; the mean of θ − m in posterior sds; the
            estimated sd, or the root of the variance, as a share of the right one.
        interval: Interval of 90 % of `found`.
        p: p-value of its being as expected.
        size: How far off, as a share of what is tolerated.
        size_interval: Interval of 90 % of `size`.
        pinball: Of a quantile q of level τ: the mean of max(τ (θ − q), (τ − 1) (θ − q)), which the
            posterior's own quantile makes least, in sds of the true values.
    """

    expected: float
    found: float
    interval: tuple[float, float]
    p: float
    size: float
    size_interval: tuple[float, float]
    pinball: float | None = None


@dataclass(frozen=True)
class PointMetrics:
    """The diagnosis of point estimates, in numbers.

    Arguments:
        datasets: Number of data sets that it rests on.
        parameters: Element name → name of the estimate → how it does.
        nrmse: Element name → root mean square error of the mean, or of the quantile nearest to the
            median, in sds of the true values.
        labels: Element name → label.
        skipped: What is not judged, and why.
        verdict: What it amounts to.
        observed: Same as in `Metrics`.
    """

    datasets: int
    parameters: Mapping[str, Mapping[str, Estimate]]
    nrmse: Mapping[str, float]
    labels: Mapping[str, str]
    skipped: Mapping[str, str]
    verdict: Verdict
    observed: Mapping[str, float] = field(default_factory=dict)

    def to_config(self) -> dict[str, Any]:
        """The metrics as plain JSON values: the content of `metrics.json`."""
        return {
            "schema": SCHEMA,
            "datasets": self.datasets,
            "verdict": self.verdict.to_config(),
            "parameters": {
                name: {
                    "label": self.labels[name],
                    "nrmse": self.nrmse[name],
                    "estimates": {which: asdict(one) for which, one in own.items()},
                }
                for name, own in self.parameters.items()
            },
            "skipped": dict(self.skipped),
            **({"observed": dict(self.observed)} if self.observed else {}),
        }


def measure_points(
    names: Sequence[str],
    estimates: Mapping[str, np.ndarray],
    truths: Mapping[str, np.ndarray],
    *,
    labels: Mapping[str, Sequence[str]],
    limits: Limits = DEFAULT_LIMITS,
) -> PointMetrics:
    """Hold estimates against true values.

    Arguments:
        names: Names of the estimates: `mean`, `sd`, `variance`, `median`, `q5`, `e10`.
        estimates: Parameter → `(dataset, estimate, *event)`.
        truths: Parameter → `(dataset, *event)`.
        labels: Parameter → its labels, see `element_labels`.
        limits: What is tolerated.

    Errors:
        DataError: No estimate can be judged.
    """
    judged: dict[str, dict[str, Estimate]] = {}
    errors: dict[str, float] = {}
    titles: dict[str, str] = {}
    skipped = {name: "expectiles are not judged" for name in names if name.startswith("e")}
    for parameter, values in estimates.items():
        event = values.shape[2:]
        columns = values.reshape(*values.shape[:2], -1).astype(np.float64)
        rows = np.asarray(truths[parameter], np.float64).reshape(len(values), -1)
        elements = element_names(parameter, event)
        shown = element_labels(parameter, event, labels.get(parameter, ()))
        for k, (name, label) in enumerate(zip(elements, shown, strict=True)):
            if (rows[:, k] == rows[0, k]).all():
                skipped[name] = "the same in every data set"
                continue
            own = dict(zip(names, columns[:, :, k].T, strict=True))
            judged[name], titles[name] = _judged(own, rows[:, k], limits), label
            errors[name] = _error(own, rows[:, k])
    if not any(judged.values()):
        raise DataError("Expected an estimate that can be judged: a mean, or quantiles; got none")
    level = limits.p / sum(map(len, judged.values()))
    verdicts = {name: _verdict(own, level) for name, own in judged.items()}
    datasets = len(next(iter(truths.values())))
    verdict = together(verdicts, {}, datasets=datasets, limits=limits)
    return PointMetrics(datasets, judged, errors, titles, skipped, verdict)


def level_of(name: str) -> float | None:
    """The level of a quantile; None for another estimate."""
    if name == "median":
        return 0.5
    return float(name[1:]) / 100 if name[0] == "q" else None


def _error(own: Mapping[str, np.ndarray], truth: np.ndarray) -> float:
    """The error of the mean, or the quantile nearest to the median, in sds of the true values."""
    levels = {name: level_of(name) for name in own}
    middle = min(own, key=lambda n: -1 if n == "mean" else abs((levels[n] or 9.0) - 0.5))
    return float(np.sqrt(np.mean((own[middle] - truth) ** 2)) / truth.std(ddof=1))


def _judged(
    own: Mapping[str, np.ndarray], truth: np.ndarray, limits: Limits
) -> dict[str, Estimate]:
    """The estimates `(dataset,)` of a scalar, judged, by name."""
    found: dict[str, Estimate] = {}
    if "mean" in own:
        error = truth - own["mean"]
        variance = own["sd"] ** 2 if "sd" in own else own.get("variance")
        expected = np.mean(error**2 if variance is None else variance)
        found["mean"] = _of_mean(error / np.sqrt(expected), limits)
        if variance is not None:
            found["sd" if "sd" in own else "variance"] = _of_sd(error**2, variance, limits)
    for name, values in own.items():
        if (level := level_of(name)) is not None:
            found[name] = _of_quantile(level, values, truth, limits)
    return found


def _of_quantile(level: float, values: np.ndarray, truth: np.ndarray, limits: Limits) -> Estimate:
    below = stats.binomtest(int((truth < values).sum()), len(truth), level)
    ends = below.proportion_ci(0.9)
    z = stats.norm.ppf(level)
    allowed = limits.mean_score + (limits.sd_ratio - 1) * abs(z)
    share = np.clip([below.statistic, ends.low, ends.high], 1e-9, 1 - 1e-9)
    size, low, high = map(float, (stats.norm.ppf(share) - z) / allowed)
    interval = (float(ends.low), float(ends.high))
    away = truth - values
    loss = float(np.maximum(level * away, (level - 1) * away).mean() / truth.std(ddof=1))
    share_below, p = float(below.statistic), float(below.pvalue)
    return Estimate(level, share_below, interval, p, size, (low, high), loss)


def _of_mean(scores: np.ndarray, limits: Limits) -> Estimate:
    """The judgement of a mean by `(θ − m) / s (dataset,)`."""
    centre, error = float(scores.mean()), float(scores.std(ddof=1) / np.sqrt(len(scores)))
    interval = (centre - _SURE * error, centre + _SURE * error)
    p = float(2 * stats.norm.sf(abs(centre) / error))
    sizes = [value / limits.mean_score for value in (centre, *interval)]
    return Estimate(0.0, centre, interval, p, sizes[0], (sizes[1], sizes[2]))


def _of_sd(square: np.ndarray, variance: np.ndarray, limits: Limits) -> Estimate:
    """The judgement of an sd by `(θ − m)²` and s², `(dataset,)`: the log ratio of their means."""
    log_ratio = float(np.log(variance.mean() / square.mean()) / 2)
    spread = (variance - square * variance.mean() / square.mean()).std(ddof=1)
    error = float(spread / variance.mean() / np.sqrt(len(square)) / 2)
    logs = (log_ratio, log_ratio - _SURE * error, log_ratio + _SURE * error)
    p = float(2 * stats.norm.sf(abs(log_ratio) / error))
    size, low, high = (value / np.log(limits.sd_ratio) for value in logs)
    ratio, least, most = map(float, np.exp(logs))
    return Estimate(1.0, ratio, (least, most), p, float(size), (float(low), float(high)))


def _verdict(own: Mapping[str, Estimate], level: float) -> ElementVerdict:
    faults = [
        Fault((_kind(name, one),), _reason(name, one), abs(one.size) > 1)
        for name, one in own.items()
        if one.p < level
    ]
    if faults:
        return ElementVerdict.of(faults)
    unsure = [name for name, one in own.items() if max(map(abs, one.size_interval)) > 1]
    if unsure:
        return ElementVerdict(Outcome.CANNOT_TELL, f"too few data sets for {', '.join(unsure)}")
    return ElementVerdict(Outcome.PASS, "within the limits")


def _kind(name: str, one: Estimate) -> Kind:
    if name == "mean":
        return Kind.LOW if one.found > 0 else Kind.HIGH
    if level_of(name) is None:
        return Kind.WIDE if one.found > 1 else Kind.NARROW
    return Kind.HIGH if one.found > one.expected else Kind.LOW


def _reason(name: str, one: Estimate) -> str:
    p = f"({probability(one.p)})"
    if name == "mean":
        way = "low" if one.found > 0 else "high"
        return f"{abs(one.found):.2f} sd too {way} in its mean {p}"
    if level_of(name) is None:
        way = "large" if one.found > 1 else "small"
        return f"{100 * abs(one.found - 1):.0f} % too {way} in its sd {p}"
    return (
        f"off in its {name}, with {100 * one.found:.1f} % of the truths below it, not "
        f"{100 * one.expected:.4g} % {p}"
    )
