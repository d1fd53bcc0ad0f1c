"""What would not train is refused alike by check, train and --resume, before anything is built."""

from __future__ import annotations

import json
import re
from typing import ClassVar

import pytest

from abi_cli.errors import AbiError
from tests.cli import abi

SPEC = """
name: line
model: {prior: line.py:prior, likelihood: line.py:likelihood}
parameters: {m: {}, s: {}}
training: {epochs: 1, num_batches: 2, batch_size: 16}
adapter:
  - constrain: {keys: s, lower: 0}
  - concatenate: {keys: [m, s], into: inference_variables}
  - rename: {from: y, to: summary_variables}
networks: {inference: {coupling_flow: {depth: 1, width: 4}}}
"""
CODE = """
def prior(rng): return {"m": rng.normal(), "s": rng.gamma(2.0)}
def likelihood(m, s, rng): return {"y": rng.normal(m, s, 4)}
"""
EARLY, DEEP = "training.callbacks=[early_stopping]", "networks.summary=deep_set"
BIG = "training.batch_size=512"
LEAK = "adapter.1.concatenate={keys: [m, y], into: inference_variables}"
LOST = "adapter.1.concatenate.keys=[m]"
TOLD = "adapter.2={concatenate: {keys: [y, s], into: summary_variables}}"

FAULTS = {
    "fine": ((), {}),
    "early stopping without validation": ((EARLY,), {"fresh": "E204: .* monitor loss; got"}),
    "early stopping with validation": ((EARLY, "training.validation=8"), {}),
    "a network for sets": (
        (DEEP,),
        dict.fromkeys(("fresh", "stored"), "E203: Expected a set or series in summary_variables"),
    ),
    "too few to fill a batch": ((BIG,), {"stored": "Expected simulations for a batch of 512"}),
    "a parameter that is lost": (
        (LOST,),
        dict.fromkeys(("fresh", "stored"), "the parameter s does not reach"),
    ),
    "a parameter that is told": (
        (TOLD,),
        dict.fromkeys(("fresh", "stored"), "is not the same without the parameters|Expected .* s"),
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("untrainable")
    (place / "line.yaml").write_text(SPEC)
    (place / "line.py").write_text(CODE)
    made = abi("simulate", place / "line.yaml", "-n", 300, "-j", 0, "-o", place / "sims.npz")
    assert made.exit_code == 0, made.output
    return place


def problems(text: str) -> list[str]:
    return re.findall(r"^(?:E\d+|error): (?!\d+ problem|.*would not train).*", text, re.MULTILINE)


@pytest.mark.parametrize("source", ["fresh", "stored"])
@pytest.mark.parametrize("name", FAULTS)
def test_check_and_train_refuse_the_same(folder, name, source, monkeypatch):
    overrides, said = FAULTS[name]
    words = [part for one in overrides for part in ("-s", one)]
    data = ("--data", folder / "sims.npz") if source == "stored" else ()
    monkeypatch.setattr("abi_cli.workflow.training.load_backend", reached)
    checked = abi("check", folder / "line.yaml", *data, *words, "--json")
    found = [
        finding["message"]
        for finding in json.loads(checked.stdout)["findings"]
        if finding["severity"] == "error"
    ]
    trained = abi("train", folder / "line.yaml", *data, *words, "-o", folder / "run", "-j", 0)
    if source not in said:
        assert (checked.exit_code, found) == (0, []), checked.output
        assert trained.exit_code == 75, trained.output
        return
    assert checked.exit_code == 1
    assert trained.exit_code in (3, 4), trained.output
    refused = problems(trained.stderr)
    assert len(refused) == 1
    assert re.search(said[source], refused[0]), refused
    assert refused[0].partition(": ")[2] == found[0]


class Reached(AbiError):
    """The training has come to where it loads the backend."""

    exit_code: ClassVar[int] = 75


def reached(*_arguments: object, **_options: object) -> None:
    raise Reached("it loads the backend")


def test_a_training_that_goes_on_is_asked_the_same(folder, tmp_path, monkeypatch):
    """Whatever a spec came to be since, it is refused before the backend is loaded."""
    run = tmp_path / "run"
    trained = abi("train", folder / "line.yaml", "-o", run, "-j", 0, "-s", "training.validation=8")
    assert trained.exit_code == 0, trained.output
    asked = []
    monkeypatch.setattr(
        "abi_cli.workflow.resuming.refuse_untrainable",
        lambda spec, *, stored: asked.append((spec.training.validation, stored)),
    )
    monkeypatch.setattr("abi_cli.workflow.resuming.load_backend", reached)
    again = abi("train", "--resume", run, "--extend", 1)
    assert again.exit_code == 75, again.output
    assert asked == [(8, None)]
