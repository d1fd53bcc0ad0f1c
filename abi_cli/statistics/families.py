"""Families of statistics that can be made of a group: which, by the kinds of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from abi_cli.statistics import regressions, series, sets
from abi_cli.statistics.breaks import breaks
from abi_cli.statistics.columns import Bent, Column
from abi_cli.statistics.components import components
from abi_cli.statistics.fields import fields
from abi_cli.statistics.garch import garch
from abi_cli.statistics.groups import SHORTEST, Group, of_length
from abi_cli.statistics.histories import histories
from abi_cli.statistics.members import Members, Statistic
from abi_cli.statistics.persistence import persistent
from abi_cli.statistics.proportions import proportions
from abi_cli.statistics.regimes import regimes
from abi_cli.statistics.sigmoids import sigmoid
from abi_cli.statistics.waves import waves

MOST_COLUMNS = 12
"""Most columns; of those beyond, only moments are computed."""

MOST_SQUARED = 3
MOST_DIVIDED = 2
"""Most columns that are looked at as mixtures."""

MOST_CURVES = 2
"""Most regressors along each of which choices are fitted by a curve."""

MOST_CHOICES, MOST_MET = 2, 3
"""Most columns of choices, and of numbers, in order; most others that go with each."""

MOST_WAVES = 2
"""Most columns that are looked at as waves, and most that these run along."""

FEWEST_STEPS = 8
"""Fewest members, where all data sets have as many, of waves and of likelihoods along an order."""

LONG = 4
"""Longest vectors that are regressed number by number."""


def families_of(group: Group) -> dict[str, Statistic]:
    """Every family of a group: its name → statistics of members."""
    if group.few:
        return {"values": partial(_values, columns=group.columns, length=group.length)}
    some = group.columns[:MOST_COLUMNS]
    numbers = [c for c in some if len(c.levels) != 2]
    fine = [c for c in some if not c.levels]
    discrete = [c for c in some if c.levels]
    found: dict[str, Statistic] = {"size": sets.sizes}
    wide = [c for c in group.columns if len(c.levels) != 2]
    if wide:
        found["moments"] = partial(sets.spread, columns=wide)
    if fine:
        found["order"] = partial(sets.ordered, columns=fine)
        for c in fine[:MOST_DIVIDED]:
            found |= _components(c)
    if discrete:
        found["shares"] = partial(sets.shares, columns=discrete)
        others = [c for c in numbers if c not in discrete or len(c.levels) > 2]
        if len(some) > 1 and others and len(discrete) <= 3:
            found["categories"] = partial(sets.by_category, discrete=discrete, columns=others)
            counted = [c for c in others if c.counts]
            if any(c is not d for c in counted for d in discrete):
                found["rates"] = partial(sets.rates, discrete=discrete, counts=counted)
    for first, length in group.vectors:
        if length >= SHORTEST:
            its = [c for c in group.columns if first <= c.place < first + length]
            if len(its) == length:
                found[f"rows{first}"] = partial(sets.positions, columns=its)
    found |= _regressions(group, some)
    if not 0 < group.length < FEWEST_STEPS:
        found |= _along(some, ordered=group.ordered)
    if group.ordered:
        for c in numbers[:4]:
            found |= _in_order(c)
        found |= _in_order_with_others(some)
    if group.fixed:
        found["values"] = partial(_values, columns=group.columns, length=group.length)
    return found


def _components(column: Column) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    for bent in (False, True) if column.bends else (False,):
        name = f"components{column.place}" + "bent" * bent
        found[name] = partial(_of_column, of=components, column=column, bent=bent)
    return found


def _in_order(column: Column) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    for counts in (False, True) if column.counts else (False,):
        name = f"breaks{column.place}" + "of_counts" * counts
        found[name] = partial(breaks, column=column, counts=counts)
    for name, of in (
        ("lags", series.autocovariances),
        ("smoothers", series.smoothers),
        ("levels", series.levels),
        ("autoregressions", series.autoregressions),
        ("averages", series.moving_averages),
        ("volatility", series.volatility),
        ("path", series.path),
        ("regimes", regimes),
    ):
        found[f"{name}{column.place}"] = partial(_of_column, of=of, column=column, bent=False)
        if column.bends and name != "volatility":
            found[f"{name}{column.place}bent"] = partial(
                _of_column, of=of, column=column, bent=True
            )
    return found


def _regressions(group: Group, columns: Sequence[Column]) -> dict[str, Statistic]:
    """Regressions of each column that the model draws on the others; long vectors as rows."""
    found: dict[str, Statistic] = {}
    long = {
        place
        for first, length in group.vectors
        for place in range(first, first + length)
        if length > LONG and any(c.response for c in group.columns if c.place == place)
    }
    alone = [c for c in columns if c.place not in long]
    for y in alone:
        if not y.response:
            continue
        x = [c for c in alone if c is not y]
        name = str(y.place)
        degrees = {name: False}
        if 1 <= len(x) <= MOST_SQUARED:
            degrees[f"{name}squared"] = True
        for which, squares in degrees.items():
            if x and len(y.levels) != 2:
                found |= _linear(y, x, which, squares=squares)
            if len(y.levels) == 2 or y.counts:
                found[f"iterated{which}"] = partial(
                    regressions.iterated, response=y, regressors=x, squares=squares
                )
            if y.floor is not None and not y.counts and not y.levels:
                found[f"multiplicative{which}"] = partial(
                    regressions.multiplicative, response=y, regressors=x, squares=squares
                )
            if y.edge is not None:
                found[f"proportions{which}"] = partial(
                    proportions, response=y, regressors=x, squares=squares
                )
            if y.counts and len(y.levels) != 2 and y.floor is not None:
                found[f"zero_inflated{which}"] = partial(
                    regressions.zero_inflated, response=y, regressors=x, squares=squares
                )
        if len(y.levels) == 2:
            found |= _sigmoids(y, x, None)
        for m in x if y.counts else ():
            if m.counts:
                found[f"trials{name}of{m.place}"] = partial(
                    regressions.iterated,
                    response=y,
                    regressors=x,
                    squares=len(x) <= MOST_SQUARED,
                    trials=m,
                )
                found |= _sigmoids(y, x, m)
    return found


def _along(columns: Sequence[Column], *, ordered: bool) -> dict[str, Statistic]:
    """Waves and smooth functions of numbers that the model draws, along others or their order.

    Along an order, how their variance follows its own past, too.
    """
    found: dict[str, Statistic] = {}
    for y in [c for c in columns if c.response and len(c.levels) != 2][:MOST_WAVES]:
        if ordered:
            found[f"garch{y.place}"] = partial(_of_column, of=garch, column=y, bent=False)
        others = [c for c in columns if c is not y and not c.levels][:MOST_WAVES]
        for x in [*others, *([None] if ordered else [])]:
            for bent in (False, True) if y.bends else (False,):
                name = f"{y.place}" + (f"on{x.place}" if x else "") + "bent" * bent
                for family, of in (("waves", waves), ("fields", fields)):
                    found[family + name] = partial(of, response=Bent(y) if bent else y, along=x)
    return found


def _in_order_with_others(columns: Sequence[Column]) -> dict[str, Statistic]:
    """Dependence on steps before and on other columns, of each column that the model draws."""
    found: dict[str, Statistic] = {}
    drawn = [c for c in columns if c.response]
    for c in [c for c in drawn if len(c.levels) == 2][:MOST_CHOICES]:
        others = [o for o in columns if o is not c][:MOST_MET]
        found[f"histories{c.place}"] = partial(histories, response=c, others=others)
    for c in [c for c in drawn if len(c.levels) != 2][:MOST_CHOICES]:
        others = [o for o in columns if o is not c][:MOST_MET]
        for bent in (False, True) if c.bends else (False,):
            found[f"persistent{c.place}" + "bent" * bent] = partial(
                persistent, response=Bent(c) if bent else c, regressors=others
            )
    return found


def _linear(y: Column, x: Sequence[Column], which: str, *, squares: bool) -> dict[str, Statistic]:
    """Regressions of numbers on others, each plain or, where that says more, bent.

    What multiplies is added on the logarithm's scale.
    """
    found: dict[str, Statistic] = {}
    for bend_y, bend_x in ((False, False), (True, False), (False, True), (True, True)):
        if (bend_y and not y.bends) or (bend_x and not any(c.bends for c in x)):
            continue
        response = Bent(y) if bend_y else y
        regressors = [Bent(c) if bend_x and c.bends else c for c in x]
        name = which + "bent" * bend_y + "on_bent" * bend_x
        for family, of in (
            ("least_squares", regressions.least_squares),
            ("bayesian", regressions.bayesian),
        ):
            found[f"{family}{name}"] = partial(
                of, response=response, regressors=regressors, squares=squares
            )
    return found


def _sigmoids(y: Column, x: Sequence[Column], trials: Column | None) -> dict[str, Statistic]:
    """Curves of choices along each regressor that has more than two values."""
    found: dict[str, Statistic] = {}
    along = [c for c in x if c is not trials and len(c.levels) != 2]
    for c in along if len(along) <= MOST_CURVES else ():
        for link in ("normal", "logistic"):
            found[f"{link}{y.place}on{c.place}"] = partial(
                sigmoid, response=y, regressor=c, trials=trials, link=link
            )
    return found


def _values(members: Members, columns: Sequence[Column], length: int) -> np.ndarray:
    """The numbers themselves, and bent where that says more, `(batch, length × column)`."""
    parts = []
    for column in columns:
        parts.append(np.nan_to_num(of_length(column.scaled(members), length)))
        if column.bends:
            parts.append(np.nan_to_num(of_length(column.bent(members), length)))
    return np.concatenate(parts, axis=1)


def _of_column(members: Members, of: Any, column: Column, *, bent: bool) -> np.ndarray:
    return of(column.bent(members) if bent else column.scaled(members))
