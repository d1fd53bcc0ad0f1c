"""Leave-one-out by the networks: which members a posterior depends on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from abi_cli.data import Loaded
from abi_cli.diagnostics.posterior_page import Tone
from abi_cli.guard.guarding import Scores
from abi_cli.guard.influence import Influence, members_of, without_each
from abi_cli.listener import SILENT
from abi_cli.variables import Layout, Ragged, Variable, take
from abi_cli.workflow.about_data import leaving
from abi_cli.workflow.about_data.leaving import Leaving, MemberInfluence, member_place, statements
from abi_cli.workflow.opened.opening import model_of
from abi_cli.workflow.session import Session
from tests.cli import ANSCOMBE, abi

LAYOUT = Layout(
    (
        Variable("N", "context", ragged=False, event=(), length_of=("x", "y")),
        Variable("x", "observable", ragged=True, event=()),
        Variable("y", "observable", ragged=True, event=()),
        Variable("z", "observable", ragged=True, event=()),
    )
)


def data():
    rng = np.random.default_rng(1)
    size, other = np.array([4, 6]), np.array([3, 3])
    x, y, z = rng.normal(size=10), rng.normal(size=10), rng.normal(size=6)
    return {"N": size, "x": Ragged(x, size), "y": Ragged(y, size), "z": Ragged(z, other)}


def test_members_are_of_variables_of_one_size_without_order():
    assert members_of(LAYOUT, data(), ()) == ("x", "y")
    assert members_of(LAYOUT, data(), ("x", "y")) == ("z",)
    assert members_of(LAYOUT, data(), ("x", "y", "z")) == ()


def test_each_member_is_left_out_once_and_counts_follow():
    one = take(data(), np.array([1]))
    left = without_each(LAYOUT, one, ("x", "y"))
    assert left["N"].tolist() == [5] * 6
    for i in range(6):
        own = take(left, np.array([i]))
        for name in ("x", "y"):
            np.testing.assert_array_equal(own[name].values, np.delete(one[name].values, i))
        np.testing.assert_array_equal(own["z"].values, one["z"].values)


def found(shifts, usual=(0.5, 0.8, 1.2), unlike=None):
    return Influence(("a", "b"), np.array(shifts), np.array(usual), unlike or {})


def test_the_largest_shift_is_held_against_those_of_simulated_sets():
    own = found([[0.1, -2.0, 0.2], [0.1, 0.3, 1.5]])
    assert own.most_moved(1) == ("a", -2.0)
    assert own.p == 0.25
    assert own.first(3) == [1, 2]
    assert found([[0.1, -0.9, 0.2], [0.1, 0.3, 0.4]]).p == 0.5


def influence_of(influence):
    return MemberInfluence("s", influence, lambda i: f"d.csv, row {i + 2}", str.upper)


def test_what_is_said_of_members():
    (moved,) = statements([influence_of(found([[0.1, -2.0, 0.2], [0.1, 0.3, 1.5]]))])
    assert moved.text == (
        "Without d.csv, row 3, A of data set s is 2.0 posterior sds lower "
        "(the most in 3 simulated sets: 1.2)."
    )
    (fine,) = statements([influence_of(found([[0.1, -0.9, 0.2], [0.1, 0.3, 0.4]]))])
    assert fine.title == "No single member rules a posterior"
    (lone,) = statements(
        [influence_of(found([[0.1, np.nan], [0.1, np.nan]], unlike={1: "sd of x = 0"}))]
    )
    assert "d.csv, row 3 of data set s (sd of x = 0)" in lone.text
    rows = influence_of(found([[0.1, np.nan], [0.1, np.nan]], unlike={1: "sd of x = 0"})).rows()
    assert [(one.place, one.shift) for one in rows] == [
        ("d.csv, row 3", None),
        ("d.csv, row 2", 0.1),
    ]


@pytest.fixture(scope="module")
def session(small_run):
    return Session.open(small_run)


def test_shifts_are_of_posteriors_from_the_same_noise(session, monkeypatch):
    monkeypatch.setattr(leaving, "DRAWS", 64)
    loaded = session.read_all(ANSCOMBE)
    influence = Leaving(session, None, seed=3).of(loaded, 0)
    assert influence.shifts.shape == (3, 11)
    names = ("x", "y")
    one = take(loaded.datasets, np.array([0]))
    left = without_each(session.run.layout, one, names)
    means = []
    for datasets in (one, take(left, np.array([5]))):
        (block,) = session.networks.sample(datasets, draws=64, seed=3)
        columns = [block.values[v.name].reshape(64, -1) for v in session.run.layout.of("parameter")]
        means.append(np.concatenate(columns, axis=1).astype(np.float64))
    expected = (means[1].mean(axis=0) - means[0].mean(axis=0)) / means[0].std(axis=0)
    known = np.isfinite(influence.shifts[:, 5])
    np.testing.assert_allclose(influence.shifts[known, 5], expected[known], atol=1e-3)
    assert influence.usual.size == 0


def test_a_set_that_leaves_nothing_to_learn_from_is_told(session):
    loaded = session.read_all({"x": [0.5] * 6 + [2.5], "y": [1.0, 1.5, 0.7, 1.2, 0.9, 1.1, 4.0]})
    unlike = Leaving(session, None, seed=1).of(loaded, 0).unlike
    assert 6 in unlike
    assert "x" in unlike[6]


class Overflowing:
    """Networks whose draws are infinite for sets whose largest x is beyond a limit."""

    def __init__(self, networks, limit):
        self.networks, self.limit = networks, limit

    def __getattr__(self, name):
        return getattr(self.networks, name)

    def told_of(self, data):
        told = self.networks.told_of(data)
        starts = data["x"].starts()
        told[np.maximum.reduceat(data["x"].values, starts) > self.limit] = np.inf
        return told


@pytest.fixture
def overflowing(session, monkeypatch):
    """What leaves members out of sets, by networks that overflow beyond a limit."""

    def made(limit):
        monkeypatch.setitem(session.__dict__, "networks", Overflowing(session.networks, limit))
        return Leaving(session, model_of(session.run).simulator, seed=1)

    monkeypatch.setattr(Leaving, "_unlike", lambda *_, **__: {})
    monkeypatch.setattr(
        Leaving,
        "_inverse",
        property(lambda _: lambda z, told: np.where(np.isinf(told[..., :1]), np.inf, z)),
    )
    return made


def test_of_draws_that_are_not_finite_nothing_is_computed(session, overflowing):
    own = MemberInfluence("I", overflowing(1.4).of(session.read_all(ANSCOMBE), 0), str, str)
    assert not own.known_of_any  # the largest x is 1.5: that of the whole set is infinite
    (said,) = statements([own])
    title = "What single members do to a posterior is not known"
    assert (said.tone, said.title, said.remedy) == (Tone.OPEN, title, "Train longer.")


def test_of_sets_of_one_size_it_is_told_that_no_other_was_seen():
    shifts = np.full((2, 4), np.nan)
    why = "number of x = 3, trained on 4"
    found = Influence(("mu", "sigma"), shifts, np.zeros(0), dict.fromkeys(range(4), why))
    own = MemberInfluence("I", found, str, str)
    (said,) = statements([own])
    assert "data set I would be unlike any simulated set: number of x = 3" in said.text
    assert "Let their number vary" in said.remedy
    assert own.rows() == []


def test_sets_of_the_least_size_have_none_to_leave_out(session):
    y = [1.0, 1.5, 0.7, 1.2, 0.9]
    loaded = session.read_all({"x": [0.5, -1.0, 0.2, 1.1, -0.4], "y": y})
    own = MemberInfluence.of(Leaving(session, None, seed=1), loaded, 0, str)
    (said,) = statements([own])
    assert "N = 4, trained on 5 to 14" in said.text
    assert "down to that" in said.remedy


def test_by_chance_few_are_told_however_many_data_sets_there_are():
    data_of_one = take(data(), np.array([1]))
    left = without_each(LAYOUT, data_of_one, ("x", "y"))
    p = np.array([0.5, 0.008, 1e-9, 0.4, 0.4, 0.4, 0.003])
    reasons = ("", "sd of x 0.1, simulated 1 to 2", "sd of x 0, simulated 1 to 2", "", "", "")
    scores = Scores(p, np.ones((7, 1)), (*reasons, "N = 5, trained on 6 to 9"))
    guard = SimpleNamespace(
        reference=SimpleNamespace(look_at=lambda *_: None), scores=lambda *_, **__: scores
    )
    session = SimpleNamespace(
        guard=guard,
        run=SimpleNamespace(layout=LAYOUT),
        networks=SimpleNamespace(summaries=lambda _: None),
    )
    leave = Leaving(session, None, seed=1)
    assert set(leave._unlike(data_of_one, left, among=1)) == {0, 1, 5}
    assert set(leave._unlike(data_of_one, left, among=100)) == {1, 5}


def test_places_are_without_folders():
    y = np.arange(10.0)
    loaded = Loaded(
        ["a", "b"],
        {"y": Ragged(y, np.array([4, 6]))},
        (),
        str,
        lambda name, at: f"some/data.csv, row {at[0] + 2}, column {name}/{name}",
    )
    assert member_place(loaded, 1, 2, ("y",)) == "data.csv, row 8"


def test_simulated_sets_of_infinite_draws_are_no_measure(session, overflowing, monkeypatch):
    monkeypatch.setattr(leaving, "LARGE", -1.0)
    found = overflowing(1.6).of(session.read_all(ANSCOMBE), 0)
    assert np.isfinite(found.shifts).all()
    assert np.isfinite(found.usual).all()
    assert 0 < len(found.usual) < leaving.SETS


def test_what_is_usual_is_simulated_where_a_member_moves_much(session, monkeypatch):
    leave = Leaving(session, model_of(session.run).simulator, seed=1)
    monkeypatch.setattr(leaving, "SETS", 10)
    loaded = session.read_all(ANSCOMBE)
    largest = leave.of(loaded, 0).by_member.max()
    for limit, sets in ((0.99 * largest, 10), (1.01 * largest, 0)):
        monkeypatch.setattr(leaving, "LARGE", limit)
        assert len(leave.of(loaded, 0).usual) == sets


def test_the_page_names_members_by_their_rows(small_run, tmp_path, monkeypatch):
    monkeypatch.setattr(leaving, "SETS", 10)
    page = tmp_path / "page.html"
    result = abi("report", small_run, ANSCOMBE, "-o", page, "-n", 50, "--datasets", "III")
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert "left out" in text
    assert "anscombe.csv, row 26" in text


def test_data_without_members_have_no_influence():
    run = SimpleNamespace(layout=LAYOUT)
    spec = SimpleNamespace(series=lambda: frozenset({"x", "y", "z"}))
    fake = SimpleNamespace(run=run, spec=spec, listener=SILENT)
    loaded = SimpleNamespace(datasets=data(), labels=["a", "b"])
    assert Leaving(fake, None, seed=1).of(loaded, 0) is None
