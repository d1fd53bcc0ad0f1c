"""Advice on each fault: its meaning in plain words, its look in the pictures, remedies to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.diagnostics.faults import Kind
from abi_cli.diagnostics.verdict import Outcome, Verdict, datasets_to_tell


@dataclass(frozen=True)
class Advice:
    """One fault, for a reader.

    Arguments:
        title: Which parameters have it, such as "sigma: 22 % too narrow".
        meaning: What it means, and where it is seen.
        remedies: What to try, the most promising first.
    """

    title: str
    meaning: str
    remedies: tuple[str, ...]


@dataclass(frozen=True)
class Means:
    """The parts of a run that decide which remedies can be tried.

    Arguments:
        inference: Name of the inference network; empty where that is not known.
        transform, base: Those of a flow; empty for other networks.
        large: Whether networks are as large as `size` makes them.
        settled: Whether the loss had come to rest.
        refines: Whether the spec names a density by which posteriors can be made exact.
    """

    inference: str = ""
    transform: str = ""
    base: str = ""
    large: bool = False
    settled: bool = False
    refines: bool = False


UNKNOWN_MEANS = Means()


def settled(history: Sequence[Mapping[str, float]]) -> bool:
    """True if the loss had come to rest: in the last quarter it fell by no more than its noise.

    Arguments:
        history: Rows of epochs; see `Inputs`.
    """
    losses = np.array([row.get("val_loss", row["loss"]) for row in history])
    part = len(losses) // 4
    if part < 2 or not np.isfinite(losses[-2 * part :]).all():
        return False
    before, last = losses[-2 * part : -part], losses[-part:]
    noise = np.sqrt((before.var(ddof=1) + last.var(ddof=1)) / part)
    return bool(before.mean() - last.mean() < max(2 * noise, LITTLE))


LITTLE = 0.01
"""A fall of the loss, in nats, that counts as none."""

Remedy = Callable[[Means], str | None]
"""A function that says what to try with a run; None where it has that already."""


def _refined(means: Means) -> str | None:
    if not means.refines:
        return None
    return "Let the log_likelihood make each posterior exact: abi sample --refine."


def _longer(means: Means) -> str | None:
    return None if means.settled else "Train longer (training.epochs): the loss may fall on."


def _larger(means: Means) -> str | None:
    return None if means.large else "Give the networks more room: size: large."


def _summary(_: Means) -> str | None:
    return (
        "Let the data reach the network: a longer summary (summary_dim), a summary network that "
        "can see what matters, no adapter step that drops it."
    )


def _spline(means: Means) -> str | None:
    if means.transform == "affine":
        return f"Let {means.inference} bend: transform: spline."
    if means.transform == "spline":
        return None
    if means.inference == "gaussian_mixture":
        return "Give gaussian_mixture more components, or take coupling_flow: {transform: spline}."
    return None if means.inference else "Take a network that bends, such as a spline flow."


def _heavy(means: Means) -> str | None:
    if means.base and means.base != "student_t":
        return f"Give {means.inference} heavier tails: base: student_t."
    return None


def _several(means: Means) -> str | None:
    if means.base and means.base != "mixture":
        return f"Give {means.inference} several modes: base: mixture; or take flow_matching."
    return None if means.inference else "Take a network with several modes, such as flow_matching."


def _fresh(_: Means) -> str | None:
    return (
        "Train on fresh simulations rather than on a stored few, or stop early: posteriors that "
        "are too sure are how overfitting shows."
    )


def _bounded(_: Means) -> str | None:
    return (
        "A declared prior keeps draws within its bounds; other bounds are named in the adapter: "
        "constrain: {keys: p, lower: 0, upper: 1}. A long tail of the prior may be narrowed."
    )


_MEANINGS: dict[Kind, tuple[str, tuple[Remedy, ...]]] = {
    Kind.NARROW: (
        "True values fall into the tails of the posterior more often than they should: intervals "
        "are too short, and what is concluded from them too sure. The rank histogram has the shape "
        "of a valley, the curve of coverage lies below the diagonal.",
        (_fresh, _longer, _larger),
    ),
    Kind.WIDE: (
        "True values lie near the middle of the posterior more often than they should: it is safe, "
        "but vaguer than the data would allow. The rank histogram has the shape of a hill (a "
        "frown), the curve of coverage lies above the diagonal.",
        (_longer, _summary, _larger),
    ),
    Kind.LOW: (
        "True values rank high: the posterior lies below where it should. The rank histogram rises "
        "to the right.",
        (_longer, _summary, _spline),
    ),
    Kind.HIGH: (
        "True values rank low: the posterior lies above where it should. The rank histogram falls "
        "to the right.",
        (_longer, _summary, _spline),
    ),
    Kind.SHAPE: (
        "Place and width are right, the shape is not: a tail, a second mode or a bound is missed. "
        "Look at where the curve of the ranks leaves its band.",
        (_spline, _heavy, _several, _larger, _longer),
    ),
    Kind.TAILS: (
        "Draws have the right sd, but not its shape: true values lie near the middle or far out "
        "more often than draws do. Intervals in between are too long, those of 99 % too short.",
        (_heavy, _spline, _larger, _longer),
    ),
    Kind.MODES: (
        "Draws have the right sd, but not its shape: true values lie to both sides of the middle "
        "more often than draws do, as where two modes are drawn as one. The middle of such draws "
        "is where no truth is.",
        (_several, _spline, _larger, _longer),
    ),
    Kind.SKEW: (
        "Draws have the right sd, but not its shape: true values reach farther out to one side "
        "than to the other, and draws do not.",
        (_spline, _larger, _longer),
    ),
    Kind.UNINFORMED: (
        "Statistics of the data predict the truth better than the posterior knows it: the network "
        "does not use all that the data tell. Uniform ranks alone can't show this: the prior has "
        "them, too.",
        (_summary, _longer, _larger),
    ),
    Kind.OVERINFORMED: (
        "Draws lie closer than the truths to what plain features of the data predict: the "
        "posterior follows the data more than it should.",
        (_fresh, _longer),
    ),
    Kind.JOINT_NARROW: (
        "Parameters together lie farther out than their draws: the joint posterior is too sure, "
        "be it that its margins are right. Correlations between parameters are the first suspect.",
        (_fresh, _longer, _larger, _spline),
    ),
    Kind.JOINT_WIDE: (
        "Parameters together lie closer to the middle than their draws: the joint posterior is "
        "vaguer than it should be. Correlations between parameters are the first suspect.",
        (_longer, _larger, _spline),
    ),
    Kind.JOINT_SHAPE: (
        "Parameters together do not lie as their draws do, though on average as far out: how they "
        "depend on each other is not what is drawn, be it that margins are right. Look at the "
        "posterior pair by pair.",
        (_spline, _several, _larger, _longer),
    ),
    Kind.BEYOND: (
        "Draws lie where the prior never was in training. Either the prior has a bound that the "
        "networks do not know of, or single draws are thrown far out: then means and sds of "
        "those posteriors mean nothing, while medians and quantiles may be right.",
        (_bounded, _spline, _longer),
    ),
    Kind.LOST: (
        "A classifier that sees ranks of the parameters, their products and statistics of the data "
        "tells true parameters from draws so well that draws must be at least so far from exact "
        "posteriors (Kullback–Leibler divergence).",
        (_longer, _summary, _spline, _larger),
    ),
    Kind.OUTDONE: (
        "Networks that learned from fresh simulations of the same model, with attention and all "
        "statistics of the data, give true parameters of data sets that they have not seen a "
        "density so much larger, on average, that the run's posteriors are at least so far from "
        "exact ones (Kullback–Leibler divergence).",
        (_summary, _longer, _spline, _larger),
    ),
    Kind.TOLD_APART: (
        "A classifier that sees residuals and features of the data tells true parameters from "
        "draws: place, width or correlations of posteriors are off for some data sets, though "
        "right on average.",
        (_longer, _summary, _larger),
    ),
}


_SCOPES = {
    True: "each parameter, all together, and given plain features of the data. A posterior that "
    "leaves out what those features do not show passes, too.",
    False: "each parameter, and all together. Of the data nothing is known here: posteriors that "
    "ignore them pass, too.",
}


def advice(verdict: Verdict, *, datasets: int, means: Means = UNKNOWN_MEANS) -> Iterator[Advice]:
    """Advice on each fault, and on what can't be told.

    Arguments:
        means: What the run has: remedies are of what it has not.
    """
    guilty: dict[Kind, list[str]] = {}
    for name, own in (*verdict.parameters.items(), *verdict.joint.items()):
        where = name if name in verdict.parameters else "jointly"
        for fault in own.faults:
            for kind in fault.kinds:
                guilty.setdefault(kind, []).append(f"{where}: {fault.reason}")
    for kind, reasons in guilty.items():
        meaning, remedies = _MEANINGS[kind]
        usable = tuple(
            said for remedy in (_refined, *remedies) if (said := remedy(means)) is not None
        )
        yield Advice("; ".join(dict.fromkeys(reasons)), meaning, usable)
    unsure = [
        name for name, own in verdict.parameters.items() if own.outcome is Outcome.CANNOT_TELL
    ]
    if unsure:
        needed = datasets_to_tell(verdict.limits, datasets)
        yield Advice(
            f"{', '.join(unsure)}: not enough data sets to tell",
            f"No fault was found in {datasets:,} data sets, but the intervals of width and place "
            "reach beyond the limits: a fault of that size could have gone unseen.",
            (f"Take more data sets: --datasets {needed} usually is enough.",),
        )
    if verdict.outcome is Outcome.PASS:
        yield Advice(
            "What this does and does not say",
            f"In {datasets:,} data sets true values look like one more draw of their posteriors: "
            f"{_SCOPES['data' in verdict.tested]} It rests on {verdict.scope}. That holds on "
            "average over data that the model could have made. Whether your data are such is "
            "another question: --observed FILE asks it, and --near FILE whether posteriors are "
            "right near them.",
            (),
        )
