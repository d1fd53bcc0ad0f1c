"""Leave-one-out: how much a posterior depends on each member of a set, by the networks alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli import backend
from abi_cli.data import Loaded
from abi_cli.data.entries import listing
from abi_cli.diagnostics.posterior_page import Moved, Statement, Tone
from abi_cli.digits import plural
from abi_cli.guard import UNLIKE
from abi_cli.guard.influence import Influence, members_of, without_each
from abi_cli.guard.plain import NUMBER_OF
from abi_cli.model.making import Work
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose, noise
from abi_cli.variables import Datasets, Ragged, concatenate, count, take
from abi_cli.workflow.request import Compute
from abi_cli.workflow.session import Session
from abi_cli.workflow.simulating import simulate_rows

if TYPE_CHECKING:
    from abi_cli.refinement.leaving import Elpd

DRAWS = 250
"""Draws of each posterior, all from the same noise."""

TOGETHER = 32
"""Posteriors that are sampled at once."""

SETS, MEMBERS = 60, 4_000
"""Simulated sets for comparison; fewer where they have many members in all."""

FEWEST = 3
"""Fewest members of a set of which one may be left out."""

LONGEST = 1_000
"""Most members of a set that are left out in turn."""

LARGE = 0.5
"""Shift in posterior sds from which on it is worth a warning, if it is unusual."""

INFINITE = "draws of the posterior are not finite, or all the same"
"""The reason why nobody can tell what a posterior is without a member."""


@dataclass
class Leaving:
    """The leaving out of members.

    Arguments:
        simulator: Makes the sets that shifts are held against; None to hold them against nothing.
    """

    session: Session
    simulator: Simulator | None
    seed: int
    _usual: dict[tuple[tuple[str, float], ...], np.ndarray] = field(default_factory=dict)

    @cached_property
    def _inverse(self) -> Any:
        networks = self.session.networks
        return backend.compiled(networks.inverse, fused=networks.inference_network.fuse_draws)

    def of(self, loaded: Loaded, row: int) -> Influence | None:
        """The influence of the members of a data set; None where it is no set, or a bad size.

        Errors:
            UserFunctionError: A simulation failed.
        """
        layout = self.session.run.layout
        roles = layout.of("context", "given", "observable")
        one = take({v.name: loaded.datasets[v.name] for v in roles}, np.array([row]))
        names = members_of(layout, one, self.session.spec.series())
        size = _size(one, names)
        if not FEWEST <= size <= LONGEST:
            return None
        left = without_each(layout, one, names)
        unlike = self._unlike(one, left, among=len(loaded.labels))
        shifts = self._shifts(one, left)
        for i in np.flatnonzero(np.isnan(shifts).any(axis=0)).tolist():
            unlike.setdefault(i, INFINITE)
        shifts[:, list(unlike)] = np.nan
        elements = tuple(e for v in layout.of("parameter") for e in v.elements())
        found = Influence(elements, shifts, np.zeros(0), unlike)
        if found.by_member.max() <= LARGE:  # nothing would be said, whatever is usual
            return found
        return replace(found, usual=self._usual_of(one, size))

    def _unlike(self, one: Datasets, left: Datasets, *, among: int) -> dict[int, str]:
        """Members without which the rest is unlike simulated sets, and in what.

        Of a set that is itself unlike them, those without which it is so in something else, too.

        Arguments:
            among: Number of data sets in the file: by chance, of one in ten files a member is told.
        """
        guard = self.session.guard
        if guard is None:
            return {}
        layout = self.session.run.layout
        every = concatenate([one, left])
        summaries = self.session.networks.summaries(every)
        look = guard.reference.look_at(every, layout, summaries)
        scores = guard.scores(look, explain_below=UNLIKE)
        limit = min(UNLIKE, 1 / (10 * len(scores.p) * among))
        found, whole = {}, _of_what(scores.reasons[0])
        for i, (p, reason) in enumerate(zip(scores.p[1:], scores.reasons[1:], strict=True)):
            already = scores.p[0] < limit and (p > scores.p[0] or _of_what(reason) == whole)
            if (p < limit and not already) or _of_number(reason):
                found[i] = reason
        return found

    def _shifts(self, one: Datasets, left: Datasets) -> np.ndarray:
        """Shifts of the means, `(element, member)`, in posterior sds.

        NaN where a posterior is infinite, or a point.
        """
        told = self.session.networks.told_of(one), self.session.networks.told_of(left)
        moments = list(self._moments(np.concatenate(told)))
        mean = np.stack([m for m, _ in moments])
        sd = moments[0][1]
        return np.asarray(((mean[1:] - mean[0]) / np.where(sd > 0, sd, np.nan)).T)

    def _moments(self, told: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Mean and sd `(element,)` of each posterior, all from the same noise.

        NaN where a draw is not finite, as draws of a network that has hardly learned may be.
        """
        networks, layout = self.session.networks, self.session.run.layout
        shape = DRAWS, networks.inference_network.noise_dim
        z = np.repeat(noise(self.seed, 0, draw_block=0, shape=shape)[None], TOGETHER, axis=0)
        for begin in range(0, len(told), TOGETHER):
            part = told[begin : begin + TOGETHER]
            padded = np.resize(part, (TOGETHER, told.shape[1]))[:, None]
            for theta in backend.to_numpy(self._inverse(z, padded))[: len(part)]:
                made = networks.adapter.inverse({"inference_variables": theta})
                columns = [np.asarray(made[v.name], np.float64) for v in layout.of("parameter")]
                flat = np.concatenate([c.reshape(DRAWS, -1) for c in columns], axis=1)
                flat[~np.isfinite(flat)] = np.nan
                yield flat.mean(axis=0), flat.std(axis=0)

    def _usual_of(self, one: Datasets, size: int) -> np.ndarray:
        """The largest shift of each of some simulated sets of the same context, `(set,)`."""
        if self.simulator is None:
            return np.zeros(0)
        layout = self.session.run.layout
        fixed = {
            v.name: value[0].item()
            for v in layout.of("context")
            if isinstance(value := one[v.name], np.ndarray) and not v.event
        }
        key = tuple(sorted(fixed.items()))
        if key not in self._usual:
            number = int(np.clip(MEMBERS // size, 10, SETS))
            work = Work(self.simulator, self.seed, Purpose.GUARD, fixed)
            compute = Compute(jobs=0)
            made = simulate_rows(work, 0, number, compute=compute, listener=self.session.listener)
            data = {name: made[name] for name in one}
            self._usual[key] = np.array([self._largest(data, k) for k in range(count(data))])
        return self._usual[key][np.isfinite(self._usual[key])]

    def _largest(self, data: Datasets, row: int) -> float:
        layout = self.session.run.layout
        one = take(data, np.array([row]))
        names = members_of(layout, one, self.session.spec.series())
        if _size(one, names) < FEWEST:
            return float("nan")
        return float(np.abs(self._shifts(one, without_each(layout, one, names))).max())


def _of_what(reason: str) -> str:
    """The statistic that a reason is about: "sd of x", of "sd of x = 0, simulated 1 to 2"."""
    return re.split(r"(?: =)? [−\d]", reason, maxsplit=1)[0]


def _of_number(reason: str) -> bool:
    """True of a reason that is about the number of members: "N = 4, trained on 5 to 14"."""
    what = _of_what(reason)
    return ", trained on " in reason and (what.startswith(NUMBER_OF) or " of " not in what)


def _size(one: Datasets, names: tuple[str, ...]) -> int:
    value = one[names[0]] if names else None
    return int(value.row_size[0]) if isinstance(value, Ragged) else 0


def member_place(loaded: Loaded, row: int, member: int, names: tuple[str, ...]) -> str:
    """The place of a member in the file: "data.csv, row 5", without the file's folder."""
    value, variable = loaded.datasets[names[-1]], names[-1]
    if not isinstance(value, Ragged):
        return f"member {member}"
    at = int(value.starts()[row]) + member
    place = loaded.cell(variable, (at, *(0 for _ in value.values.shape[1:])))
    return place.partition(", column")[0].rpartition("/")[2]


NAMED = 5
"""Most members of a data set that are shown."""


@dataclass(frozen=True)
class MemberInfluence:
    """The influence of the members of a data set, with names and places for a page.

    Arguments:
        label: Label of the data set.
        places: Function from a member to its place in the file.
        known: Function from a parameter's element to its title.
    """

    label: str
    found: Influence
    places: Callable[[int], str]
    known: Callable[[str], str]

    @classmethod
    def of(
        cls, leaving: Leaving, loaded: Loaded, row: int, known: Callable[[str], str]
    ) -> MemberInfluence | None:
        """The influence of the members of a data set; None where it is no set."""
        found = leaving.of(loaded, row)
        if found is None:
            return None
        run = leaving.session.run
        one = take(
            {
                v.name: loaded.datasets[v.name]
                for v in run.layout.variables
                if v.name in loaded.datasets
            },
            np.array([row]),
        )
        names = members_of(run.layout, one, leaving.session.spec.series())
        return cls(loaded.labels[row], found, lambda i: member_place(loaded, row, i, names), known)

    @property
    def known_of_any(self) -> bool:
        """True if the shift of any member is known."""
        return bool(np.isfinite(self.found.shifts).any())

    @property
    def rare(self) -> bool:
        """True if a member moves the posterior farther than any member of simulated sets does."""
        usual, own = self.found.usual, self.found.by_member.max()
        return bool(len(usual) and own > max(usual.max(), LARGE))

    def rows(self, elpd: Elpd | None = None) -> list[Moved]:
        """The most influential members, and those that can't be left out.

        Arguments:
            elpd: How well each is predicted by the others, where that is known.
        """
        if not self.known_of_any and elpd is None:
            return []  # one statement says why, of all of them
        unlike = [self._moved(i, None, why, elpd) for i, why in self.found.unlike.items()]
        moved = []
        for member in np.argsort(-self.found.by_member, kind="stable").tolist():
            if member not in self.found.unlike:
                name, shift = self.found.most_moved(member)
                moved.append(self._moved(member, shift, self.known(name), elpd))
        return [*unlike[:NAMED], *moved[:NAMED]]

    def _moved(self, member: int, shift: float | None, what: str, elpd: Elpd | None) -> Moved:
        place = self.places(member)
        if elpd is None or len(elpd.each) != self.found.shifts.shape[1]:
            return Moved(place, shift, what)
        return Moved(place, shift, what, float(elpd.each[member]), float(elpd.khat[member]))

    def said(self) -> str:
        """A sentence on the most influential member."""
        member = int(self.found.by_member.argmax())
        name, shift = self.found.most_moved(member)
        usual = self.found.usual
        return (
            f"without {self.places(member)}, {self.known(name)} of data set {self.label} is "
            f"{abs(shift):.1f} posterior sds {'higher' if shift > 0 else 'lower'} (the most in "
            f"{len(usual)} simulated sets: {usual.max():.1f})"
        )


def statements(influences: Sequence[MemberInfluence]) -> Iterator[Statement]:
    """Statements on influential members."""
    if not influences:
        return
    if unknown := [one for one in influences if not one.known_of_any]:
        yield _not_known(unknown)
    influences = [one for one in influences if one.known_of_any]
    unlike = [
        f"{one.places(i)} of data set {one.label} ({why})"
        for one in influences
        for i, why in one.found.unlike.items()
    ]
    if unlike:
        yield Statement(
            Tone.WARNING,
            "All depends on a single member",
            f"Without it the others are unlike any simulated set: {listing(unlike)}. What the "
            "posterior would be without it can't be told.",
            "Is it right? Can the others tell the parameters at all?",
        )
    if rare := [one.said() for one in influences if one.rare]:
        text = "; ".join(rare)
        yield Statement(
            Tone.WARNING,
            "A single member moves the posterior",
            f"{text[0].upper()}{text[1:]}.",
            "Look at these members. A likelihood with heavier tails depends less on them.",
        )
    if influences and not unlike and not rare:
        yield Statement(
            Tone.GOOD,
            "No single member rules a posterior",
            f"Left out in turn, none moves it by more than {LARGE:g} posterior sds, or than "
            "members of simulated sets do.",
        )


def _not_known(unknown: Sequence[MemberInfluence]) -> Statement:
    """A statement on data sets of which no member can be left out, and why."""
    labels = listing([one.label for one in unknown])
    whose = f"{plural('data set', len(unknown))} {labels}"
    title = "What single members do to a posterior is not known"
    reasons = [why for one in unknown for why in one.found.unlike.values() if why != INFINITE]
    if not reasons:
        return Statement(
            Tone.OPEN, title, f"Of {whose} {INFINITE} when members are left out.", "Train longer."
        )
    text = f"Without one, {whose} would be unlike any simulated set: {reasons[0]}."
    fixed = all(_of_number(why) for why in reasons)
    remedy = "Let their number vary (in meta:), down to that, and the run learns what fewer say."
    return Statement(Tone.OPEN, title, text, remedy if fixed else None)
