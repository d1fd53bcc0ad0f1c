"""Simulations of another program: specs without a model, `--data` wherever rows are simulated."""

from __future__ import annotations

import json

import numpy as np
import pytest

import abi_cli
from tests.cli import abi

SPEC = """
name: stored
parameters: {mu: {}, sigma: {}}
context: {N: {length_of: x}}
observables: {x: {kind: set}}
training: {epochs: 2, num_batches: 4, batch_size: 16}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A spec, and what another program may have simulated, in every format."""
    place = tmp_path_factory.mktemp("stored")
    (place / "spec.yaml").write_text(SPEC)
    rng = np.random.default_rng(3)
    mu, sigma = rng.normal(size=300), rng.gamma(3.0, size=300)
    sizes = rng.integers(3, 9, size=300)
    values = np.repeat(mu, sizes) + np.repeat(sigma, sizes) * rng.normal(size=sizes.sum())
    np.savez(place / "sims.npz", mu=mu, sigma=sigma, x=values, row_size=sizes)
    lines = ["dataset,mu,sigma,x,note"]
    objects = []
    for i, own in enumerate(np.split(values, np.cumsum(sizes)[:-1])):
        lines += [f"{i},{float(mu[i])!r},{float(sigma[i])!r},{float(x)!r},5" for x in own]
        objects.append({"mu": mu[i], "sigma": sigma[i], "x": own.tolist()})
    (place / "sims.csv").write_text("\n".join(lines) + "\n")
    (place / "sims.jsonl").write_text("\n".join(map(json.dumps, objects)) + "\n")
    return place


@pytest.mark.parametrize("file", ["sims.npz", "sims.csv", "sims.jsonl"])
def test_they_are_described_without_a_model(folder, file):
    checked = abi("check", folder / "spec.yaml", "--data", folder / file, "--json")
    assert checked.exit_code == 0, checked.output
    found = json.loads(checked.stdout)
    assert (found["files"], found["sources"], found["rows"]) == ([], {}, 300)
    described = {v["name"]: (v["role"], v["ragged"], v["length_of"]) for v in found["layout"]}
    assert described == {
        "N": ("context", False, ["x"]),
        "mu": ("parameter", False, []),
        "sigma": ("parameter", False, []),
        "x": ("observable", True, []),
    }
    assert found["steps"][0]["title"] == "read"


def test_a_run_without_a_model_does_all_but_simulate(folder):
    spec, data, run = folder / "spec.yaml", folder / "sims.npz", folder / "run"
    made = abi("train", spec, "--data", data, "-o", run, "-q")
    assert made.exit_code == 0, made.output
    draws = abi_cli.load(run).sample(folder / "sims.jsonl", draws=4)
    assert draws.values["mu"].shape == (300, 4)
    judged = abi("diagnose", run, "--data", data, "--datasets", 20, "-n", 20, "--json")
    assert judged.exit_code == 0, judged.output
    assert "executes" not in judged.stderr
    metrics = json.loads((run / "diagnostics" / "metrics.json").read_text())
    assert metrics["datasets"] == 20
    page = (run / "diagnostics" / "report.html").read_text()
    assert "300 stored simulations, part of them held out" in page
    assert "none used twice" not in page
    again = abi("train", run, "--data", data, "-o", folder / "again", "-q")
    assert again.exit_code == 0, again.output
    for command in (("diagnose", run), ("simulate", spec), ("check", spec), ("fill", spec),
                    ("train", spec, "-o", folder / "other")):  # fmt: skip
        refused = abi(*command)
        assert refused.exit_code == 3
        assert "has no model to simulate from" in refused.stderr
        assert "--data FILE" in refused.stderr
    filled = abi("fill", spec, "--data", data)
    assert filled.exit_code == 0, filled.output
    assert "adapter:" in filled.stdout
    assert "early_stopping:" in filled.stdout  # what `train` does with them


def test_what_does_not_fit_is_refused(folder, tmp_path):
    def check(text, file=folder / "sims.csv"):
        (tmp_path / "spec.yaml").write_text(text)
        found = abi("check", tmp_path / "spec.yaml", "--data", file)
        return found.exit_code, " ".join(found.stderr.split())

    code, said = check(SPEC.replace("sigma", "sd"))
    assert code == 4
    assert "expected the column sd; got dataset, mu, sigma, x, note" in said
    code, said = check(SPEC.replace("sigma", "note"))
    assert code == 3
    assert "Expected parameters that vary continuously; got note" in said
    assert "spec.yaml:3:22" in said
    code, said = check(SPEC.replace("length_of: x", "length_of: y"))
    assert code == 3
    assert "Expected observables that N is the length of; got y" in said
    code, said = check(SPEC, folder / "absent.csv")
    assert (code, "there is no such file" in said) == (4, True)


def test_a_model_can_be_checked_and_judged_on_stored_simulations_too(folder, tmp_path):
    (tmp_path / "m.py").write_text(
        "def likelihood(rng, mu, sigma): return {'x': rng.normal(mu, sigma, rng.integers(3, 9))}\n"
    )
    (tmp_path / "spec.yaml").write_text(
        "name: m\nmodel: {prior: {mu: normal, sigma: {gamma: {shape: 3}}}, likelihood: "
        "m.py:likelihood}\nobservables: {x: {kind: set}}\n"
    )
    checked = abi("check", tmp_path / "spec.yaml", "--data", folder / "sims.npz", "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["rows"] == 300
