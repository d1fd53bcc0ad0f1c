r"""What is known of a posterior from data sets whose parameters are known.

True parameters θₙ come from the prior, data from them, and draws θₙ₁ … θₙₛ from the posterior that
is being judged, with mean mₙ and standard deviation sₙ. If it is exact, θₙ is one more draw from
the same distribution: every statement below that starts with "exact posteriors give" follows from
that exchangeability alone. Two kinds of metric answer two questions:

- *how much is learned*: error, contraction, correlation. No right value, but the error can be held
  against what the posterior itself expects: E[(mₙ − θₙ)²] = E[sₙ²] for exact posteriors;
- *is it honest*: z-scores, calibration error, uniform ranks. The right values are known, and no
  more than honest: the prior, taken as posterior, is right in all of these. Only the first kind
  tells that it has learned nothing.

Everything is computed from a `Summary`, one element (scalar parameter) at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from abi_cli.diagnostics.bands import ecdf_band
from abi_cli.diagnostics.context import BinMetrics, bins_of, measure_bins
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Limits
from abi_cli.diagnostics.scalars import Scalars, Summary
from abi_cli.diagnostics.strays import error_by_medians, strays_of
from abi_cli.diagnostics.uniformity import Uniformity, uniformity
from abi_cli.diagnostics.verdict import Evidence, Verdict, judge
from abi_cli.ranges import Range

SCHEMA = "abi.metrics/2"

LEVELS = np.linspace(0.005, 0.995, 20)
"""Levels of the central intervals whose coverage the calibration error compares."""

IDLE = 0.05
"""A posterior contracted by less than this might as well be the prior."""


RULED = 5.0
"""How many times the error by medians an error may be that is meant."""


@dataclass(frozen=True)
class ElementMetrics:
    """All metrics of one scalar parameter; each is defined by the function of its name.

    Arguments:
        rmse_expected: What the posteriors themselves expect `rmse` to be.
        given_data: Uniformity of the ranks of the distance from a prediction by the data (see
            `dependence`); None where the data are not known.
        rank_histogram: How many true values rank in each tenth of the draws.
        nrmse_normaliser: What `nrmse` divides by, in words.
        nrmse_robust: The same by medians: no single posterior rules it.
        outside: Share of draws outside what the prior gave in training; None where that is unknown.
        far: Data sets with draws far outside of that.
        contraction_scale: On which `contraction` is taken, see `Summary.scale`.
    """

    rmse: float
    rmse_expected: float
    nrmse: float
    nrmse_normaliser: str
    nrmse_robust: float
    contraction: float
    contraction_scale: str
    correlation: float
    z_score_mean: float
    z_score_sd: float
    calibration_error: float
    log_gamma: float
    uniformity: Uniformity
    rank_histogram: tuple[int, ...]
    given_data: Uniformity | None = None
    outside: float | None = None
    far: int | None = None

    @property
    def ruled(self) -> bool:
        """Whether a few posteriors rule `nrmse`."""
        return self.nrmse > RULED * self.nrmse_robust

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values, flat."""
        flat = asdict(self)
        ranks = flat.pop("uniformity")
        if self.given_data is not None:
            flat["given_data"] |= {"p_uniform": self.given_data.p}
        return {**flat, **ranks, "p_uniform": self.uniformity.p}


@dataclass(frozen=True)
class JointMetrics:
    """What one quantity of the joint distribution (see `joint`) says.

    Arguments:
        ranks: How uniform its ranks are.
        coverage_error: As `calibration_error`, of the regions that the quantity bounds: a region of
            level α covers the truth where the rank is at most α.
    """

    ranks: Uniformity
    coverage_error: float

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "mean_score": self.ranks.mean_score,
            "mean_score_interval": list(self.ranks.mean_score_interval),
            "coverage_error": self.coverage_error,
            "p_location": self.ranks.p_location,
            "p_uniform": self.ranks.p,
        }


