"""Can these posteriors be trusted? An answer in one word and one sentence.

With enough data sets any approximation is detectably not exact, and with few of them a coincidence
looks like a fault. So a parameter fails only on significance *and* size, and passes only if the
intervals of both sizes lie within the limits; in between the honest answer is "cannot tell".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from abi_cli.diagnostics.uniformity import Uniformity


class Outcome(StrEnum):
    """What a verdict can be, best first."""

    PASS = "pass"  # noqa: S105 -- not a password
    CANNOT_TELL = "cannot tell"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Limits:
    """How large a fault may be, and how sure one must be of it.

    Arguments:
        p: Family-wise level: exact posteriors are called inexact with at most this probability,
            however many parameters there are (Bonferroni).
        sd_ratio: Posterior sds may be off by this factor, either way.
        mean_score: The mean normal score may be this far from 0, either way.
    """

    p: float = 0.03
    sd_ratio: float = 1.1
    mean_score: float = 0.1


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class ElementVerdict:
    """The verdict on one scalar parameter.

    Arguments:
        outcome: In a word.
        reason: In a few words, such as "22 % too narrow".
    """

    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on all parameters: the worst of theirs.

    Arguments:
        outcome: In a word.
        sentence: What is wrong with which parameter, or how much is ruled out.
        parameters: Element name → its own verdict.
    """

    outcome: Outcome
    sentence: str
    parameters: Mapping[str, ElementVerdict]

    def to_config(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "outcome": self.outcome.value,
            "sentence": self.sentence,
            "parameters": {
                name: {"outcome": element.outcome.value, "reason": element.reason}
                for name, element in self.parameters.items()
            },
        }


def judge(
    elements: Mapping[str, Uniformity],
    given_data: Mapping[str, Uniformity] | None = None,
    by_context: Mapping[str, Mapping[str, Uniformity]] | None = None,
    *,
    datasets: int,
    limits: Limits = DEFAULT_LIMITS,
) -> Verdict:
    """Judge all parameters together.

    Arguments:
        elements: Element name → how uniform its ranks are.
        given_data: The same of its distance from a prediction by the data, where that is known.
        by_context: In words which data sets → element name → how uniform its ranks are in those.
        datasets: How many data sets that rests on.
        limits: What is tolerated.
    """
    known, bins = given_data or {}, by_context or {}
    # Each test of each parameter has its share of the level: three of ranks, one given the data,
    # two in each bin.
    level = limits.p / (len(elements) * (3 + bool(known) + 2 * len(bins)))
    verdicts = {
        name: _judge_one(
            element,
            known.get(name),
            {where: own[name] for where, own in bins.items()},
            level=level,
            limits=limits,
        )
        for name, element in elements.items()
    }
    order = list(Outcome)
    worst = max((v.outcome for v in verdicts.values()), key=order.index)
    guilty = {name: v.reason for name, v in verdicts.items() if v.outcome is worst}
    return Verdict(worst, _sentence(worst, guilty, datasets=datasets, limits=limits), verdicts)


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
    *,
    level: float,
    limits: Limits,
) -> ElementVerdict:
    faults = []
    if min(element.p_location, element.p_spread, element.p_shape) < level:
        faults.append((_is_large(element, limits), _fault(element, level=level)))
    if given_data is not None and given_data.p_location < level:
        large = abs(given_data.mean_score) > limits.mean_score
        faults.append((large, _unread(given_data)))
    wrong = {w: own for w, own in bins.items() if min(own.p_location, own.p_spread) < level}
    if wrong:
        where = min(wrong, key=lambda w: wrong[w].p)
        large = any(_is_large(own, limits) for own in wrong.values())
        faults.append((large, f"{_fault(wrong[where], level=level)} where {where}"))
    if faults:
        large, reason = max(faults, key=lambda fault: fault[0])  # the first of the large ones
        return ElementVerdict(Outcome.FAIL if large else Outcome.WARN, reason)

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


def _fault(element: Uniformity, *, level: float) -> str:
    """What is certain, in words."""
    faults = []
    if element.p_spread < level:
        percent = 100 * abs(element.sd_ratio - 1)
        side = "wide" if element.sd_ratio > 1 else "narrow"
        faults.append(f"{percent:.0f} % too {side} (p = {element.p_spread:.1g})")
    if element.p_location < level:
        # A true value that ranks high means a posterior that lies low.
        side = "low" if element.mean_score > 0 else "high"
        faults.append(f"{abs(element.mean_score):.2f} sd too {side} (p = {element.p_location:.1g})")
    # The shape test sees the other two faults as well: it speaks only where they don't.
    return " and ".join(faults) or f"of the wrong shape (p = {element.p_shape:.1g})"


def _unread(given_data: Uniformity) -> str:
    """What ranks of the distance from a prediction by the data mean, in words."""
    fault = "less informed than the data allow"
    if given_data.mean_score > 0:  # the draws are closer to the prediction than the truths
        fault = "surer than the data allow"
    return f"{fault} (p = {given_data.p_location:.1g})"


def _sentence(outcome: Outcome, guilty: Mapping[str, str], *, datasets: int, limits: Limits) -> str:
    size = f"{100 * (limits.sd_ratio - 1):.0f} % in width or {limits.mean_score:g} sd in place"
    if outcome is Outcome.PASS:
        return f"No posterior is off by more than {size}, as far as {datasets:,} data sets tell."
    if outcome is Outcome.CANNOT_TELL:
        return (
            f"No fault found, but {datasets:,} data sets are too few to rule out posteriors off by "
            f"{size} ({_listed(list(guilty))}): about {datasets_needed(limits):,} usually tell."
        )
    faults = _listed([f"{name} is {fault}" for name, fault in guilty.items()])
    if outcome is Outcome.WARN:
        return f"Detectably not exact, by less than {size}: {faults}."
    return f"Posteriors can't be trusted: {faults}."


def _listed(words: list[str], *, most: int = 4) -> str:
    shown = words[:most]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
