"""Faults of a posterior, and their words.

Every test has a p-value and a size; here both become words. A width is named only where it shows in
both ways of looking at it: in the ranks, and in errors held against the sds of the draws. Ranks
alone call draws of the right sd and of the wrong shape too wide or too narrow: of Student's t with
3 degrees of freedom, drawn as a normal of the same sd, normal scores have an sd of 0.8.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scipy import special

from abi_cli.diagnostics.beside import ElementBeside
from abi_cli.diagnostics.challenge import Challenged
from abi_cli.diagnostics.ratio import Loss
from abi_cli.diagnostics.strata import Stratum
from abi_cli.diagnostics.uniformity import INTERVAL, Uniformity
from abi_cli.digits import probability


class Kind(StrEnum):
    """A kind of fault of a posterior."""

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
    LOST = "lost"
    OUTDONE = "outdone"
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
    """Limits of faults: the size that is tolerated, and the certainty that is asked for.

    Arguments:
        p: Family-wise level: exact posteriors are called inexact with at most this probability,
            however many parameters there are (Bonferroni).
        sd_ratio: Posterior sds may be off by this factor, either way.
        mean_score: The mean normal score may be this far from 0, either way.
        joint_warning, joint_failure: From where on the mean normal score of a joint quantity is
            worth a warning, and a failure.
        loss_warning, loss_failure: The same of the nats that are lost of a parameter.
        interval: Level of the intervals that must lie within the limits for a pass.
    """

    p: float = 0.03
    sd_ratio: float = 1.1
    mean_score: float = 0.1
    joint_warning: float = 0.1
    joint_failure: float = 0.5
    loss_warning: float = 0.05
    loss_failure: float = 0.2
    interval: float = INTERVAL

    def spending(self, share: float) -> Limits:
        """The limits with a share of both errors: to see a fault that is none, to miss one."""
        return replace(self, p=share * self.p, interval=1 - share * (1 - self.interval))

    def of_density(self, parameters: int) -> Limits:
        """The limits for a log density: its changes by widths at the limit in all parameters.

        Of a normal posterior in d dimensions it is −χ²/2, with sd √(d/2). Widths that are r times
        the right ones multiply that by r², and move the mean by d (r² − 1) / 2.
        """
        square = self.sd_ratio**2
        place = (square - 1) * math.sqrt(parameters / 2)
        return replace(self, sd_ratio=square, mean_score=max(place, self.mean_score))

    def of_some(self) -> Limits:
        """The limits for some of the data alone: twice as far off."""
        return replace(self, sd_ratio=self.sd_ratio**2, mean_score=2 * self.mean_score)


DEFAULT_LIMITS = Limits()

AGREES = 0.4
"""Share of the width that ranks tell which errors and sds must tell as well."""

BENT = 0.45
"""Share of the spread's standard errors from which on those of the tails contradict a width."""

MOST_WIDTHS = 3
"""Parameters of which it is told how wide they are beside a rival's."""

NAMED = 3.0
"""Number of standard errors from which on a shape is called by its name."""


def of_ranks(
    ranks: Uniformity, *, level: float, limits: Limits, width: float | None = None
) -> Fault | None:
    """The fault that the ranks of a parameter show; None where none is certain.

    Arguments:
        level: Level of each of the three tests.
        width: Posterior sd ÷ the error that it should tell, see `Summary`; None where unknown.
    """
    if min(ranks.p_location, ranks.p_spread, ranks.p_shape) >= level:
        return None
    reasons: dict[Kind, str] = {}
    if ranks.p_spread < level and _agree(ranks.sd_ratio, width) and not _bent(ranks):
        percent = 100 * abs(ranks.sd_ratio - 1)
        kind = Kind.WIDE if ranks.sd_ratio > 1 else Kind.NARROW
        reasons[kind] = f"{percent:.0f} % too {kind.value} ({probability(ranks.p_spread)})"
    if ranks.p_location < level:
        # A true value that ranks high means a posterior that lies low.
        kind = Kind.LOW if ranks.mean_score > 0 else Kind.HIGH
        size = abs(ranks.mean_score)
        reasons[kind] = f"{size:.2f} sd too {kind.value} ({probability(ranks.p_location)})"
    # The shape test sees the other two faults as well: it speaks only where they don't.
    if not reasons:
        kind, words = _shape(ranks)
        reasons[kind] = f"{words} ({probability(min(ranks.p_spread, ranks.p_shape))})"
    return Fault(tuple(reasons), " and ".join(reasons.values()), is_large(ranks, limits))


