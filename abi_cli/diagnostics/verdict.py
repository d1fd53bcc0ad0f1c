"""Can these posteriors be trusted? An answer in one word and one sentence.

With enough data sets any approximation is detectably not exact, and with few of them a coincidence
looks like a fault. So a parameter fails only on significance *and* size, and passes only if the
intervals of both sizes lie within the limits; in between the honest answer is "cannot tell". So it
is with the joint distribution, whose quantities (`joint`) have one size, and a larger limit: where
they are off, but by less, that is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from abi_cli.diagnostics.uniformity import Uniformity


class Outcome(StrEnum):
    """What a verdict can be, best first."""

    PASS = "pass"  # noqa: S105 -- not a password
    CANNOT_TELL = "cannot tell"
    WARN = "warn"
    FAIL = "fail"


class Kind(StrEnum):
    """What can be wrong with a posterior."""

    NARROW = "narrow"
    WIDE = "wide"
    LOW = "low"
    HIGH = "high"
    SHAPE = "shape"
    UNINFORMED = "uninformed"
    OVERINFORMED = "overinformed"
    JOINT_NARROW = "joint_narrow"
    JOINT_WIDE = "joint_wide"
    TOLD_APART = "told_apart"
    BEYOND = "beyond"


@dataclass(frozen=True)
class Fault:
    """Something that is certainly wrong.

    Arguments:
        kinds: What, in the field's terms.
        reason: In a few words, with size and p-value.
        large: Whether it is beyond the limits.
    """

    kinds: tuple[Kind, ...]
    reason: str
    large: bool


@dataclass(frozen=True)
class Limits:
    """How large a fault may be, and how sure one must be of it.

    Arguments:
        p: Family-wise level: exact posteriors are called inexact with at most this probability,
            however many parameters there are (Bonferroni).
        sd_ratio: Posterior sds may be off by this factor, either way.
        mean_score: The mean normal score may be this far from 0, either way.
        joint_warning, joint_failure: From where on the mean normal score of a joint quantity is
            worth a warning, and a failure.
    """

    p: float = 0.03
    sd_ratio: float = 1.1
    mean_score: float = 0.1
    joint_warning: float = 0.1
    joint_failure: float = 0.5


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ElementVerdict:
    """The verdict on one scalar parameter, or on one joint quantity.

    Arguments:
        outcome: In a word.
        reason: In a few words, such as "22 % too narrow".
        faults: What is certainly wrong, the one that decides first.
    """

    outcome: Outcome
    reason: str
    faults: tuple[Fault, ...] = ()

    @classmethod
    def of(cls, faults: list[Fault]) -> ElementVerdict:
        """What follows from faults: the first of the large ones decides."""
        ordered = tuple(sorted(faults, key=lambda fault: not fault.large))
        outcome = Outcome.FAIL if ordered[0].large else Outcome.WARN
        return cls(outcome, ordered[0].reason, ordered)

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "reason": self.reason,
            "faults": [kind.value for fault in self.faults for kind in fault.kinds],
        }


@dataclass(frozen=True)
class Verdict:
    """The verdict on all parameters: the worst of theirs.

    Arguments:
        outcome: In a word.
        sentence: What is wrong with which parameter, or how much is ruled out.
        parameters: Element name → its own verdict.
        joint: Quantity of the joint distribution → the verdict by it.
        limits: What was tolerated.
    """

    outcome: Outcome
    sentence: str
    parameters: Mapping[str, ElementVerdict]
    joint: Mapping[str, ElementVerdict] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "sentence": self.sentence,
            "parameters": {name: own.to_config() for name, own in self.parameters.items()},
            "joint": {name: own.to_config() for name, own in self.joint.items()},
            "limits": asdict(self.limits),
        }


def judge(
    elements: Mapping[str, Uniformity],
    given_data: Mapping[str, Uniformity] | None = None,
    by_context: Mapping[str, Mapping[str, Uniformity]] | None = None,
    joint: Mapping[str, Uniformity] | None = None,
    *,
    datasets: int,
    beyond: Mapping[str, str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Judge all parameters together.

    Arguments:
        elements: Element name → how uniform its ranks are.
        given_data: The same of its distance from a prediction by the data, where that is known.
        by_context: In words which data sets → element name → how uniform its ranks are in those.
        joint: Quantity → how uniform its ranks are.
        datasets: How many data sets that rests on.
        beyond: Element name → where its draws lie that the prior never gave: worth a warning.
        limits: What is tolerated.
    """
    known, bins = given_data or {}, by_context or {}
    # Each test of each parameter has its share of the level: three of ranks, one given the data,
    # two in each bin; and each joint quantity.
    tests = len(elements) * (3 + bool(known) + 2 * len(bins)) + len(joint or {})
    level = limits.p / tests
    verdicts = {
        name: _judge_one(
            element,
            known.get(name),
            {where: own[name] for where, own in bins.items()},
            (beyond or {}).get(name),
            level=level,
            limits=limits,
        )
        for name, element in elements.items()
    }
    joint_verdicts = {
        name: _judge_joint(name, own, level=level, limits=limits)
        for name, own in (joint or {}).items()
    }
    return together(verdicts, joint_verdicts, datasets=datasets, limits=limits)


