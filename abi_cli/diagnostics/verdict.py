"""Can these posteriors be trusted? An answer in one word and one sentence.

With enough data sets any approximation is detectably not exact, and with few of them a coincidence
looks like a fault. So a parameter fails only on significance *and* size, and passes only if the
intervals of both sizes lie within the limits; in between the honest answer is "cannot tell". So it
is with the joint distribution, whose quantities (`joint`) have one size, and a larger limit: where
they are off, but by less, that is a warning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from abi_cli.diagnostics import faults
from abi_cli.diagnostics.beside import ElementBeside
from abi_cli.diagnostics.challenge import Challenged
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Fault, Kind, Limits, signed
from abi_cli.diagnostics.ratio import Loss, detectable
from abi_cli.diagnostics.strata import Stratum
from abi_cli.diagnostics.uniformity import Uniformity


class Outcome(StrEnum):
    """The outcome of a verdict, best first."""

    PASS = "pass"  # noqa: S105 -- not a password
    CANNOT_TELL = "cannot tell"
    WARN = "warn"
    FAIL = "fail"


TESTS = ("ranks", "data", "likelihood", "challenge")
"""Tests of posteriors, by their material.

They are ranks of parameters, those of what depends on the data, those of the density of the model,
and rivals that learn from the same simulations.
"""


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
        """The verdict that follows from faults, of which the first large one decides."""
        ordered = tuple(sorted(faults, key=lambda fault: not fault.large))
        outcome = Outcome.FAIL if ordered[0].large else Outcome.WARN
        return cls(outcome, ordered[0].reason, ordered)

    def to_config(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
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
        tested: By what, of `TESTS`.
        detectable: Nats by which a worse network would have been found; None without rivals.
    """

    outcome: Outcome
    sentence: str
    parameters: Mapping[str, ElementVerdict]
    joint: Mapping[str, ElementVerdict] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS
    tested: tuple[str, ...] = ()
    detectable: float | None = None

    @property
    def scope(self) -> str:
        """The tests behind it: "ranks and data; no likelihood, no challenge"; may be empty."""
        absent = ", ".join(f"no {one}" for one in TESTS if one not in self.tested)
        return "; ".join(filter(None, (listed(self.tested), absent))) if self.tested else ""

    @property
    def title(self) -> str:
        """The outcome and the tests that it rests on."""
        return f"{self.outcome.value} ({self.scope})" if self.scope else self.outcome.value

    def to_config(self) -> dict[str, Any]:
        """The verdict as plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "sentence": self.sentence,
            "parameters": {name: own.to_config() for name, own in self.parameters.items()},
            "joint": {name: own.to_config() for name, own in self.joint.items()},
            "limits": asdict(self.limits),
        }


@dataclass(frozen=True)
class Evidence:
    """The evidence on one parameter.

    Arguments:
        ranks: How uniform its ranks are.
        width: Posterior sd ÷ the error that it should tell, over all data sets; None where unknown.
        given_data: How uniform the ranks of its distance from a prediction by the data are; None
            where the data are not known.
        loss: How far from exact it is at least, as far as a classifier learned; None where unknown.
        near: Label of an observed data set → how uniform its ranks are in data sets near it.
        strata: How its ranks depend on what the data are.
        beyond: Where its draws lie that the prior never gave: worth a warning.
        exact: How it does beside refined posteriors; None where there are none.
        sums: Of a log density, how many parameters it is a sum over; 0 of anything else.
    """

    ranks: Uniformity
    width: float | None = None
    given_data: Uniformity | None = None
    loss: Loss | None = None
    near: Mapping[str, Uniformity] = field(default_factory=dict)
    strata: tuple[Stratum, ...] = ()
    beyond: str | None = None
    exact: ElementBeside | None = None
    sums: int = 0

    @property
    def tests(self) -> int:
        """The number of tests that share the level: of ranks, given the data, by strata."""
        known = (self.given_data is not None) + (self.loss is not None)
        exact = 0 if self.exact is None else 2
        return 3 + known + exact + 2 * len(self.strata) + 2 * len(self.near)


def judge(
    parameters: Mapping[str, Evidence],
    joint: Mapping[str, Uniformity] | None = None,
    loss: Loss | None = None,
    challenged: Challenged | None = None,
    *,
    datasets: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Judge all parameters together.

    Arguments:
        parameters: Element name → what was found of it.
        joint: Quantity → how uniform its ranks are.
        loss: How far from exact the joint posterior is at least; None where unknown.
        challenged: What rivals prove; None where there were none.
        datasets: How many data sets that rests on.
        limits: What is tolerated.
    """
    several = len(parameters) > 1
    ranked = len(joint or {}) * (3 if several else 1)
    several_tests = sum(own.tests for own in parameters.values()) + ranked
    tests = several_tests + (loss is not None) + (challenged is not None)
    level = limits.p / tests
    verdicts = {
        name: _judge_one(own, level=level, limits=limits) for name, own in parameters.items()
    }
    joint_verdicts = {
        name: _judge_joint(name, own, level=level, limits=limits, several=several)
        for name, own in (joint or {}).items()
    }
    seen = None
    if loss is not None:
        seen = max(limits.loss_warning, detectable(datasets, level=level))
        alone = sum(max(own.loss.nats, 0) for own in parameters.values() if own.loss is not None)
        number = len(parameters)
        fault = faults.of_loss(loss, level=level, limits=limits, parameters=number, alone=alone)
        if several and fault is None:
            joint_verdicts["loss"] = ElementVerdict(Outcome.PASS, "within the limits")
        elif several and fault is not None:
            apart = joint_verdicts["classifier"].faults if "classifier" in joint_verdicts else ()
            joint_verdicts["loss"] = ElementVerdict.of([_also(fault, *apart)])
    detectable_by_rivals = None
    if challenged is not None:
        number = len(parameters)
        lost = faults.of_challenge(challenged, level=level, limits=limits, parameters=number)
        passed = ElementVerdict(Outcome.PASS, "within the limits")
        joint_verdicts["challenge"] = passed if lost is None else ElementVerdict.of([lost])
        least = number * limits.loss_warning
        detectable_by_rivals = challenged.detectable(level=level, least=least)
    known = any(own.given_data is not None for own in parameters.values())
    verdict = together(verdicts, joint_verdicts, datasets=datasets, limits=limits, seen=seen)
    if verdict.outcome is Outcome.PASS and challenged is not None:
        told = challenged.sentence(detectable_by_rivals or 0.0)
        verdict = replace(verdict, sentence=f"{verdict.sentence} {told}")
    tested = ("ranks", "data") if known else ("ranks",)
    return replace(verdict, tested=tested, detectable=detectable_by_rivals)


