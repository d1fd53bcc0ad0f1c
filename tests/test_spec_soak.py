"""The whole way of a thousand spoilt specs: each is checked or refused, in words."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abi_cli.spec import InvalidSpecError, Spec, dump_spec, parse_spec
from tests.cli import SPECS, abi
from tests.strategies import mutations

MODEL = """
def meta(rng):
    return {"N": rng.integers(5, 15)}

def prior(rng):
    return {"beta": rng.normal(size=2), "sigma": rng.gamma(2)}

def likelihood(beta, sigma, N, rng):
    x = rng.normal(size=N)
    return {"x": x, "y": rng.normal(beta[0] + beta[1] * x, sigma)}
"""
TUTORIAL = (
    (SPECS / "tutorial.yaml").read_text(encoding="utf-8").replace("regression.py", "model.py")
)
DECLARED = """
name: declared
model:
  meta: {N: {integers: {low: 5, high: 15}}}
  prior:
    mu: {normal: {scale: 5}}
    beta: {normal: {loc: mu, scale: 1, size: 2}}
    sigma: {gamma: {shape: 2, scale: 0.5}}
  likelihood: model.py:likelihood
parameters: {beta: {labels: [a, b]}, sigma: {}}
context: {N: {length_of: [x, y]}}
observables: {x: {kind: set}, y: {kind: set}}
data: {dataset: subject, columns: {x: dose, y: response}, prepare: {x: centre_within}}
adapter:
  - as_set: [x, y]
  - log: {keys: sigma}
  - split: {key: beta, into: [intercept, slope]}
  - scale: {keys: slope, by: 2}
  - drop: N
  - standardize: {}
  - concatenate: {keys: [intercept, slope, sigma], into: inference_variables}
  - concatenate: {keys: [x, y], into: summary_variables}
networks: {summary: deep_set}
training: {learning_rate: {cosine_decay: {initial_learning_rate: 5e-4}}, validation: 10}
"""
LONGEST = 20.0
"""Seconds that no check takes, beside other work."""

CODES = {0, 1, 3, 5}
"""Checked, with errors found, refused, or the functions were."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoilt")
    (folder / "model.py").write_text(MODEL)
    return folder


@pytest.mark.parametrize("text", [TUTORIAL, DECLARED], ids=["tutorial", "declared"])
def test_unspoilt_they_are_fine(text, folder):
    (folder / "spec.yaml").write_text(text)
    checked = abi("check", folder / "spec.yaml")
    assert checked.exit_code == 0, checked.output


def check(text, folder):
    try:
        found = parse_spec(text)
    except InvalidSpecError as error:
        return "refused" if all(p.message for p in error.problems) else "without a word"
    assert isinstance(found, Spec)
    assert parse_spec(dump_spec(found)) == found
    (folder / "spec.yaml").write_text(text, encoding="utf-8")
    began = time.process_time()
    checked = abi("check", folder / "spec.yaml")
    assert checked.exit_code in CODES, checked.output
    assert "Traceback" not in checked.output
    assert time.process_time() - began < LONGEST
    return str(checked.exit_code)


SPOILT = st.sampled_from([TUTORIAL, DECLARED]).flatmap(mutations)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SPOILT)
def test_some_spoilt_specs_are_checked_or_refused(folder, text):
    check(text, folder)


@pytest.mark.soak
def test_a_thousand_spoilt_specs_are_checked_or_refused(folder, capsys):
    ends: dict[str, int] = {}

    @settings(max_examples=1000, deadline=None, database=None)
    @given(SPOILT)
    def run(text):
        end = check(text, folder)
        ends[end] = ends.get(end, 0) + 1

    run()
    with capsys.disabled():
        print(f"\nspoilt specs: {sum(ends.values())}; refused or exit code of check: {ends}")
