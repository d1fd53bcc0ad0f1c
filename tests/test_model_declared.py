"""Priors and contexts that a spec declares, alone and mixed with functions."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from scipy import stats

from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.rehearsal import check_reproducible
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.model.support import Support
from abi_cli.spec import InvalidSpecError, dump_spec, parse_spec
from abi_cli.variables import take
from tests.cli import abi
from tests.model_tasks import assert_equal, train_rows

ONE_DRAW = """
def likelihood(beta, sigma, N, rng):
    x = rng.normal(size=N)
    return {"x": x, "y": rng.normal(beta[0] + beta[1] * x, sigma)}
"""
BATCHED = """
def likelihood(beta, sigma, N, batch_size, rng):
    x = rng.normal(size=(batch_size, N))
    return {"x": x, "y": rng.normal(beta[:, :1] + beta[:, 1:] * x, sigma[:, None])}
"""
MODEL = """
name: declared
model:
  meta: {N: {integers: {low: 5, high: 15}}}
  prior:
    beta: {normal: {loc: mu, scale: [3, 1]}}
    mu: {normal: {loc: [2, 0]}}
    sigma: {gamma: {shape: 1, scale: 2}}
  likelihood: model.py:likelihood
observables: {x: {kind: set}, y: {kind: set}}
"""


def spec_of(text, *overrides):
    return parse_spec(text, overrides=overrides)


def simulator(folder, *overrides, code=ONE_DRAW, text=MODEL):
    (folder / "model.py").write_text(textwrap.dedent(code))
    return Simulator.from_spec(spec_of(text, *overrides), folder)


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_rows_depend_on_nothing_but_their_number(code, tmp_path):
    model = simulator(tmp_path, code=code)
    whole = train_rows(model, 0, 96)
    part = train_rows(model, 40, 70)
    assert_equal(part, take(whole, slice(40, 70)))
    check_reproducible(model, 3)


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_what_is_drawn_has_the_declared_law(code, tmp_path):
    data = train_rows(simulator(tmp_path, code=code), 0, 6000)
    assert [name for name in data if name not in "xyN"] == ["beta", "mu", "sigma"]
    assert data["sigma"].shape == (6000,)
    assert data["beta"].shape == data["mu"].shape == (6000, 2)
    assert stats.kstest(data["sigma"], stats.gamma(1, scale=2).cdf).pvalue > 1e-3
    z = (data["beta"] - data["mu"]) / [3, 1]
    assert stats.kstest(z.ravel(), stats.norm().cdf).pvalue > 1e-3
    assert set(np.unique(data["N"])) == set(range(5, 15))
    assert data["N"].dtype == np.int64
    np.testing.assert_array_equal(data["x"].row_size, data["N"])


def test_the_prior_has_a_density(tmp_path):
    model = simulator(tmp_path)
    data = train_rows(model, 0, 50)
    expected = (
        stats.norm([2, 0], 1).logpdf(data["mu"]).sum(axis=1)
        + stats.norm(data["mu"], [3, 1]).logpdf(data["beta"]).sum(axis=1)
        + stats.gamma(1, scale=2).logpdf(data["sigma"])
    )
    np.testing.assert_allclose(model.log_prior(data), expected)
    with pytest.raises(SpecError, match="sigma is not known"):
        simulator(
            tmp_path,
            "model.prior.sigma=model.py:scale",
            code=ONE_DRAW + "\ndef scale(rng):\n    return rng.gamma(1)\n",
        ).log_prior(data)


def test_supports_are_those_of_the_declarations(tmp_path):
    model = simulator(tmp_path, "model.prior.tau={half_cauchy: {}}")
    assert model.supports["sigma"] == Support(0.0, None)
    assert model.supports["tau"] == Support(0.0, None, heavy=True)
    assert model.supports["beta"] == Support(None, None)


@pytest.mark.parametrize(
    ("function", "likelihood"),
    [
        ("def scale(mu, rng):\n    return rng.gamma(1, abs(mu[0]))\n", ONE_DRAW),
        ("def scale(mu, rng):\n    return rng.gamma(1, abs(mu[0]))\n", BATCHED),
        (
            "def scale(mu, batch_size, rng):\n"
            "    return rng.gamma(1, abs(mu[:, 0]), size=batch_size)\n",
            BATCHED,
        ),
    ],
    ids=["one draw", "one draw in a batched model", "batched"],
)
def test_functions_and_distributions_mix(function, likelihood, tmp_path):
    code = likelihood + "\n" + function
    model = simulator(tmp_path, "model.prior.sigma=model.py:scale", code=code)
    data = train_rows(model, 0, 3000)
    ratio = data["sigma"] / np.abs(data["mu"][:, 0])
    assert stats.kstest(ratio, stats.expon().cdf).pvalue > 1e-3
    assert list(model.supports) == ["beta", "mu"]
    check_reproducible(model, 3)


def test_context_of_a_chunk_is_shared_even_if_it_has_as_many_elements_as_rows(tmp_path):
    """A vector of context is not mistaken for a value for each data set of the chunk."""
    code = """
        def likelihood(beta, batch_size, rng):
            return {"x": beta + rng.normal(size=(batch_size, 4))}
    """
    text = """