def together(
    parameters: Mapping[str, ElementVerdict],
    joint: Mapping[str, ElementVerdict],
    *,
    datasets: int,
    limits: Limits = DEFAULT_LIMITS,
    seen: float | None = None,
) -> Verdict:
    """The verdict on all parameters, made of the verdicts on each.

    Arguments:
        parameters: Element name → its own.
        joint: Quantity of the joint distribution → the verdict by it.
        datasets: How many data sets they rest on.
        seen: Nats a parameter whose loss would have been seen; None where it was not looked for.
    """
    order = list(Outcome)
    worst = max((v.outcome for v in (*parameters.values(), *joint.values())), key=order.index)
    guilty = {name: v.reason for name, v in parameters.items() if v.outcome is worst}
    more = {name: v.reason for name, v in joint.items() if v.outcome is worst}
    if len(more) > 1:
        more.pop("classifier", None)  # which says least of what is wrong
    if guilty and len(parameters) == 1:  # which says the same, but for what rivals prove
        more = {name: reason for name, reason in more.items() if name == "challenge"}
    if more:
        name = "the joint posterior" if len(parameters) > 1 else "the posterior"
        guilty[name] = " and ".join(more.values())
    strays = any(Kind.BEYOND in v.faults[0].kinds for v in parameters.values() if v.faults)
    sentence = _sentence(worst, guilty, datasets=datasets, strays=strays, limits=limits, seen=seen)
    return Verdict(worst, sentence, parameters, joint, limits)


def datasets_needed(limits: Limits) -> int:
    """The number of data sets that nearly always suffice to find exact posteriors within limits.

    An interval of 90 % reaches 1.65 standard errors to either side of an estimate that itself is
    seldom more than 2.8 of them off, so 4.45 must fit into the limit. The standard error of the
    mean normal score is 1/√N, that of the logarithm of the sd ratio 1/√(2N).
    """
    tightest = min(limits.mean_score, math.sqrt(2) * math.log(limits.sd_ratio))
    return int(float(f"{(4.45 / tightest) ** 2:.1g}"))


