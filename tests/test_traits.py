"""What draws of a prior show: hard edges, simplices, order. What they don't show is not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.adapter.traits import ENOUGH, edge, traits
from abi_cli.model.support import Support

PI = np.pi


def drawn(draw, seed=1):
    return np.asarray(draw(np.random.default_rng(seed)))


CERTAIN = {
    "uniform on 200 to 400": (lambda r: r.uniform(200, 400, ENOUGH), Support(200.0, 400.0)),
    "on −π to π": (lambda r: r.uniform(-PI, PI, ENOUGH), Support(-PI, PI)),
    "on 0 to 2 π": (lambda r: r.uniform(0, 2 * PI, ENOUGH), Support(0.0, 2 * PI)),
    "on 0 to 1, a vector": (lambda r: r.uniform(0, 1, (ENOUGH, 3)), Support(0.0, 1.0)),
    "on 18 to 65": (lambda r: r.uniform(18, 65, ENOUGH), Support(18.0, 65.0)),
    "on −3 to 1": (lambda r: r.uniform(-3, 1, ENOUGH), Support(-3.0, 1.0)),
    "on 0.05 to 0.2": (lambda r: r.uniform(0.05, 0.2, ENOUGH), Support(0.05, 0.2)),
    "on −1e-6 to 0": (lambda r: r.uniform(-1e-6, 0, ENOUGH), Support(-1e-6, 0.0)),
    "exponential": (lambda r: r.exponential(7, ENOUGH), Support(0.0, None)),
    "its mirror": (lambda r: -r.exponential(7, ENOUGH), Support(None, 0.0)),
    "half-normal": (lambda r: abs(r.normal(0, 5, ENOUGH)), Support(0.0, None)),
    "half-Cauchy": (lambda r: abs(r.standard_cauchy(ENOUGH)), Support(0.0, None, heavy=True)),
    "arcsine": (lambda r: r.beta(0.5, 0.5, ENOUGH), Support(0.0, 1.0)),
    "Dirichlet": (
        lambda r: r.dirichlet([2, 2, 2], ENOUGH),
        Support(0.0, 1.0, kind="simplex"),
    ),
    "sorted normals": (
        lambda r: np.sort(r.normal(size=(ENOUGH, 3)), axis=1),
        Support(None, None, kind="ordered"),
    ),
}
UNCERTAIN = {
    "normal": lambda r: r.normal(3.3, 1, ENOUGH),
    "t": lambda r: r.standard_t(3, ENOUGH),
    "two normals": lambda r: np.where(r.random(ENOUGH) < 0.9, 0, -8) + r.normal(size=ENOUGH),
    "normals far apart": lambda r: r.normal([0, 9], 1, (ENOUGH, 2)),
    "gamma": lambda r: r.gamma(2, size=ENOUGH),
    "log-normal": lambda r: r.lognormal(size=ENOUGH),
    "beta": lambda r: r.beta(2, 2, ENOUGH),
    "bounds that are not round": lambda r: r.uniform(0.7182, 5.4366, ENOUGH),
    "one bound, not 0": lambda r: 1 + r.exponential(size=ENOUGH),
    "elements of different bounds": lambda r: r.uniform([0, 1], [1, 3], (ENOUGH, 2)),
    "few draws": lambda r: r.uniform(0, 1, 1024),
    "a lump at the edge": lambda r: np.clip(r.normal(size=ENOUGH), -1, 1),
    "all the same": lambda r: np.full(ENOUGH, 2.0),  # noqa: ARG005
    "a sum that is not one": lambda r: r.dirichlet([2, 2], ENOUGH) * [1, 1.01],
}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_is_certain_is_found(name):
    draw, support = CERTAIN[name]
    found = [traits(drawn(draw, seed)).support() for seed in range(5)]
    for one in found:
        assert one is not None
        assert (one.kind, one.heavy) == (support.kind, support.heavy)
        for bound, expected in ((one.lower, support.lower), (one.upper, support.upper)):
            assert bound == (None if expected is None else pytest.approx(expected, rel=1e-9))


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_is_not_certain_is_left_alone(name):
    for seed in range(20):
        assert traits(drawn(UNCERTAIN[name], seed)).support() is None, seed


def test_edges_that_are_not_round_are_told_all_the_same():
    found = traits(drawn(UNCERTAIN["bounds that are not round"]))
    (low,), (high,) = found.lower, found.upper
    assert not low.round
    assert low.at == pytest.approx(0.7182, abs=0.01)
    assert high.at == pytest.approx(5.4366, abs=0.01)


def test_no_draw_lies_beyond_an_edge():
    """Whatever the bounds: a round number that is inside would end a training."""
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(200):
        low = rng.normal() * 10.0 ** rng.integers(-3, 4)
        width = rng.exponential() * 10.0 ** rng.integers(-3, 4)
        found = edge(rng.uniform(low, low + width, ENOUGH))
        assert found is not None
        missed += found.at > low and found.round
    assert missed <= 20  # chance puts a round number there in one of twenty cases


def test_nothing_is_found_in_what_is_normal():
    rng = np.random.default_rng(6)
    assert all(edge(rng.normal(0, 1, ENOUGH)) is None for _ in range(300))