@dataclass(frozen=True)
class Metrics:
    """The diagnosis in numbers.

    Arguments:
        datasets, draws: How many data sets, and draws of each, it rests on.
        parameters: Element name, such as `beta[0]`, → its metrics.
        labels: Element name → label.
        exact: Metric → the value that exact posteriors would give at this number of data sets.
        joint: Quantity of the joint distribution → what it says.
        negative_log_density: Mean of −log q(θ | y) over data sets, nats, and its standard error;
            None where the network has no density. Less is better; there is no right value.
        by_context: The same by bins of context variables, where there are enough data sets.
        skipped: Elements left out, and why.
        notes: What the verdict, which is about honesty, doesn't say.
        verdict: What it amounts to.
        disagreement: Of an ensemble: element name → the median over data sets of the share of the
            posterior variance that lies between its members; empty without one.
        observed: Label of an observed data set → p-value of its being one of the model's (see
            `summaries`); empty where none was given.
    """

    datasets: int
    draws: int
    parameters: Mapping[str, ElementMetrics]
    labels: Mapping[str, str]
    exact: Mapping[str, float]
    joint: Mapping[str, JointMetrics]
    negative_log_density: tuple[float, float] | None
    by_context: tuple[BinMetrics, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    verdict: Verdict
    disagreement: Mapping[str, float] = field(default_factory=dict)
    observed: Mapping[str, float] = field(default_factory=dict)

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values: the content of `metrics.json`."""
        return {
            "schema": SCHEMA,
            "datasets": self.datasets,
            "draws": self.draws,
            "tested": list(self.verdict.tested),
            "verdict": self.verdict.to_config(),
            "exact": dict(self.exact),
            "parameters": {
                name: {"label": self.labels[name], **element.to_config()}
                for name, element in self.parameters.items()
            },
            "joint": {name: own.to_config() for name, own in self.joint.items()},
            "negative_log_density": self.negative_log_density
            and dict(zip(("mean", "standard_error"), self.negative_log_density, strict=True)),
            "by_context": [part.to_config() for part in self.by_context],
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
            **({"disagreement": dict(self.disagreement)} if self.disagreement else {}),
            **({"observed": dict(self.observed)} if self.observed else {}),
        }


def measure(
    scalars: Scalars,
    summary: Summary,
    *,
    data_ranks: np.ndarray | None = None,
    joint_ranks: Mapping[str, np.ndarray] | None = None,
    log_density: np.ndarray | None = None,
    context: Mapping[str, np.ndarray] | None = None,
    ranges: Mapping[str, Range] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Metrics:
    """All metrics of all elements, and the verdict on them.

    Arguments:
        data_ranks: As by `data_pit`, `(element, dataset)`; None where the data are not known.
        joint_ranks: As by `joint_pits`, quantity → `(dataset,)`.
        log_density: Of the truth given the data, `(dataset,)`; None where there is none.
        context: Variable → its values, `(dataset,)`.
        ranges: Element name → what the prior gave of it in training; empty where that is not known.
    """
    strays = strays_of(scalars, summary, ranges or {})
    band = ecdf_band(summary.truth.shape[1])
    bins = measure_bins(bins_of(context or {}), scalars.names, summary)
    datasets = summary.truth.shape[1]
    columns = {
        "rmse": rmse(summary),
        "rmse_expected": rmse_expected(summary),
        "nrmse": nrmse(summary),
        "nrmse_robust": nrmse_robust(summary),
        "contraction": contraction(summary),
        "correlation": correlation(summary),
        "z_score_mean": z_scores(summary).mean(axis=1),
        "z_score_sd": z_scores(summary).std(axis=1, ddof=1),
        "calibration_error": calibration_error(summary),
        "log_gamma": np.array([band.log_gamma(pit) for pit in summary.pit]),
    }
    joint = {
        name: JointMetrics(uniformity(pit), float(np.median(np.abs(_reached(pit[None]) - LEVELS))))
        for name, pit in (joint_ranks or {}).items()
    }
    parameters = {
        name: ElementMetrics(
            nrmse_normaliser="sd of the true values",
            contraction_scale=summary.scale[k],
            uniformity=uniformity(summary.pit[k]),
            rank_histogram=tuple(np.histogram(summary.pit[k], 10, (0, 1))[0].tolist()),
            given_data=None if data_ranks is None else uniformity(data_ranks[k]),
            outside=strays[name].share if name in strays else None,
            far=strays[name].far if name in strays else None,
            **{metric: float(values[k]) for metric, values in columns.items()},
        )
        for k, name in enumerate(scalars.names)
    }
    return Metrics(
        datasets=datasets,
        draws=summary.draws,
        parameters=parameters,
        labels=dict(zip(scalars.names, scalars.labels, strict=True)),
        exact={
            "z_score_mean": 0.0,
            "z_score_sd": 1.0,
            "calibration_error": exact_calibration_error(datasets),
            "coverage_error": exact_calibration_error(datasets),
            "mean_score": 0.0,
            "sd_ratio": 1.0,
            "mean_square": 1.0,
        },
        joint=joint,
        negative_log_density=None if log_density is None else _mean_and_error(-log_density),
        by_context=bins,
        skipped=scalars.skipped,
        notes=_notes(parameters),
        verdict=judge(
            {
                name: Evidence(
                    own.uniformity,
                    width=1 / max(own.z_score_sd, 1e-300),
                    given_data=own.given_data,
                    by_context={str(part.bin): part.elements[name] for part in bins},
                    beyond=strays[name].reason if name in strays else None,
                )
                for name, own in parameters.items()
            },
            {name: own.ranks for name, own in joint.items()},
            datasets=datasets,
            limits=limits,
        ),
    )


def _notes(parameters: Mapping[str, ElementMetrics]) -> tuple[str, ...]:
    notes = []
    scales = {name: element.contraction_scale for name, element in parameters.items()}
    if moved := [f"{name} ({scale})" for name, scale in scales.items() if scale != "as it is"]:
        notes.append(
            f"The prior's variance is ruled by its tails: contraction of {', '.join(moved)} is "
            "taken on the scale in brackets."
        )
    idle = [name for name, element in parameters.items() if element.contraction < IDLE]
    if not idle:
        return tuple(notes)
    said = (
        "Either the data don't inform them, or the network doesn't read the data: uniform ranks "
        "can't tell these apart."
    )
    if all(parameters[name].given_data for name in idle):
        said = "Where they pass, plain features of the data tell no more of them either."
    return (*notes, f"Posteriors of {', '.join(idle)} are as wide as the prior. {said}")


def rmse(summary: Summary) -> np.ndarray:
    """Root mean square error of the posterior mean, `(element,)`, in the parameter's unit.

    √( (1/N) Σₙ (mₙ − θₙ)² )
    """
    error = summary.mean - summary.truth
    return np.asarray(np.sqrt(np.mean(error**2, axis=1)))


def rmse_expected(summary: Summary) -> np.ndarray:
    """The `rmse` that the posteriors expect of themselves, `(element,)`.

    √( (1 + 1/S) (1/N) Σₙ sₙ² ), where 1/S is for the mean of S draws. Exact posteriors give about
    the same as `rmse`; posteriors that are too narrow give less.
    """
    return np.asarray(np.sqrt((1 + 1 / summary.draws) * np.mean(summary.sd**2, axis=1)))


def nrmse(summary: Summary) -> np.ndarray:
    """`rmse` divided by the standard deviation of the true values, `(element,)`.

    0 is perfect knowledge; 1 is what the prior's mean achieves without looking at the data.
    """
    return np.asarray(rmse(summary) / summary.truth.std(axis=1, ddof=1))


def nrmse_robust(summary: Summary) -> np.ndarray:
    """`nrmse` by medians, `(element,)`; itself where half of the true values are the same."""
    found = error_by_medians(summary)
    return np.where(np.isnan(found), nrmse(summary), found)


def contractions(summary: Summary) -> np.ndarray:
    """How much narrower than the prior each posterior is, `(element, dataset)`.

    1 − sₙ² / var(θ), with the variance of the true values for the prior's; on a log or asinh scale
    where that variance is ruled by tails, or does not exist (see `Summary.scale`). Not clipped: a
    posterior wider than the prior gives a negative value.

    References:
        Schad, Betancourt & Vasishth (2021), Toward a principled Bayesian workflow in cognitive
        science, arXiv 1904.12765.
    """
    return summary.contraction


def contraction(summary: Summary) -> np.ndarray:
    """Median over data sets of `contractions`, `(element,)`: 1 is certainty, 0 the prior."""
    return np.asarray(np.median(contractions(summary), axis=1))


def correlation(summary: Summary) -> np.ndarray:
    """Pearson correlation of posterior medians and true values over data sets, `(element,)`.

    0 where all medians are the same, as they are if the prior is taken for the posterior.
    """
    x = summary.median - summary.median.mean(axis=1, keepdims=True)
    y = summary.truth - summary.truth.mean(axis=1, keepdims=True)
    size = np.sqrt(np.sum(x**2, axis=1) * np.sum(y**2, axis=1))
    return np.asarray(np.sum(x * y, axis=1) / np.where(size > 0, size, 1))


def z_scores(summary: Summary) -> np.ndarray:
    """How far each posterior mean is from the truth in posterior sds, `(element, dataset)`.

    (mₙ − θₙ) / sₙ: positive where the posterior lies too high. Over data sets, exact posteriors
    give mean 0 and sd 1, of whatever shape they are. A posterior without width gives 0 if it is
    right and ±∞, shown as the largest finite number, if not.

    References:
        Schad, Betancourt & Vasishth (2021), arXiv 1904.12765.
    """
    error = summary.mean - summary.truth
    largest = np.finfo(np.float32).max
    smallest = np.finfo(np.float64).tiny
    return np.asarray(np.clip(error / np.maximum(summary.sd, smallest), -largest, largest))


def calibration_error(summary: Summary) -> np.ndarray:
    """How far the coverage of central intervals is from their level, `(element,)`.

    The central interval of level α covers the truth where |2u − 1| ≤ α, u being the (randomized)
    probability integral transform. The error is the median over 20 levels, 0.005 to 0.995, of
    |share of data sets covered − α|. Exact posteriors give `exact_calibration_error`.
    """
    return np.asarray(np.median(np.abs(coverage(summary.pit) - LEVELS), axis=1))


def coverage(pit: np.ndarray) -> np.ndarray:
    """Share of data sets whose central interval covers the truth, `(element, level)`.

    Arguments:
        pit: `(element, dataset)`.
    """
    return _reached(np.abs(2 * pit - 1))


def _reached(ranks: np.ndarray) -> np.ndarray:
    """Share of ranks `(element, dataset)` that is at most each level, `(element, level)`."""
    ordered = np.sort(ranks, axis=1)
    return np.stack([np.searchsorted(row, LEVELS, side="right") for row in ordered]) / len(ranks.T)


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Of `values (dataset,)`: the mean and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


@lru_cache(maxsize=16)
def exact_calibration_error(datasets: int) -> float:
    """The median `calibration_error` of exact posteriors with this many data sets.

    Not 0: it is 0.017 at 200 data sets and shrinks as 1/√N. Coverages of exact posteriors are
    cumulative multinomial shares, of which 4,000 are drawn from a fixed seed.
    """
    rng = np.random.default_rng(0)
    shares = np.diff(LEVELS, prepend=0.0, append=1.0)
    covered = np.cumsum(rng.multinomial(datasets, shares, size=4_000), axis=1)[:, :-1] / datasets
    return float(np.median(np.median(np.abs(covered - LEVELS), axis=1)))
