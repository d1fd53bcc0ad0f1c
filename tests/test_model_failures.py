"""Simulations that fail: refused by default, drawn again and counted where they may."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from abi_cli.errors import UserFunctionError
from abi_cli.model.rehearsal import check_reproducible
from abi_cli.model.simulator import Simulator
from abi_cli.spec import parse_spec
from abi_cli.variables import take
from tests.cli import abi
from tests.model_tasks import assert_equal, train_rows

CODE = """
import numpy as np

def likelihood(mu, rng):
    if mu < -1:
        raise ValueError("too small")
    return {"x": rng.normal(mu, size=5) if mu < 1 else np.full(5, np.nan)}
"""
BATCHED = """
import numpy as np

def likelihood(mu, batch_size, rng):
    x = rng.normal(mu[:, None], size=(batch_size, 5))
    return {"x": np.where(mu[:, None] < 1.5, x, np.nan)}
"""
SPEC = """
name: failing
model:
  prior: {mu: normal}
  likelihood: model.py:likelihood
  max_failures: 100000
  chunk: 4
observables: {x: {kind: set}}
training: {epochs: 1, num_batches: 4}
"""


def simulator(folder, code, *overrides):
    (folder / "model.py").write_text(code)
    return Simulator.from_spec(parse_spec(SPEC, overrides=overrides), folder)


def test_none_may_fail_by_default(tmp_path):
    model = simulator(tmp_path, CODE, "model.max_failures=0")
    with pytest.raises(UserFunctionError, match=r"too small|nan, which is not finite"):
        train_rows(model, 0, 64)


def test_what_fails_is_drawn_again_from_the_rest_of_the_prior(tmp_path):
    data = train_rows(simulator(tmp_path, CODE), 0, 1500)
    assert len(data["mu"]) == 1500
    assert stats.kstest(data["mu"], stats.truncnorm(-1, 1).cdf).pvalue > 1e-3
    assert np.isfinite(data["x"].values).all()


@pytest.mark.parametrize("code", [CODE, BATCHED], ids=["one draw", "batched"])
def test_rows_depend_on_their_number_alone_all_the_same(code, tmp_path):
    model = simulator(tmp_path, code)
    whole = train_rows(model, 0, 96)
    assert_equal(train_rows(model, 33, 71), take(whole, slice(33, 71)))
    assert_equal(train_rows(model, 40, 41), take(whole, slice(40, 41)))
    check_reproducible(model, 2)


def test_rows_that_do_not_fail_are_what_they_were(tmp_path):
    data = train_rows(simulator(tmp_path, CODE), 0, 200)
    code = CODE.replace("< -1", "< -9").replace("< 1 ", "< 9 ")
    easy = train_rows(simulator(tmp_path, code), 0, 200)
    same = np.abs(easy["mu"]) < 1
    assert 0.5 < same.mean() < 0.9
    np.testing.assert_array_equal(data["mu"][same], easy["mu"][same])


def test_too_many_stop_the_work_and_say_why(tmp_path):
    model = simulator(tmp_path, CODE, "model.max_failures=20")
    with pytest.raises(UserFunctionError, match=r"more than model.max_failures, 20; the first: "):
        train_rows(model, 0, 400)


def test_a_row_that_always_fails_is_given_up(tmp_path):
    model = simulator(tmp_path, CODE.replace("mu < -1", "True"))
    with pytest.raises(UserFunctionError, match=r"too small.*drawn again 99 times"):
        train_rows(model, 0, 400)


def test_a_training_counts_them(tmp_path):
    (tmp_path / "model.py").write_text(CODE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    trained = abi("train", tmp_path / "spec.yaml", "-o", tmp_path / "run", "--json")
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["failures"] > 100
    shown = abi("train", tmp_path / "spec.yaml", "-o", tmp_path / "other", "-j", 0)
    assert "drawn again: the prior is cut where they fail" in shown.output
    refused = abi(
        "train", tmp_path / "spec.yaml", "-o", tmp_path / "third", "-s", "model.max_failures=50"
    )
    assert refused.exit_code == 5
    assert "more than model.max_failures, 50" in refused.stderr
    assert not (tmp_path / "third").exists()
