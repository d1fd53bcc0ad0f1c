"""The choice of statistics by what they tell: of awkward data, and of families that add nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from abi_cli.statistics import Statistics
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.offer import Offer
from abi_cli.variables import Ragged, take


def test_families_that_take_long_have_to_add_more():
    rng = np.random.default_rng(5)
    theta = rng.normal(size=(1_500, 1))
    y = theta + rng.normal(size=(1_500, 40))
    data = {"y": Ragged(y.ravel(), np.full(1_500, 40))}
    groups = groups_of(data, ["y"], given=[], series=["y"])
    offer = Offer(tuple((group, tuple(families_of(group))) for group in groups))
    names = [name for _, own in offer.groups for name in own]
    dear = {n for n, dear in zip(names, offer.dear, strict=True) if dear}
    assert dear == {"regimes0", "waves0", "fields0"}
    assert len(offer.dear) == offer.owners(data).max() + 1
    kept = Statistics.fit(data, ["y"], theta, series=["y"]).offer.groups[0][1]
    assert not dear & set(kept)


@pytest.mark.parametrize("periodic", [True, False])
def test_families_that_take_long_are_looked_at_further_where_they_tell(periodic, monkeypatch):
    looked, gains = [], Statistics._gains.__func__

    def recorded(cls, offer, data, theta):
        looked.append({name for _, own in offer.groups for name in own})
        return gains(cls, offer, data, theta)

    monkeypatch.setattr(Statistics, "_gains", classmethod(recorded))
    rng, number, size = np.random.default_rng(6), 1_500, 25
    f = rng.uniform(1, 4, size=(number, 1))
    x = rng.uniform(0, 2, size=(number, size))
    mean = np.sin(2 * np.pi * f * x) if periodic else f * x
    y = mean + 0.3 * rng.normal(size=x.shape)
    sizes = np.full(number, size)
    data = {"x": Ragged(x.ravel(), sizes), "y": Ragged(y.ravel(), sizes)}
    kept = Statistics.fit(data, ["x", "y"], f, given=("x",)).offer.groups[0][1]
    assert "waves1on0" in looked[0]
    assert ("waves1on0" in looked[1]) == periodic
    assert ("waves1on0" in kept) == periodic


def test_a_family_that_only_repeats_others_gains_nothing():
    """Of one member at each level, the values are the means by level, and come last."""
    rng, number = np.random.default_rng(3), 120
    mu = rng.normal(size=number)
    sizes = np.full(number, 5)
    data = {
        "x": Ragged(np.tile([-1.0, -0.5, 0, 0.5, 1], number), sizes),
        "y": Ragged(np.repeat(mu, 5) + rng.normal(size=5 * number), sizes),
    }
    (group,) = groups_of(data, ["x", "y"], given=("x",), series=())
    names = tuple(families_of(group))
    assert names[-1] == "values"
    gains = Statistics._gains(Offer(((group, names),)), data, mu[:, None])
    assert gains.shape == (len(names),)
    assert gains[-1] == 0
    assert Statistics.fit(data, ["x", "y"], mu[:, None], given=("x",)) is not None


def columns(rng: np.random.Generator, t: np.ndarray, place: np.ndarray) -> dict[str, Callable]:
    """Kinds of columns, of members with parameter `t (member,)` at a place of their data set."""
    n = len(t)
    return {
        "normal": lambda: t + rng.normal(size=n),
        "counts": lambda: rng.poisson(np.exp(np.clip(t, -3, 3))),
        "choices": lambda: (rng.random(n) < 1 / (1 + np.exp(-t))).astype(float),
        "categories": lambda: rng.integers(0, 4, n),
        "design": lambda: (place % 5).astype(float),
        "constant": lambda: np.full(n, 2.5),
        "skewed": lambda: np.exp(t + rng.normal(size=n)),
        "heavy": lambda: t + rng.standard_cauchy(n),
        "proportions": lambda: np.where(rng.random(n) < 0.1, 1.0, rng.random(n)),
        "trials": lambda: rng.integers(1, 30, n),
        "far": lambda: 1e8 + rng.normal(size=n),
        "zeros": lambda: np.where(rng.random(n) < 0.9, 0.0, rng.gamma(1, 1, n)),
        "gaps": lambda: np.where(rng.random(n) < 0.4, np.nan, t + rng.normal(size=n)),
        "rows": lambda: t[:, None] + rng.normal(size=(n, 4)),
        "rare": lambda: np.where(rng.random(n) < 0.01, 1.0, 0.0),
    }


MIXTURES = {
    "design once": (5, ("design", "normal"), False),
    "trials of a design": (5, ("design", "trials", "counts"), False),
    "choices in order": (12, ("choices", "rare", "skewed"), True),
    "one member": (1, ("normal", "choices", "constant"), False),
    "rows and gaps": (0, ("rows", "gaps", "zeros"), False),
    "proportions far off": (0, ("proportions", "far", "heavy"), False),
    "kinds and counts": (0, ("categories", "counts", "constant"), True),
}


@pytest.mark.parametrize(("size", "kinds", "ordered"), MIXTURES.values(), ids=MIXTURES)
def test_whatever_columns_meet_all_is_finite_and_comes_back_from_json(size, kinds, ordered):
    rng, number = np.random.default_rng(7), 90
    theta = rng.normal(size=(number, 2))
    sizes = np.full(number, size) if size else rng.integers(1, 20, number)
    place = np.concatenate([np.arange(n) for n in sizes])
    made = columns(rng, np.repeat(theta[:, 0], sizes), place)
    data = {name: Ragged(np.asarray(made[name](), float), sizes) for name in kinds}
    given, series = kinds[:1], kinds if ordered else ()
    fitted = Statistics.fit(data, kinds, theta, given=given, series=series)
    found = fitted.of(data)
    assert np.isfinite(found).all()
    again = Statistics.from_config(json.loads(json.dumps(fitted.to_config())))
    np.testing.assert_array_equal(again.of(data), found)
    alone = fitted.of(take(data, slice(3, 4)))
    np.testing.assert_allclose(alone, found[3:4], atol=1e-4)
