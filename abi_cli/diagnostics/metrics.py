r"""Metrics of a posterior, from data sets whose parameters are known.

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
from typing import Any

import numpy as np

from abi_cli.diagnostics import measures as of
from abi_cli.diagnostics.bands import ecdf_band
from abi_cli.diagnostics.beside import Beside, Exact, beside
from abi_cli.diagnostics.context import BinMetrics, bins_of, measure_bins
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Limits
from abi_cli.diagnostics.losses import Features, Learned
from abi_cli.diagnostics.ratio import Loss
from abi_cli.diagnostics.scalars import Scalars, Summary
from abi_cli.diagnostics.strata import Stratum, strata_of
from abi_cli.diagnostics.strays import strays_of
from abi_cli.diagnostics.uniformity import Uniformity, uniformity
from abi_cli.diagnostics.verdict import Evidence, Verdict, judge
from abi_cli.ranges import Range

SCHEMA = "abi.metrics/2"

IDLE = 0.05
"""Contraction below which a posterior might as well be the prior."""


RULED = 5.0
"""Ratio of an error to that by medians above which a few posteriors rule it."""


@dataclass(frozen=True)
class ElementMetrics:
    """All metrics of one scalar parameter; most are defined in `measures`, by their names.

    Arguments:
        rmse_expected: What the posteriors themselves expect `rmse` to be.
        given_data: Uniformity of the ranks of the distance from a prediction by the data (see
            `dependence`); None where the data are not known.
        loss: How many nats it is from exact at least (see `losses`); None where that is unknown.
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
    loss: Loss | None = None
    outside: float | None = None
    far: int | None = None

    @property
    def ruled(self) -> bool:
        """True if a few posteriors rule `nrmse`."""
        return self.nrmse > RULED * self.nrmse_robust

    def to_config(self) -> dict[str, Any]:
        """The metrics as plain JSON values, flat."""
        flat = asdict(self)
        ranks = flat.pop("uniformity")
        if self.given_data is not None:
            flat["given_data"] |= {"p_uniform": self.given_data.p}
        return {**flat, **ranks, "p_uniform": self.uniformity.p}


@dataclass(frozen=True)
class JointMetrics:
    """Metrics of one quantity of the joint distribution (see `joint`).

    Arguments:
        ranks: How uniform its ranks are.
        coverage_error: As `calibration_error`, of the regions that the quantity bounds: a region of
            level α covers the truth where the rank is at most α.
    """

    ranks: Uniformity
    coverage_error: float

    def to_config(self) -> dict[str, Any]:
        """The metrics as plain JSON values."""
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
        loss: How many nats the joint posterior is from exact at least; None where that is unknown.
        strata: Element name → how its ranks depend on what the data are.
        near: Label of an observed data set → element name → how uniform its ranks are in simulated
            ones near it; empty where that is not asked for.
        disagreement: Of an ensemble: element name → the median over data sets of the share of the
            posterior variance that lies between its members; empty without one.
        observed: Label of an observed data set → p-value of its being one of the model's, by the
            guard; empty where none was given.
        beside: What refined posteriors say; None where none were made.
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
    loss: Loss | None = None
    strata: Mapping[str, tuple[Stratum, ...]] = field(default_factory=dict)
    near: Mapping[str, Mapping[str, Uniformity]] = field(default_factory=dict)
    disagreement: Mapping[str, float] = field(default_factory=dict)
    observed: Mapping[str, float] = field(default_factory=dict)
    beside: Beside | None = None

    def to_config(self) -> dict[str, Any]:
        """The metrics as plain JSON values: the content of `metrics.json`."""
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
            "loss": self.loss and self.loss.to_config(),
            "negative_log_density": self.negative_log_density
            and dict(zip(("mean", "standard_error"), self.negative_log_density, strict=True)),
            "by_context": [part.to_config() for part in self.by_context],
            "strata": {name: [one.to_config() for one in own] for name, own in self.strata.items()},
            "skipped": dict(self.skipped),
            "notes": list(self.notes),
            **({"disagreement": dict(self.disagreement)} if self.disagreement else {}),
            **(
                {"near": {label: _near(own) for label, own in self.near.items()}}
                if self.near
                else {}
            ),
            **({"observed": dict(self.observed)} if self.observed else {}),
            **({"refined": self.beside.to_config()} if self.beside else {}),
        }


