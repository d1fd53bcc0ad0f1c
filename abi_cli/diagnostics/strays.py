"""Draws outside all that the prior gave in training, over data sets of the prior.

For exact posteriors their share is that of prior draws, about 2 / (n + 1) with n pilot simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from abi_cli.diagnostics.scalars import Scalars, Summary
from abi_cli.ranges import TAIL, Range, between

MANY = 1e-3
"""Share of all draws that is more than chance: five times what a pilot of 10,000 leaves."""

AT_THE_EDGE = 3
"""Data sets with the most draws outside that do not count.

Of 500 true values 0.05 are expected beyond those of a pilot of 20,000, and the exact posterior of
such a one lies outside whole: a share of 0.2 %.
"""

IMPROBABLE = 200 * TAIL
"""Share of all draws in the tails of a declared prior that is more than chance.

It is a hundred times that of exact posteriors, which reach it for one model of a hundred at most,
however alike the draws of a data set are (Markov's inequality).
"""


@dataclass(frozen=True)
class Strays:
    """Draws of a scalar outside its range.

    Arguments:
        share: Share of all draws.
        far: Data sets with draws far outside.
        reason: What that amounts to, in a few words; None where it is no more than chance.
    """

    share: float
    far: int
    reason: str | None


def strays_of(scalars: Scalars, summary: Summary, ranges: Mapping[str, Range]) -> dict[str, Strays]:
    """The strays of the elements whose range is known, by name."""
    return {
        name: _strays(scalars.draws[k], ranges[name], summary.scale[k] == "as it is")
        for k, name in enumerate(scalars.names)
        if name in ranges
    }


def _strays(draws: np.ndarray, own: Range, light: bool) -> Strays:
    """The strays among draws `(dataset, draw)` of a scalar.

    Arguments:
        light: Whether the prior has light tails, so that chance throws nothing far out.
    """
    share = float(own.outside(draws).mean())
    far = own.far(draws)
    datasets = int(far.any(axis=1).sum())
    never = f"{own}, all that the prior gave in training"
    if datasets and (light or far.mean() > MANY):
        farthest = float(draws[far][own.distance(draws[far]).argmax()])
        reach = f"{farthest:.3g}".replace("-", "−")
        where = f"in {datasets:,} of {len(draws):,} data sets"
        return Strays(share, datasets, f"far outside {never}, {where}: up to {reach}")
    improbable = float(own.improbable(draws).mean())
    if own.tails is not None and improbable > IMPROBABLE:
        reason = f"outside {between(*own.tails)}, where all but 2 in a million draws of its prior "
        return Strays(share, datasets, f"{reason}are, in {100 * improbable:.2g} % of the draws")
    by_set = np.sort(own.outside(draws).mean(axis=1))
    if own.tails is None and by_set[:-AT_THE_EDGE].sum() > MANY * len(draws):
        return Strays(share, datasets, f"outside {never}, in {100 * share:.1f} % of the draws")
    return Strays(share, datasets, None)


def error_by_medians(summary: Summary) -> np.ndarray:
    """The error `(element,)` by medians: `nrmse`, where errors and prior are normal.

    It is not ruled by a few posteriors:

    median |m̃ₙ − θₙ| / median |θₙ − median θ|, with posterior medians m̃ₙ; NaN where half of the
    true values are the same.
    """
    error = np.median(np.abs(summary.median - summary.truth), axis=1)
    centre = np.median(summary.truth, axis=1, keepdims=True)
    spread = np.median(np.abs(summary.truth - centre), axis=1)
    return np.asarray(error / np.where(spread > 0, spread, np.nan))
