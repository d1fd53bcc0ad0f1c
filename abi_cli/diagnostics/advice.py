"""What a fault means in plain words, how it shows in the pictures, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from abi_cli.diagnostics.verdict import Kind, Outcome, Verdict, datasets_needed


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


_LONGER = "Train longer (training.epochs), if the loss was still falling."
_LARGER = "Give the networks more room: size: large."
_SUMMARY = (
    "Let the data reach the network: a longer summary (summary_dim), a summary network that can "
    "see what matters, no adapter step that drops it."
)
_FAMILY = (
    "Try another family: coupling_flow with transform: spline, or flow_matching where posteriors "
    "come apart; base: student_t for heavy tails."
)
_FRESH = (
    "Train on fresh simulations rather than on a stored few, or stop early: posteriors that are "
    "too sure are how overfitting shows."
)

_MEANINGS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.NARROW: (
        "True values fall into the tails of the posterior more often than they should: intervals "
        "are too short, and what is concluded from them too sure. The rank histogram has the shape "
        "of a valley, the curve of coverage lies below the diagonal.",
        (_FRESH, _LONGER, _LARGER),
    ),
    Kind.WIDE: (
        "True values lie near the middle of the posterior more often than they should: it is safe, "
        "but vaguer than the data would allow. The rank histogram has the shape of a hill (a "
        "frown), the curve of coverage lies above the diagonal.",
        (_LONGER, _SUMMARY, _LARGER),
    ),
    Kind.LOW: (
        "True values rank high: the posterior lies below where it should. The rank histogram rises "
        "to the right.",
        (_LONGER, _SUMMARY, _FAMILY),
    ),
    Kind.HIGH: (
        "True values rank low: the posterior lies above where it should. The rank histogram falls "
        "to the right.",
        (_LONGER, _SUMMARY, _FAMILY),
    ),
    Kind.SHAPE: (
        "Place and width are right, the shape is not: a tail, a second mode or a bound is missed. "
        "Look at where the curve of the ranks leaves its band.",
        (_FAMILY, _LARGER, _LONGER),
    ),
    Kind.UNINFORMED: (
        "Plain features of the data predict the truth better than the posterior knows it: the "
        "network does not use all that the data tell. Uniform ranks alone can't show this: the "
        "prior has them, too.",
        (_SUMMARY, _LONGER, _LARGER),
    ),
    Kind.OVERINFORMED: (
        "Draws lie closer than the truths to what plain features of the data predict: the "
        "posterior follows the data more than it should.",
        (_FRESH, _LONGER),
    ),
    Kind.JOINT_NARROW: (
        "Parameters together lie farther out than their draws: the joint posterior is too sure, "
        "be it that its margins are right. Correlations between parameters are the first suspect.",
        (_FRESH, _LONGER, _LARGER, _FAMILY),
    ),
    Kind.JOINT_WIDE: (
        "Parameters together lie closer to the middle than their draws: the joint posterior is "
        "vaguer than it should be. Correlations between parameters are the first suspect.",
        (_LONGER, _LARGER, _FAMILY),
    ),
    Kind.BEYOND: (
        "Draws lie where the prior never was in training. Either the prior has a bound that the "
        "networks do not know of, or single draws are thrown far out: then means and sds of "
        "those posteriors mean nothing, while medians and quantiles may be right.",
        (
            "If there is a bound, declare the prior, or name the bound in the adapter: "
            "constrain: {keys: p, lower: 0, upper: 1}.",
            _FAMILY,
            _LONGER,
        ),
    ),
    Kind.TOLD_APART: (
        "A classifier that sees residuals and features of the data tells true parameters from "
        "draws: place or width of posteriors is off for some data sets, though right on average.",
        (_LONGER, _SUMMARY, _LARGER),
    ),
}


def advice(verdict: Verdict, *, datasets: int) -> Iterator[Advice]:
    """What a reader should know of each fault, and of what can't be told."""
    guilty: dict[Kind, list[str]] = {}
    for name, own in (*verdict.parameters.items(), *verdict.joint.items()):
        where = name if name in verdict.parameters else "jointly"
        for fault in own.faults:
            for kind in fault.kinds:
                guilty.setdefault(kind, []).append(f"{where}: {fault.reason}")
    for kind, reasons in guilty.items():
        meaning, remedies = _MEANINGS[kind]
        yield Advice("; ".join(dict.fromkeys(reasons)), meaning, remedies)
    unsure = [
        name for name, own in verdict.parameters.items() if own.outcome is Outcome.CANNOT_TELL
    ]
    if unsure:
        needed = datasets_needed(verdict.limits)
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
            "each parameter, all together, and given what the data tell. That holds for data that "
            "the model could have made. Whether your data are such is another question: "
            "--observed FILE asks it.",
            (),
        )