def is_large(ranks: Uniformity, limits: Limits) -> bool:
    """True if the width or the place that ranks tell is beyond the limits."""
    wide = not 1 / limits.sd_ratio <= ranks.sd_ratio <= limits.sd_ratio
    return wide or abs(ranks.mean_score) > limits.mean_score


def _agree(sd_ratio: float, width: float | None) -> bool:
    """True if sds are off in the direction that ranks tell, and by enough."""
    if width is None:
        return True
    by_ranks, by_errors = math.log(sd_ratio), math.log(max(width, 1e-300))
    return by_errors * math.copysign(1, by_ranks) > AGREES * abs(by_ranks)


def _bent(ranks: Uniformity) -> bool:
    """True if the tails contradict the width: heavier than drawn where ranks say too wide.

    The tail score of normals that are drawn too wide, or too narrow, is below a third of the
    spread's, or of the other sign; that of t₃ drawn as a normal is as large.
    """
    spread = -float(special.ndtri(max(ranks.p_spread, 1e-300) / 2))
    return math.copysign(1, ranks.sd_ratio - 1) * ranks.tail_score > BENT * spread


def _shape(ranks: Uniformity) -> tuple[Kind, str]:
    """The fault of the shape and its words, by the larger of the two scores that have a name."""
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
    """The fault that ranks of the distance from a prediction by the data show; None if none is."""
    if ranks.p_location >= level:
        return None
    kind, words = Kind.UNINFORMED, "less informed than the data allow"
    if ranks.mean_score > 0:  # the draws are closer to the prediction than the truths
        kind, words = Kind.OVERINFORMED, "surer than the data allow"
    reason = f"{words} ({probability(ranks.p_location)})"
    return Fault((kind,), reason, abs(ranks.mean_score) > limits.mean_score)


def by_strata(strata: Sequence[Stratum], *, level: float, limits: Limits) -> Fault | None:
    """The fault for some data, where its evidence is strongest; None where none is certain.

    Arguments:
        level: Level of either test of each.
    """
    wrong = [own for own in strata if own.p < level]
    if not wrong:
        return None
    worst = min(wrong, key=lambda own: (not own.named, own.p))
    ranks = worst.ranks
    if worst.p_width < worst.p_place:
        kind = Kind.WIDE if ranks.sd_ratio > 1 else Kind.NARROW
        words = f"{100 * abs(ranks.sd_ratio - 1):.0f} % too {kind.value}"
    else:
        kind = Kind.LOW if ranks.mean_score > 0 else Kind.HIGH
        words = f"{abs(ranks.mean_score):.2f} sd too {kind.value}"
    large = any(is_large(own.ranks, limits.of_some()) for own in wrong)
    return Fault((kind,), f"{words} where {worst} ({probability(worst.p)})", large)


def beside_exact(own: ElementBeside, *, level: float, limits: Limits) -> Fault | None:
    """The fault beyond the limits that exact posteriors show; None where none is certain."""
    reasons: dict[Kind, str] = {}
    beyond = abs(own.bias) - limits.mean_score
    if beyond > 0 and float(special.ndtr(-beyond / max(own.bias_error, 1e-300))) < level:
        kind = Kind.HIGH if own.bias > 0 else Kind.LOW
        reasons[kind] = f"{abs(own.bias):.2f} sd too {kind.value} beside refined posteriors"
    if own.p_above(limits.loss_warning) < level:
        wide = own.sd_ratio > limits.sd_ratio
        narrow = own.sd_ratio < 1 / limits.sd_ratio
        kind = Kind.WIDE if wide else Kind.NARROW if narrow else Kind.LOST
        reasons[kind] = (
            f"{own.error:.2f} sd off in the median data set, with {own.sd_ratio:.2f} times the "
            f"sd of refined posteriors, at least {own.nats:.2f} nats from them"
        )
    if not reasons:
        return None
    large = beyond > 0 or own.nats > limits.loss_failure
    return Fault(tuple(reasons), " and ".join(reasons.values()), large)


