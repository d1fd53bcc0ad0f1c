"""What can be wrong with a posterior, and how it is said.

Every test has a p-value and a size; here both become words. A width is named only where it shows in
both ways of looking at it: in the ranks, and in errors held against the sds of the draws. Ranks
alone call draws of the right sd and of the wrong shape too wide or too narrow: of Student's t with
3 degrees of freedom, drawn as a normal of the same sd, normal scores have an sd of 0.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from abi_cli.diagnostics.uniformity import Uniformity


class Kind(StrEnum):
    """What can be wrong with a posterior."""

    NARROW = "narrow"
    WIDE = "wide"
    LOW = "low"
    HIGH = "high"
    SHAPE = "shape"
    TAILS = "tails"
    MODES = "modes"
    SKEW = "skew"
    UNINFORMED = "uninformed"
    OVERINFORMED = "overinformed"
    JOINT_NARROW = "joint_narrow"
    JOINT_WIDE = "joint_wide"
    JOINT_SHAPE = "joint_shape"
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

AGREES = 0.4
"""Share of the width that ranks tell which errors and sds must tell as well."""

NAMED = 3.0
"""From this many standard errors on a shape is called by its name."""


def of_ranks(
    ranks: Uniformity, *, level: float, limits: Limits, width: float | None = None
) -> Fault | None:
    """What the ranks of a parameter say is wrong; None where nothing is certain.

    Arguments:
        level: Of each of the three tests.
        width: Posterior sd ÷ the error that it should tell, see `Summary`; None where unknown.
    """
    if min(ranks.p_location, ranks.p_spread, ranks.p_shape) >= level:
        return None
    told: dict[Kind, str] = {}
    if ranks.p_spread < level and _agree(ranks.sd_ratio, width):
        percent = 100 * abs(ranks.sd_ratio - 1)
        kind = Kind.WIDE if ranks.sd_ratio > 1 else Kind.NARROW
        told[kind] = f"{percent:.0f} % too {kind.value} (p = {ranks.p_spread:.1g})"
    if ranks.p_location < level:
        # A true value that ranks high means a posterior that lies low.
        kind = Kind.LOW if ranks.mean_score > 0 else Kind.HIGH
        size = abs(ranks.mean_score)
        told[kind] = f"{size:.2f} sd too {kind.value} (p = {ranks.p_location:.1g})"
    # The shape test sees the other two faults as well: it speaks only where they don't.
    if not told:
        kind, words = _shape(ranks)
        told[kind] = f"{words} (p = {min(ranks.p_spread, ranks.p_shape):.1g})"
    return Fault(tuple(told), " and ".join(told.values()), is_large(ranks, limits))


def is_large(ranks: Uniformity, limits: Limits) -> bool:
    """Whether width or place, as ranks tell them, are beyond the limits."""
    wide = not 1 / limits.sd_ratio <= ranks.sd_ratio <= limits.sd_ratio
    return wide or abs(ranks.mean_score) > limits.mean_score


def _agree(sd_ratio: float, width: float | None) -> bool:
    """Whether sds are off in the way that ranks say."""
    if width is None:
        return True
    told, seen = math.log(sd_ratio), math.log(max(width, 1e-300))
    return seen * math.copysign(1, told) > AGREES * abs(told)


def _shape(ranks: Uniformity) -> tuple[Kind, str]:
    """What is wrong with the shape, by the larger of the two scores that have a name."""
    skew, tails = ranks.skew_score, ranks.tail_score
    if max(abs(skew), abs(tails)) < NAMED:
        return Kind.SHAPE, "of the wrong shape"
    if abs(skew) > abs(tails):
        side = "right" if skew > 0 else "left"
        return Kind.SKEW, f"drawn without its longer tail to the {side}"
    if tails > 0:
        return Kind.TAILS, "drawn with too light tails and too round a middle"
    return Kind.MODES, "drawn as one peak where there are two modes, or none"


def given_data(ranks: Uniformity, *, level: float, limits: Limits) -> Fault | None:
    """What ranks of the distance from a prediction by the data say is wrong."""
    if ranks.p_location >= level:
        return None
    kind, words = Kind.UNINFORMED, "less informed than the data allow"
    if ranks.mean_score > 0:  # the draws are closer to the prediction than the truths
        kind, words = Kind.OVERINFORMED, "surer than the data allow"
    reason = f"{words} (p = {ranks.p_location:.1g})"
    return Fault((kind,), reason, abs(ranks.mean_score) > limits.mean_score)


_JOINTLY = {
    ("spread", True): (Kind.JOINT_NARROW, "too narrow"),
    ("spread", False): (Kind.JOINT_WIDE, "too wide"),
    ("reference", True): (Kind.OVERINFORMED, "surer than the data allow"),
    ("reference", False): (Kind.UNINFORMED, "less informed than the data allow"),
}


def jointly(quantity: str, ranks: Uniformity, *, level: float, limits: Limits) -> Fault | None:
    """What the ranks of a joint quantity say is wrong; None where nothing is certain and large."""
    size = abs(ranks.mean_score)
    if ranks.p_location >= level or size < limits.joint_warning:
        return None
    kind, words = _JOINTLY.get(
        (quantity, ranks.mean_score > 0),
        (Kind.TOLD_APART, "told from the truth by a classifier"),
    )
    reason = f"{words} ({quantity} {signed(ranks.mean_score)}, p = {ranks.p_location:.1g})"
    return Fault((kind,), reason, size > limits.joint_failure)


def signed(value: float) -> str:
    """With two decimals and a true minus sign."""
    return f"{value:+.2f}".replace("-", "−")