name: shared
model:
  meta: {t: {uniform: {low: [0, 10, 20, 30], high: [1, 11, 21, 31]}}}
  prior: {beta: {normal: {loc: t, scale: 0.001}}}
  likelihood: model.py:likelihood
  chunk: 4
"""
    data = train_rows(simulator(tmp_path, code=code, text=text), 0, 8)
    np.testing.assert_allclose(data["beta"], data["t"], atol=0.01)
    assert (data["t"][:4] == data["t"][:1]).all()
    assert (data["t"][4:] != data["t"][:4]).all()


def test_context_that_is_held_fixed_feeds_what_depends_on_it(tmp_path):
    model = simulator(tmp_path, "model.meta={J: {integers: {low: 2, high: 9}}, "
                      "N: {integers: {low: J, high: 10}}}")  # fmt: skip
    data = model.simulate(seed=1, purpose=Purpose.SIMULATE, start=0, stop=40, context={"J": 9})
    assert set(data["J"]) == set(data["N"]) == {9}


def test_a_size_may_be_context(tmp_path):
    text = MODEL.replace("{normal: {loc: [2, 0]}}", "{normal: {size: J}}").replace(
        "meta: {", "meta: {J: {choice: {a: [2]}}, "
    )
    assert train_rows(simulator(tmp_path, text=text), 0, 3)["mu"].shape == (3, 2)


def test_a_draw_that_fails_says_which_and_where(tmp_path):
    model = simulator(tmp_path, "model.prior.sigma={gamma: {shape: tau}}",
                      "model.prior.tau={normal: {loc: -5}}")  # fmt: skip
    with pytest.raises(UserFunctionError, match="sigma can't be drawn from gamma: shape tau") as e:
        train_rows(model, 0, 3)
    assert e.value.place == "model.prior.sigma"
    assert "row 0 of seed 7" in e.value.message


def test_functions_that_need_each_other_are_refused(tmp_path):
    code = ONE_DRAW + "\ndef one(other):\n    return 1.0\n\ndef two(one):\n    return 1.0\n"
    text = MODEL.replace("    mu:", "    one: model.py:one\n    other: model.py:two\n    mu:")
    with pytest.raises(SpecError, match="which need each other"):
        simulator(tmp_path, code=code, text=text)


def test_functions_of_both_kinds_in_a_section_are_refused(tmp_path):
    code = ONE_DRAW + "\ndef one(rng):\n    return 1.0\n\ndef two(batch_size):\n    return 1.0\n"
    text = MODEL.replace("    mu:", "    one: model.py:one\n    other: model.py:two\n    mu:")
    with pytest.raises(SpecError, match="all take batch_size"):
        simulator(tmp_path, code=code, text=text)


def test_what_nothing_draws_is_missed(tmp_path):
    code = ONE_DRAW + "\ndef one(nobody):\n    return 1.0\n"
    model = simulator(tmp_path, "model.prior.one=model.py:one", code=code)
    with pytest.raises(UserFunctionError, match="prior takes nobody, which nothing provides"):
        train_rows(model, 0, 1)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("model.prior.sigma={gamma: {shape: nu}}", "'nu', which nothing draws"),
        ("model.prior.mu={normal: {loc: beta}}", "beta from mu, mu from beta"),
        ("model.prior.sigma={gamma: {shape: sigma}}", "sigma from sigma"),
        ("model.meta.sigma={gamma: {shape: 1}}", "declared twice, the second time under prior"),
        ("model.meta.N={poisson: {lam: sigma}}", "'sigma', which nothing draws"),
        ("model.prior.mu={normal: {size: N}}", "the same in every data set"),
        ("model.prior.k={poisson: {}}", "vary continuously; got 'k'"),
        ("model.prior.sigma={gama: {shape: 1}}", "unknown distribution 'gama'"),
        ("model.prior.sigma={gamma: {shap: 1}}", "shap"),
        ("model.prior.sigma={gamma: {shape: -1}}", "above 0"),
        ("parameters={nu: {}}", "that the prior declares; got 'nu'"),
    ],
)
def test_declarations_that_mean_nothing_are_refused(override, said):
    with pytest.raises(InvalidSpecError, match=said):
        spec_of(MODEL, override)


def test_a_declared_spec_survives_being_written():
    spec = spec_of(MODEL, "model.prior.tau=model.py:tau")
    assert parse_spec(dump_spec(spec)) == spec


def test_a_declared_model_is_checked_and_trained(tmp_path):
    (tmp_path / "model.py").write_text(ONE_DRAW)
    path = tmp_path / "spec.yaml"
    path.write_text(MODEL)
    checked = abi("check", path)
    assert checked.exit_code == 0, checked.output
    assert "sigma gamma: mean 2, sd 2" in checked.stdout
    assert "N integers: 5..14" in checked.stdout
    filled = abi("fill", path)
    assert "constrain" in filled.stdout
    run = tmp_path / "run"
    small = ("-s", "training.epochs=1", "-s", "training.num_batches=4", "-j", 0)
    trained = abi("train", path, "-o", run, *small)
    assert trained.exit_code == 0, trained.output
    simulated = abi("simulate", run, "-n", 3, "-o", tmp_path / "sims.csv")
    assert simulated.exit_code == 0, simulated.output
    sampled = abi("sample", run, tmp_path / "sims.csv", "-n", 4, "-o", tmp_path / "draws.csv")
    assert sampled.exit_code == 0, sampled.output


# What data sets come with

GIVEN = """
name: given
model:
  meta: {N: {integers: {low: 5, high: 15}}}
  given: model.py:design
  prior: {slope: normal, sigma: {gamma: {shape: 2}}}
  likelihood: model.py:likelihood
