r"""Verdict on many data sets: which look unlike the simulations, and whether that may be chance.

A data set is named so that at most the share `UNLIKE` of those named is of the model, on average
(Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57): with p-values in order, the first k for which

    p₍ₖ₎ ≤ UNLIKE · k / n.

Beside it the number of those with p < `UNLIKE` is tested. By chance it is binomial, but for how
well n₀ simulations tell that share, so beta-binomial with a = UNLIKE · n₀, b = (1 − UNLIKE) · n₀.
Of one data set both say p < `UNLIKE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.guard.guarding import Scores

UNLIKE = 0.01
"""The p-value below which one data set is called unlike the simulations."""

_NAMED = 3


def flagged(p: np.ndarray, *, simulations: int, level: float = UNLIKE) -> np.ndarray:
    """True where a data set looks unlike the simulations, `(dataset,)` bool.

    Arguments:
        p: p-value of each data set, `(dataset,)`.
        simulations: Number of simulations from which p was learned.
        level: The p-value below which a single data set is called unlike.
    """
    if surprising(p, simulations=simulations, level=level):
        return p < level
    ordered = np.sort(p)
    holds = np.flatnonzero(ordered <= level * np.arange(1, len(p) + 1) / max(len(p), 1))
    return p <= (ordered[holds[-1]] if len(holds) else -1.0)


def surprising(p: np.ndarray, *, simulations: int, level: float = UNLIKE) -> bool:
    """True if more p-values are below `level` than chance gives."""
    from scipy.stats import betabinom  # it takes a third of a second

    small, n = int((p < level).sum()), len(p)
    if n < 2 or small <= level * n:
        return False
    a, b = level * simulations, (1 - level) * simulations
    return bool(betabinom.sf(small - 1, n, a, b) < level)


@dataclass
class Verdict:
    """The verdict on data sets, whose scores are added as they come.

    Arguments:
        simulations: Number of simulations from which the guard has learned.
    """

    simulations: int

    def __post_init__(self) -> None:
        self._p: list[np.ndarray] = []
        self._worst: list[tuple[float, str, str]] = []

    def add(self, labels: Sequence[str], scores: Scores) -> None:
        """Add the scores of more data sets."""
        self._p.append(scores.p)
        for i in np.argsort(scores.p, kind="stable")[:_NAMED].tolist():
            self._worst.append((float(scores.p[i]), labels[i], scores.reasons[i]))
        self._worst = sorted(self._worst, key=lambda one: one[0])[:_NAMED]

    def sentence(self) -> str | None:
        """A sentence on the data sets that look unlike the simulations; None if none does."""
        p = np.concatenate(self._p) if self._p else np.zeros(0)
        odd = int(flagged(p, simulations=self.simulations).sum())
        if not odd:
            return None
        worst = self._worst[: min(odd, _NAMED)]
        if len(p) == 1:
            (own, label, reason) = worst[0]
            return f"data set {label} looks unlike the simulations (p = {_short(own)}): {reason}"
        named = "; ".join(f"{label} ({reason})" for _, label, reason in worst)
        more = f"; and {odd - len(worst):,} more" if odd > len(worst) else ""
        chance = ""
        if surprising(p, simulations=self.simulations):
            chance = f", {UNLIKE * len(p):.2g} expected by chance"
            if UNLIKE * len(p) >= 10:
                chance = f", {UNLIKE * len(p):,.0f} expected by chance"
        look = "looks" if odd == 1 else "look"
        return (
            f"{odd:,} of {len(p):,} data sets {look} unlike the simulations{chance}: {named}{more}"
        )


def _short(p: float) -> str:
    return "less than 1e-6" if p < 1e-6 else f"{p:.1g}"