def measure(
    scalars: Scalars,
    summary: Summary,
    *,
    data_ranks: np.ndarray | None = None,
    joint_ranks: Mapping[str, np.ndarray] | None = None,
    learned: Learned | None = None,
    log_density: np.ndarray | None = None,
    context: Mapping[str, np.ndarray] | None = None,
    features: Features | None = None,
    near: Mapping[str, np.ndarray] | None = None,
    ranges: Mapping[str, Range] | None = None,
    exact: Exact | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Metrics:
    """All metrics of all elements, and the verdict on them.

    Arguments:
        data_ranks: As by `data_pit`, `(element, dataset)`; None where the data are not known.
        joint_ranks: As by `joint_pits`, quantity → `(dataset,)`.
        learned: What was learned to tell truths from draws; None where nothing was.
        log_density: Of the truth given the data, `(dataset,)`; None where there is none.
        context: Variable → its values, `(dataset,)`.
        features: What describes the data; None where these are not known.
        near: Label of an observed data set → the data sets near it, as indices.
        ranges: Element name → what the prior gave of it in training; empty where that is not known.
        exact: Refined posteriors of the first data sets; None where none were made.
    """
    strays = strays_of(scalars, summary, ranges or {})
    band = ecdf_band(summary.truth.shape[1])
    bins = measure_bins(bins_of(context or {}), scalars.names, summary)
    looked_up, components = dict(context or {}), {}
    if features is not None:
        looked_up, components = {**features.named(), **looked_up}, features.components()
    found = strata_of(summary, looked_up, components)
    strata = dict(zip(scalars.names, found, strict=True))
    around = {
        label: {
            name: uniformity(summary.pit[k, rows], interval=limits.interval)
            for k, name in enumerate(scalars.names)
        }
        for label, rows in (near or {}).items()
    }
    datasets = summary.truth.shape[1]
    compared = None
    if exact is not None:
        named = {} if features is None else features.named()
        compared = beside(exact, scalars.names, summary, context=context or {}, named=named)
    columns = {
        "rmse": of.rmse(summary),
        "rmse_expected": of.rmse_expected(summary),
        "nrmse": of.nrmse(summary),
        "nrmse_robust": of.nrmse_robust(summary),
        "contraction": of.contraction(summary),
        "correlation": of.correlation(summary),
        "z_score_mean": of.z_scores(summary).mean(axis=1),
        "z_score_sd": of.z_scores(summary).std(axis=1, ddof=1),
        "calibration_error": of.calibration_error(summary),
        "log_gamma": np.array([band.log_gamma(pit) for pit in summary.pit]),
    }
    joint = {
        name: JointMetrics(
            uniformity(pit, interval=limits.interval),
            float(np.median(np.abs(of.reached(pit[None]) - of.LEVELS))),
        )
        for name, pit in (joint_ranks or {}).items()
    }
    parameters = {
        name: ElementMetrics(
            nrmse_normaliser="sd of the true values",
            contraction_scale=summary.scale[k],
            uniformity=uniformity(summary.pit[k], interval=limits.interval),
            rank_histogram=tuple(np.histogram(summary.pit[k], 10, (0, 1))[0].tolist()),
            given_data=None if data_ranks is None else uniformity(data_ranks[k]),
            loss=None if learned is None else learned.each.get(name),
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
            "calibration_error": of.exact_calibration_error(datasets),
            "coverage_error": of.exact_calibration_error(datasets),
            "mean_score": 0.0,
            "sd_ratio": 1.0,
            "mean_square": 1.0,
        },
        joint=joint,
        negative_log_density=None if log_density is None else of.mean_and_error(-log_density),
        loss=None if learned is None else learned.together,
        by_context=bins,
        strata=strata,
        near=around,
        beside=compared,
        skipped=scalars.skipped,
        notes=_notes(parameters),
        verdict=judge(
            {
                name: Evidence(
                    own.uniformity,
                    width=1 / max(own.z_score_sd, 1e-300),
                    given_data=own.given_data,
                    loss=own.loss,
                    near={label: own[name] for label, own in around.items()},
                    strata=strata[name],
                    beyond=strays[name].reason if name in strays else None,
                    exact=None if compared is None else compared.parameters.get(name),
                )
                for name, own in parameters.items()
            },
            {name: own.ranks for name, own in joint.items()},
            None if learned is None else learned.together,
            datasets=datasets,
            limits=limits,
        ),
    )


def _near(own: Mapping[str, Uniformity]) -> dict[str, Any]:
    """Uniformity of ranks, by element, as plain JSON values."""
    return {name: asdict(ranks) for name, ranks in own.items()}


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