observables: {x: {kind: set}, y: {kind: set}}
"""
DESIGN = """
def design(N, rng):
    return {"x": rng.uniform(-2, 2, size=N), "dose": rng.integers(1, 4)}

def likelihood(x, dose, slope, sigma, rng):
    return {"y": rng.normal(slope * dose * x, sigma)}
"""
BATCHED_DESIGN = """
def design(N, rng):
    return {"x": rng.uniform(-2, 2, size=N), "dose": rng.integers(1, 4)}

def likelihood(x, dose, slope, sigma, batch_size, rng):
    assert x.shape[0] == dose.shape[0] == batch_size
    return {"y": rng.normal((slope * dose)[:, None] * x, sigma[:, None])}
"""


@pytest.mark.parametrize("code", [DESIGN, BATCHED_DESIGN], ids=["one draw", "batched"])
def test_what_is_given_is_drawn_before_the_prior_and_is_no_parameter(code, tmp_path):
    model = simulator(tmp_path, code=code, text=GIVEN)
    data = train_rows(model, 0, 64)
    layout = model.layout(data)
    roles = {variable.name: variable.role for variable in layout.variables}
    assert roles == {
        "N": "context",
        "x": "given",
        "dose": "given",
        "slope": "parameter",
        "sigma": "parameter",
        "y": "observable",
    }
    assert layout["N"].length_of == ("x", "y")
    assert len(np.unique(data["dose"])) == 3
    check_reproducible(model, 3)


def test_declarations_of_a_chunk_see_what_is_given_row_by_row(tmp_path):
    code = """
        def likelihood(beta, batch_size, rng):
            return {"y": beta}
    """
    text = """
name: rows
model:
  meta: {s: {uniform: {low: 0.5, high: 1}}}
  given: {t: {uniform: {low: [0, 10], high: [1, 11]}}}
  prior: {beta: {normal: {loc: t, scale: 0.001}}, gamma: {normal: {loc: s, scale: 0.001}}}
  likelihood: model.py:likelihood
  chunk: 2
"""
    data = train_rows(simulator(tmp_path, code=code, text=text), 0, 8)
    np.testing.assert_allclose(data["beta"], data["t"], atol=0.01)
    np.testing.assert_allclose(data["gamma"], data["s"], atol=0.01)
    assert len(np.unique(data["t"])) == 16
    assert len(np.unique(data["s"])) == 4


def test_a_model_with_covariates_is_trained_and_sampled(tmp_path):
    (tmp_path / "model.py").write_text(DESIGN)
    path = tmp_path / "spec.yaml"
    path.write_text(GIVEN)
    run = tmp_path / "run"
    small = ("-s", "training.epochs=1", "-s", "training.num_batches=4", "-j", 0)
    trained = abi("train", path, "-o", run, *small)
    assert trained.exit_code == 0, trained.output
    data = tmp_path / "data.csv"
    data.write_text("x,y,dose\n0.5,1.0,2\n1.5,2.0,2\n-0.5,0.3,2\n1.0,1.0,2\n0.2,0.1,2\n")
    sampled = abi("sample", run, data, "-n", 4, "--format", "csv")
    assert sampled.exit_code == 0, sampled.output
    assert len(sampled.stdout.splitlines()) == 5
    without = tmp_path / "without.csv"
    without.write_text("y\n0.5\n1.0\n")
    refused = abi("sample", run, without)
    assert refused.exit_code == 4
    assert "expected the columns x, dose; got y" in refused.stderr


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ("context: {N: {length_of: [x, y]}}", 0),
        ("context: {N: {length_of: dose}}", 3),
        ("context: {M: {length_of: x}}", 3),
    ],
)
def test_what_context_counts_is_verified(section, code, tmp_path):
    (tmp_path / "model.py").write_text(DESIGN)
    (tmp_path / "spec.yaml").write_text(f"{GIVEN}{section}\n")
    checked = abi("check", tmp_path / "spec.yaml")
    assert checked.exit_code == code, checked.output
    if code:
        assert "E202" in checked.stderr


def test_context_may_not_depend_on_what_is_given():
    with pytest.raises(InvalidSpecError, match="'x', which nothing draws"):
        spec_of(GIVEN.replace("low: 5", "low: x"))
