"""Every data set is examined before it is drawn from, and every draw may be replaced, in one place.

Whichever command asks, and from Python.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from abi_cli import workflow
from abi_cli.workflow import Session
from tests.cli import ANSCOMBE, abi

LINE = '{"dataset": "I", "x": [0.1, 0.2, 0.3, 0.4, 0.5], "y": [1, 2, 3, 4, 5]}'
DRAWING = {
    "sample": ("sample", ANSCOMBE, "-n", 4, "--format", "csv"),
    "points": ("sample", ANSCOMBE, "-n", 4, "--points", "mean", "--format", "csv"),
    "estimate": ("estimate", ANSCOMBE, "-n", 4),
    "predict": ("predict", ANSCOMBE, "-n", 4, "--format", "csv"),
    "stream": ("stream", "-n", 4),
}


@pytest.fixture
def seen(monkeypatch):
    """Data sets examined; data sets whose draws went by. Their draws become 2.5."""
    examined: list[str] = []
    drawn: list[str] = []

    def examine(_session, loaded):
        examined.extend(loaded.labels)
        return {"odd": "something is odd"}

    own = Session.draws

    def draws(session, loaded, **how):
        assert set(loaded.labels) <= set(examined)
        drawn.extend(loaded.labels)
        for block in own(session, loaded, **how):
            values = {name: value * 0 + 2.5 for name, value in block.values.items()}
            yield replace(block, values=values)

    monkeypatch.setattr(Session, "examine", examine)
    monkeypatch.setattr(Session, "draws", draws)
    return examined, drawn


@pytest.mark.parametrize("name", DRAWING)
def test_a_command_examines_and_may_replace(name, small_run, seen):
    command, *rest = DRAWING[name]
    result = abi(command, small_run, *rest, stdin=LINE if command == "stream" else None)
    assert result.exit_code == 0, result.stderr
    examined, drawn = seen
    labels = {"I"} if command == "stream" else {"I", "II", "III", "IV"}
    assert set(examined) == set(drawn) == labels
    assert "something is odd" in (result.stdout if command == "stream" else result.stderr)
    assert "2.5" in result.stdout


def test_so_does_python(small_run, seen):
    session = workflow.load(small_run)
    table = {"x": [0.1, 0.2, 0.3, 0.4, 0.5], "y": [1, 2, 3, 4, 5]}
    assert (session.sample(table, draws=3).values["sigma"] == 2.5).all()
    assert (session.estimate(table, draws=3).values["sigma"][:, 0] == 2.5).all()
    at = {"beta[0]": [0.0], "beta[1]": [0.0], "sigma": [1.0]}
    assert session.log_prob(table, at).shape == (1,)
    examined, drawn = seen
    assert (examined, drawn) == (["0"] * 3, ["0"] * 2)


def test_networks_are_loaded_once(small_run, monkeypatch):
    from abi_cli.workflow import session as module

    times: list[int] = []
    load = module.open_approximator

    def counted(*arguments):
        times.append(1)
        return load(*arguments)

    monkeypatch.setattr(module, "open_approximator", counted)
    posterior = workflow.load(small_run)
    assert not times
    posterior.sample(ANSCOMBE, draws=2)
    posterior.estimate(ANSCOMBE, draws=2)
    assert len(times) == 1