def together(
    parameters: Mapping[str, ElementVerdict],
    joint: Mapping[str, ElementVerdict],
    *,
    datasets: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """The verdict on all, from that on each.

    Arguments:
        parameters: Element name → its own.
        joint: Quantity of the joint distribution → the verdict by it.
        datasets: How many data sets they rest on.
    """
    order = list(Outcome)
    worst = max((v.outcome for v in (*parameters.values(), *joint.values())), key=order.index)
    guilty = {name: v.reason for name, v in parameters.items() if v.outcome is worst}
    more = [v.reason for v in joint.values() if v.outcome is worst]
    guilty |= {"the joint posterior": " and ".join(more)} if more else {}
    strays = any(Kind.BEYOND in v.faults[0].kinds for v in parameters.values() if v.faults)
    sentence = _sentence(worst, guilty, datasets=datasets, strays=strays, limits=limits)
    return Verdict(worst, sentence, parameters, joint, limits)


def datasets_needed(limits: Limits) -> int:
    """How many data sets nearly always suffice to see that exact posteriors are within limits.

    An interval of 90 % reaches 1.65 standard errors to either side of an estimate that itself is
    seldom more than 2.8 of them off, so 4.45 must fit into the limit. The standard error of the
    mean normal score is 1/√N, that of the logarithm of the sd ratio 1/√(2N).
    """
    tightest = min(limits.mean_score, math.sqrt(2) * math.log(limits.sd_ratio))
    return int(float(f"{(4.45 / tightest) ** 2:.1g}"))


def _judge_one(
    element: Uniformity,
    given_data: Uniformity | None,
    bins: Mapping[str, Uniformity],
    beyond: str | None,
    *,
    level: float,
    limits: Limits,
) -> ElementVerdict:
    faults: list[Fault] = []
    if min(element.p_location, element.p_spread, element.p_shape) < level:
        faults.append(_fault(element, level=level, large=_is_large(element, limits)))
    if given_data is not None and given_data.p_location < level:
        faults.append(_unread(given_data, limits))
    wrong = {w: own for w, own in bins.items() if min(own.p_location, own.p_spread) < level}
    if wrong:
        where = min(wrong, key=lambda w: wrong[w].p)
        large = any(_is_large(own, limits) for own in wrong.values())
        fault = _fault(wrong[where], level=level, large=large)
        faults.append(replace(fault, reason=f"{fault.reason} where {where}"))
    if beyond is not None:
        faults.append(Fault((Kind.BEYOND,), beyond, large=False))
    if faults:
        return ElementVerdict.of(faults)

    ratio_low, ratio_high = element.sd_ratio_interval
    score_low, score_high = element.mean_score_interval
    if (
        1 / limits.sd_ratio <= ratio_low
        and ratio_high <= limits.sd_ratio
        and -limits.mean_score <= score_low
        and score_high <= limits.mean_score
    ):
        return ElementVerdict(Outcome.PASS, "within the limits")
    return ElementVerdict(
        Outcome.CANNOT_TELL,
        f"sd {ratio_low:.2f} to {ratio_high:.2f} of the exact one, "
        f"mean normal score {_signed(score_low)} to {_signed(score_high)}",
    )


def _is_large(element: Uniformity, limits: Limits) -> bool:
    wide = not 1 / limits.sd_ratio <= element.sd_ratio <= limits.sd_ratio
    return wide or abs(element.mean_score) > limits.mean_score


def _judge_joint(
    quantity: str, ranks: Uniformity, *, level: float, limits: Limits
) -> ElementVerdict:
    size = abs(ranks.mean_score)
    if ranks.p_location >= level or size < limits.joint_warning:
        low, high = ranks.mean_score_interval
        if -limits.joint_failure <= low and high <= limits.joint_failure:
            return ElementVerdict(Outcome.PASS, "within the limits")
        reason = f"mean normal score {_signed(low)} to {_signed(high)}"
        return ElementVerdict(Outcome.CANNOT_TELL, reason)
    far_out = ranks.mean_score > 0
    kind, words = {
        ("spread", True): (Kind.JOINT_NARROW, "too narrow"),
        ("spread", False): (Kind.JOINT_WIDE, "too wide"),
        ("reference", True): (Kind.OVERINFORMED, "surer than the data allow"),
        ("reference", False): (Kind.UNINFORMED, "less informed than the data allow"),
    }.get((quantity, far_out), (Kind.TOLD_APART, "told from the truth by a classifier"))
    reason = f"{words} ({quantity} {_signed(ranks.mean_score)}, p = {ranks.p_location:.1g})"
    return ElementVerdict.of([Fault((kind,), reason, size > limits.joint_failure)])


def _fault(element: Uniformity, *, level: float, large: bool) -> Fault:
    """What is certain."""
    faults: dict[Kind, str] = {}
    if element.p_spread < level:
        percent = 100 * abs(element.sd_ratio - 1)
        kind = Kind.WIDE if element.sd_ratio > 1 else Kind.NARROW
        faults[kind] = f"{percent:.0f} % too {kind.value} (p = {element.p_spread:.1g})"
    if element.p_location < level:
        # A true value that ranks high means a posterior that lies low.
        kind = Kind.LOW if element.mean_score > 0 else Kind.HIGH
        size = abs(element.mean_score)
        faults[kind] = f"{size:.2f} sd too {kind.value} (p = {element.p_location:.1g})"
    # The shape test sees the other two faults as well: it speaks only where they don't.
    if not faults:
        faults[Kind.SHAPE] = f"of the wrong shape (p = {element.p_shape:.1g})"
    return Fault(tuple(faults), " and ".join(faults.values()), large)


def _unread(given_data: Uniformity, limits: Limits) -> Fault:
    """What ranks of the distance from a prediction by the data mean."""
    kind, words = Kind.UNINFORMED, "less informed than the data allow"
    if given_data.mean_score > 0:  # the draws are closer to the prediction than the truths
        kind, words = Kind.OVERINFORMED, "surer than the data allow"
    reason = f"{words} (p = {given_data.p_location:.1g})"
    return Fault((kind,), reason, abs(given_data.mean_score) > limits.mean_score)


def _sentence(
    outcome: Outcome,
    guilty: Mapping[str, str],
    *,
    datasets: int,
    strays: bool,
    limits: Limits,
) -> str:
    size = f"{100 * (limits.sd_ratio - 1):.0f} % in width or {limits.mean_score:g} sd in place"
    if outcome is Outcome.PASS:
        return f"No posterior is off by more than {size}, as far as {datasets:,} data sets tell."
    if outcome is Outcome.CANNOT_TELL:
        return (
            f"No fault found, but {datasets:,} data sets are too few to rule out posteriors off by "
            f"{size} ({_listed(list(guilty))}): about {datasets_needed(limits):,} usually tell."
        )
    faults = _listed([f"{name} is {fault}" for name, fault in guilty.items()])
    if outcome is Outcome.WARN and strays:
        return f"Detectably not exact: {faults}."
    if outcome is Outcome.WARN:
        return f"Detectably not exact, by less than {size}: {faults}."
    return f"Posteriors can't be trusted: {faults}."


def _listed(words: list[str], *, most: int = 4) -> str:
    shown = words[:most]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
