"""The statements with which a page about data begins: what can be said of them, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from abi_cli.data import Loaded
from abi_cli.data.entries import listing
from abi_cli.diagnostics.posterior_page import Part, Statement, Tone
from abi_cli.errors import AbiError, DataError
from abi_cli.harmless import to_type
from abi_cli.listener import Listener, Progress
from abi_cli.run import DIAGNOSTICS
from abi_cli.workflow.describing import METRICS, verdict_in
from abi_cli.workflow.opened.guarded import SCORE, OnUnlike
from abi_cli.workflow.session import Session

RARE = 0.01
"""Two-sided p of a statistic that the model would hardly generate."""

CHANCE = 0.1
"""Probability of so many rare statistics by chance from which on they say nothing of the model."""


@dataclass(frozen=True)
class Heard(Listener):
    """A listener that keeps the warnings which it passes on.

    Arguments:
        to: Who hears everything.
        warnings: Text and hint of each, as they come.
    """

    to: Listener
    warnings: list[tuple[str, str | None]] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Pass the note on."""
        self.to.note(text)

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Keep the warning and pass it on."""
        self.warnings.append((text, hint))
        self.to.warn(text, hint=hint)

    @contextmanager
    def task(self, title: str, total: int | None = None, unit: str = "") -> Iterator[Progress]:
        """Pass the task on."""
        with self.to.task(title, total, unit) as progress:
            yield progress

    def statements(self) -> Iterator[Statement]:
        """Statements of the warnings: one of all that have the same remedy."""
        texts: dict[str | None, list[str]] = {}
        for text, hint in self.warnings:
            texts.setdefault(hint, []).append(_sentence(text))
        for hint, own in texts.items():
            yield Statement(Tone.WARNING, "Look at this first", " ".join(own), hint)


def _sentence(text: str) -> str:
    """The text as a sentence; as one for each line, where it has several."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(f"{x[:1].upper()}{x[1:]}{'' if x.endswith('.') else '.'}" for x in lines)


_ORDER = (Tone.BAD, Tone.WARNING, Tone.OPEN, Tone.GOOD)


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    """The same statements, warnings first."""
    return sorted(statements, key=lambda one: _ORDER.index(one.tone))


def likeness(loaded: Loaded, on: OnUnlike, *, warned: bool) -> list[Statement]:
    """Statements of the guard, where it has not warned.

    Arguments:
        warned: Whether something was odd about the data sets.
    """
    p = loaded.scores.get(SCORE)
    if p is None:
        why = "This run has kept no simulations to hold data against."
        off = on is OnUnlike.OFF
        return [
            Statement(
                Tone.OPEN,
                "The data were not held against the simulations",
                "It was asked for: --guard off." if off else why,
                None if off else "Trained again, it has.",
            )
        ]
    if warned:
        return []
    least = int(np.argmin(p))
    return [
        Statement(
            Tone.GOOD,
            "The data are like the simulations",
            f"The least usual of {len(p):,} is data set {loaded.labels[least]} "
            f"({_p(float(p[least]))}): no more than chance gives."
            if len(p) > 1
            else f"The data set is as usual as simulated ones are ({_p(float(p[0]))}).",
        )
    ]


def calibration(session: Session, *, exact: bool = False) -> Iterable[Statement]:
    """A statement on the result of `abi diagnose`.

    Arguments:
        exact: Whether the posteriors at hand don't depend on it, as they were made exact.
    """
    verdict = verdict_in(session.run.path / DIAGNOSTICS / METRICS)
    if verdict is None:
        yield Statement(
            Tone.OPEN,
            "Calibration is not known",
            "Whether the posteriors of this run cover the truth as often as they say has not been "
            "tested.",
            to_type("abi", "diagnose", session.run.path),
        )
        return
    if exact:
        yield Statement(
            Tone.OPEN,
            f"Calibration of the networks' own posteriors: {verdict['outcome']}",
            f"Those shown in full here are exact. {verdict['sentence']}",
        )
        return
    tone = {"pass": Tone.GOOD, "warn": Tone.WARNING, "fail": Tone.BAD}
    yield Statement(
        tone.get(verdict["outcome"], Tone.OPEN),
        f"Calibration: {verdict['outcome']}",
        verdict["sentence"],
    )


def fit(
    parts: Sequence[Part], *, replicated: bool, failed: Sequence[tuple[str, AbiError]]
) -> Iterable[Statement]:
    """A statement on whether the model would generate the data.

    Arguments:
        replicated: Whether data were replicated.
        failed: Labels of data sets of which none could be, and why not.
    """
    if not replicated:
        yield Statement(
            Tone.OPEN,
            "The model was not held against the data",
            "That takes replicated data, which only the run's own code can simulate.",
        )
        return
    if failed:
        label, error = failed[0]
        yield Statement(
            Tone.WARNING,
            "The model can't simulate from these posteriors",
            f"For {len(failed):,} of {len(parts):,} data sets, such as {label}, no data could be "
            f"replicated: {error.place + ': ' if error.place else ''}{error.message}.",
            error.hint
            if isinstance(error, DataError)
            else "Posteriors of networks that have learned little reach where no function was "
            "written for. Train longer; else mend the function.",
        )
    if len(failed) == len(parts):
        return
    checks = [check for part in parts for check in part.checks]
    rare = [one for one in checks if 2 * min(one.p, 1 - one.p) < RARE]
    if not rare:
        yield Statement(
            Tone.GOOD,
            "The model would generate such data",
            f"None of {len(checks)} simple statistics of the data is beyond what replicated data "
            "show.",
            "`abi predict --check` looks at more of them, and is calibrated.",
        )
        return
    told = listing([f"{one.name} of data set {one.label} (p {one.p_in_words})" for one in rare])
    are = "is" if len(rare) == 1 else "are"
    if _by_chance(len(rare), len(checks)):
        yield Statement(
            Tone.OPEN,
            "Single statistics of the data are rare",
            f"{len(rare)} of {len(checks)} {are} rare among replicated data, no more than chance "
            f"gives: {told}.",
            "Look at the pictures of these data sets.",
        )
        return
    yield Statement(
        Tone.WARNING,
        "The model would hardly generate such data",
        f"{len(rare)} of {len(checks)} statistics {are} rare among replicated data, where "
        f"{100 * RARE:g} % of them would be by chance: {told}.",
        "A posterior says what the parameters are if the model is right. Look at the pictures of "
        "these data sets, and at the model.",
    )


def _by_chance(rare: int, number: int) -> bool:
    """True if so many rare statistics, of a number of them, are no more than chance gives."""
    from scipy.stats import binom  # it takes a third of a second

    return bool(binom.sf(rare - 1, number, RARE) > CHANCE)


def _p(value: float) -> str:
    nearest = min(value, 1 - value)
    return (
        f"p = {value:.3f}"
        if nearest >= 0.001
        else f"p {'<' if value < 0.5 else '>'} " + ("0.001" if value < 0.5 else "0.999")
    )