def datasets_to_tell(limits: Limits, datasets: int) -> int:
    """The number of data sets to take where so many could not tell: more than they were."""
    needed = datasets_needed(limits)
    return needed if datasets < needed else 2 * datasets


def _judge_one(own: Evidence, *, level: float, limits: Limits) -> ElementVerdict:
    limits = limits.of_density(own.sums) if own.sums else limits
    ranks = faults.of_ranks(own.ranks, level=level, limits=limits, width=own.width)
    strata = faults.by_strata(own.strata, level=level, limits=limits)
    lost, known = None, None
    if own.loss is not None:
        lost = faults.of_loss(own.loss, level=level, limits=limits)
    if own.given_data is not None:
        known = faults.given_data(own.given_data, level=level, limits=limits)
    # One fault is seen by several tests: it is told by the one that says most of it.
    if lost and Kind.UNINFORMED in lost.kinds:
        lost, strata, known = _also(lost, strata, known), None, None
    elif ranks:
        ranks, known = _also(ranks, known), None
    elif strata:
        strata, known = _also(strata, known), None
    elif lost:
        lost, known = _also(lost, known), None
    near = faults.nearby(own.near, level=level, limits=limits)
    exact = None
    if own.exact is not None:
        exact = faults.beside_exact(own.exact, level=level, limits=limits)
    found = [exact, ranks, near, strata, lost, known]
    if own.beyond is not None:
        found.append(Fault((Kind.BEYOND,), own.beyond, large=False))
    if certain := [fault for fault in found if fault is not None]:
        return ElementVerdict.of(certain)

    ratio_low, ratio_high = own.ranks.sd_ratio_interval
    score_low, score_high = own.ranks.mean_score_interval
    if (
        1 / limits.sd_ratio <= ratio_low
        and ratio_high <= limits.sd_ratio
        and -limits.mean_score <= score_low
        and score_high <= limits.mean_score
    ):
        return ElementVerdict(Outcome.PASS, "within the limits")
    return ElementVerdict(
        Outcome.CANNOT_TELL,
        f"sd {ratio_low:.2f} to {ratio_high:.2f} of the right one, "
        f"mean normal score {signed(score_low)} to {signed(score_high)}",
    )


def _also(fault: Fault, *others: Fault | None) -> Fault:
    """The fault, which others see, too: as large as the largest."""
    return replace(fault, large=fault.large or any(one.large for one in others if one))


def _judge_joint(
    quantity: str, ranks: Uniformity, *, level: float, limits: Limits, several: bool
) -> ElementVerdict:
    fault = faults.jointly(quantity, ranks, level=level, limits=limits, several=several)
    if fault is not None:
        return ElementVerdict.of([fault])
    low, high = ranks.mean_score_interval
    if -limits.joint_failure <= low and high <= limits.joint_failure:
        return ElementVerdict(Outcome.PASS, "within the limits")
    reason = f"mean normal score {signed(low)} to {signed(high)}"
    return ElementVerdict(Outcome.CANNOT_TELL, reason)


def _sentence(
    outcome: Outcome,
    guilty: Mapping[str, str],
    *,
    datasets: int,
    strays: bool,
    limits: Limits,
    seen: float | None,
) -> str:
    size = f"{100 * (limits.sd_ratio - 1):.0f} % in width or {limits.mean_score:g} sd in place"
    if outcome is Outcome.PASS:
        return (
            "On average over data sets, for what is read of them, no posterior is off by more than "
            f"{size}, as far as {datasets:,} data sets tell."
            + ("" if seen is None else f" {_UNSEEN.format(seen)}")
        )
    if outcome is Outcome.CANNOT_TELL:
        return (
            f"No fault found, but {datasets:,} data sets are too few to rule out posteriors off by "
            f"{size} ({_listed(list(guilty))}): about {datasets_to_tell(limits, datasets):,} "
            "usually tell."
        )
    said = _listed([f"{name} is {fault}" for name, fault in guilty.items()])
    if outcome is Outcome.WARN and strays:
        return f"Detectably not exact: {said}."
    if outcome is Outcome.WARN:
        return f"Detectably not exact, by less than {size} of any parameter on average: {said}."
    return f"Posteriors can't be trusted: {said}."


_UNSEEN = (
    "Of what statistics of the data tell, a loss of {:.2g} nats a parameter would have been seen."
)


def _listed(words: list[str], *, most: int = 4) -> str:
    shown = words[:most]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def listed(words: Sequence[str]) -> str:
    """Words with commas and "and"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