def nearby(near: Mapping[str, Uniformity], *, level: float, limits: Limits) -> Fault | None:
    """The fault near observed data, where its evidence is strongest; None where there is none.

    Arguments:
        near: Label → how uniform ranks are in data sets near it.
        level: Level of the test of place, and of that of width.
    """
    wrong = {
        label: ranks
        for label, ranks in near.items()
        if min(ranks.p_location, ranks.p_spread) < level
    }
    if not wrong:
        return None
    label = min(wrong, key=lambda one: wrong[one].p)
    fault = of_ranks(wrong[label], level=level, limits=limits)
    if fault is None:
        return None
    large = any(is_large(ranks, limits) for ranks in wrong.values())
    return replace(fault, reason=f"{fault.reason} near {label}", large=large)


_JOINTLY = {
    ("spread", True): (Kind.JOINT_NARROW, "too narrow"),
    ("spread", False): (Kind.JOINT_WIDE, "too wide"),
    ("reference", True): (Kind.OVERINFORMED, "surer than the data allow"),
    ("reference", False): (Kind.UNINFORMED, "less informed than the data allow"),
}


def of_loss(
    loss: Loss, *, level: float, limits: Limits, parameters: int = 1, alone: float | None = None
) -> Fault | None:
    """The fault that a lower bound of the divergence shows; None if not certain, or small.

    Arguments:
        parameters: Number of parameters that it is of: their limits add up.
        alone: Where it is of several: the sum of the losses of each alone, in nats.
    """
    if loss.p >= level or loss.nats < parameters * limits.loss_warning:
        return None
    size = f"at least {loss.nats:.2f} nats"
    kind, words = Kind.LOST, f"{size} from exact"
    if alone is not None and loss.nats > 2 * alone:
        kind, words = Kind.JOINT_SHAPE, f"drawn without its dependence, {size} from exact"
    elif loss.by_data:
        kind, words = Kind.UNINFORMED, f"less informed than the data allow, by {size}"
    large = loss.nats > parameters * limits.loss_failure
    return Fault((kind,), f"{words} ({probability(loss.p)})", large)


def of_challenge(
    challenged: Challenged, *, level: float, limits: Limits, parameters: int
) -> Fault | None:
    """The fault that rivals prove; None where it is not certain, or small.

    Arguments:
        parameters: How many there are, whose limits add up.
    """
    nats = challenged.nats
    if challenged.p >= level or nats < parameters * limits.loss_warning:
        return None
    apart = {
        name: width
        for name, width in challenged.widths.items()
        if not 1 / limits.sd_ratio <= width <= limits.sd_ratio
    }
    worst = sorted(apart, key=lambda name: -abs(math.log(apart[name])))[:MOST_WIDTHS]
    widths = "".join(f", {name} {apart[name]:.2g} times as wide" for name in worst)
    low, high = challenged.interval
    words = f"at least {nats:.2f} nats ({low:.2f} to {high:.2f}) from exact, beside a rival{widths}"
    return Fault((Kind.OUTDONE,), words, nats > parameters * limits.loss_failure)


def jointly(
    quantity: str, ranks: Uniformity, *, level: float, limits: Limits, several: bool
) -> Fault | None:
    """The fault that the ranks of a joint quantity show; None where it is not certain, or small.

    Arguments:
        several: Whether more than one parameter has a part in it: then spread and shape of its
            ranks count, too.
    """
    size = abs(ranks.mean_score)
    if ranks.p_location < level and size >= limits.joint_warning:
        kind, words = _JOINTLY.get(
            (quantity, ranks.mean_score > 0),
            (Kind.TOLD_APART, "told from the truth by a classifier"),
        )
        reason = f"{words} ({quantity} {signed(ranks.mean_score)}, {probability(ranks.p_location)})"
        return Fault((kind,), reason, size > limits.joint_failure)
    p, size = min(ranks.p_spread, ranks.p_shape), _joint_size(ranks)
    if not several or p >= level or size < limits.joint_warning:
        return None
    reason = f"drawn with the wrong dependence between parameters ({quantity}, {probability(p)})"
    return Fault((Kind.JOINT_SHAPE,), reason, size > limits.joint_failure)


def _joint_size(ranks: Uniformity) -> float:
    """The distance of ranks from uniform in spread and shape, on the scale of mean scores."""
    named = max(abs(ranks.skew_score), abs(ranks.tail_score)) / math.sqrt(ranks.number)
    return max(abs(math.log(ranks.sd_ratio)), named)


def signed(value: float) -> str:
    """The number with two decimals and a true minus sign."""
    return f"{value:+.2f}".replace("-", "−")
