"""What a person writes first who comes from Stan, PyMC or R, and what is said to it."""

from __future__ import annotations

import json

import pytest

from abi_cli.spec import InvalidSpecError, parse_spec
from tests.cli import abi

MODEL = """\
import numpy as np


def likelihood(mu, sigma, N, rng):
    return {"y": rng.normal(mu, sigma, size=N)}


def without_mu(sigma, N, rng):
    return {"y": rng.normal(0, sigma, size=N)}
"""


def spec(*, prior="{mu: {normal: {scale: 5}}, sigma: {half_normal: {scale: 5}}}", **other) -> str:
    fields = {
        "meta": "{N: {integers: {low: 5, high: 15}}}",
        "likelihood": "model.py:likelihood",
        "observables": "{y: {kind: set}}",
        **other,
    }
    more = "".join(
        f"{name}: {fields[name]}\n" for name in ("observables", "adapter") if name in fields
    )
    given = f"  given: {fields['given']}\n" if "given" in fields else ""
    return (
        f"name: a\nmodel:\n  meta: {fields['meta']}\n  prior: {prior}\n{given}"
        f"  likelihood: {fields['likelihood']}\n{more}"
    )


def refused(text: str) -> str:
    with pytest.raises(InvalidSpecError) as error:
        parse_spec(text)
    return str(error.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("normal(0, 5)", "Write normal: {loc: 0, scale: 5}"),
        ("normal(0,5)", "Write normal: {loc: 0, scale: 5}"),
        ("Normal(mu=0, sigma=5)", "Write normal: {loc: 0, scale: 5}"),
        ("HalfNormal(sigma=2)", "Write half_normal: {scale: 2}"),
        ("half_cauchy(2.5)", "Write half_cauchy: {scale: 2.5}"),
        ("student_t(4, 0, 1)", "Write student_t: {df: 4, loc: 0, scale: 1}"),
        ("StudentT(nu=4, mu=0, sigma=1)", "Write student_t: {df: 4, loc: 0, scale: 1}"),
        ("uniform(lower=0, upper=1)", "Write uniform: {low: 0, high: 1}"),
        ("gamma(2, 0.1)", "Write gamma: {shape: 2, scale: 10}; a rate of r is a scale of 1/r"),
        ("exponential(rate)", "Write exponential: {scale: 1/rate}"),
        ("beta(2, 3)", "Write beta: {a: 2, b: 3}"),
        ("Beta(alpha=2, beta=3)", "Write beta: {a: 2, b: 3}"),
        ("lognormal(0, 1)", "Write lognormal: {mean: 0, sigma: 1}"),
        ("LogNormal(mu=0, sigma=1)", "Write lognormal: {mean: 0, sigma: 1}"),
        ("poisson(3)", "Write poisson: {lam: 3}"),
    ],
)
def test_calls_are_told_as_options(written, meant):
    said = refused(spec(prior=f"{{mu: {written}, sigma: {{half_normal: {{scale: 5}}}}}}"))
    assert meant in said
    assert said.count("E1") == 2  # the problem, and which one `abi explain` tells more of
    below = f"\n    mu: {written}\n    sigma: {{half_normal: {{scale: 5}}}}"
    assert meant in refused(spec(prior=below))
    assert f"got {written}" in refused(spec(prior=below))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{uniform: [0, 1]}", "Write uniform: {low: 0, high: 1}"),
        ("{normal: [0, 1]}", "Write normal: {loc: 0, scale: 1}"),
        ("{gamma: [2, 1]}", "Write gamma: {shape: 2, scale: "),
        ("{dist: normal, loc: 0, scale: 1}", "Write normal: {loc: 0, scale: 1}"),
        ("{distribution: normal, mu: 0, sd: 1}", "Write normal: {loc: 0, scale: 1}"),
        ("{lognormal: {loc: 0, sigma: 1}}", "Did you mean 'mean'?"),
        ("{lognormal: {mean: 0, sd: 1}}", "Did you mean 'sigma'?"),
        ("{gamma: {alpha: 2, scale: 3}}", "Did you mean 'shape'?"),
        ("{gamma: {shape: 2, rate: 3}}", "The scale is 1 / rate"),
        ("{uniform: {lower: 0, high: 1}}", "Did you mean 'low'? Options"),
        ("{beta: {alpha: 2, b: 3}}", "Did you mean 'a'?"),
    ],
)
def test_options_of_others_are_told_once_as_ours(written, meant):
    said = refused(spec(prior=f"{{mu: {written}, sigma: {{half_normal: {{scale: 5}}}}}}"))
    assert said.startswith("1 problem in ")
    assert meant in said


@pytest.mark.parametrize(
    ("changed", "meant"),
    [
        (
            {"prior": "\n    mu ~ normal(0, 5)\n    sigma ~ Exponential(0.5)"},
            "Write mu: {normal: {loc: 0, scale: 5}}, sigma: {exponential: {scale: 2}}",
        ),
        ({"meta": "{N: [5, 20]}"}, "Write integers: {low: 5, high: 21} for 5 to 20"),
        ({"meta": "{N: [0.5, 2]}"}, "Write uniform: {low: 0.5, high: 2}"),
        ({"likelihood": "model.likelihood"}, "Write model.py:likelihood"),
        ({"likelihood": "model.py"}, "Name the function in it, as model.py:NAME"),
        ({"likelihood": "model.py.likelihood"}, "Write model.py:likelihood"),
        ({"observables": "{y: set}"}, "Write {kind: set}"),
        ({"observables": "y"}, "Write {y: {…}}"),
        ({"observables": "{y: {kind: vector}}"}, "Did you mean 'fixed'?"),
        ({"observables": "[y]"}, "Write a mapping of names: {y: {…}}"),
        ({"observables": "{y: {kind: set}}\ndata: {y: y.csv}"}, "abi sample RUN FILE"),
        (
            {"observables": "{y: {kind: set}}\ntraining: {lr: 0.001}"},
            "Did you mean 'learning_rate'?",
        ),
        (
            {"observables": "{y: {kind: set}}\nnetworks: {inference: nsf}"},
            "Write coupling_flow: {transform: spline}. Inference networks: ",
        ),
        ({"meta": "{N: 10}\n  simulator: a.py:f"}, "Did you mean 'likelihood'? Fields: "),
        (
            {"prior": "{mu: {lkj_corr: {eta: 2}}}"},
            "Others a function can draw: prior: FILE.py:NAME",
        ),
        ({"prior": "{mu: {bernoulli: {p: 0.5}}}"}, "Write binomial: {n: 1, p: …}. Distributions: "),
        (
            {"prior": "{mu: {normal: {scale: 2, lower: 0}}}"},
            "Write truncated_normal: {loc: …, scale: …, low: …, high: …}",
        ),
        ({"meta": "{N: 10}\n  M: 3"}, "A number that functions take is drawn in meta: {M: …}"),
    ],
)
def test_near_misses_are_told_as_what_is_meant(changed, meant):
    assert meant in refused(spec(**changed))


def test_what_is_no_distribution_is_told_with_those_there_are():
    said = refused(spec(prior="{mu: nrmal(0), sigma: {half_normal: {scale: 5}}}"))
    assert "Did you mean 'normal'? Distributions: beta" in said


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ("normal: {mean: 0}", "Did you mean 'loc'?"),
        ("normal: {sd: 1}", "Did you mean 'scale'?"),
        ("gamma: {shape: 2, rate: 3}", "The scale is 1 / rate"),
        ("uniform: {min: 0, max: 1}", "Did you mean 'high'?"),
    ],
)
def test_options_under_other_names_are_told(options, hint):
    assert hint in refused(spec(prior=f"{{mu: {{{options}}}}}"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def test_a_number_is_a_constant(folder):
    (folder / "a.yaml").write_text(spec(meta="{N: 10}"))
    result = abi("simulate", "a.yaml", "-n", 2, "-o", "a.jsonl")
    assert result.exit_code == 0, result.output
    lines = (folder / "a.jsonl").read_text().splitlines()
    assert [len(json.loads(line)["y"]) for line in lines] == [10, 10]
    filled = abi("fill", "a.yaml")
    assert "choice" in filled.stdout


def test_a_parameter_is_no_constant():
    said = refused(spec(prior="{mu: 0, sigma: {half_normal: {scale: 5}}}"))
    assert "Expected parameters that vary continuously; got 'mu', which is a constant" in said
    assert "Move it to meta: functions take mu from there, too" in said


def test_sizes_with_a_variable_in_a_list_are_told_what_to_do():
    said = refused(spec(given="{x: {normal: {size: [N, 3]}}}"))
    assert "or one variable alone; got both in a list" in said
    assert "Let a function draw" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"observables": "{z: {kind: set}}"}, "a.yaml:6:15"),
        (
            {"observables": "null", "adapter": "[as_set: [z]]"},
            "Expected variables of the model, N, mu, sigma, y; got z",
        ),
        (
            {
                "observables": "null",
                "adapter": "[as_set: [yy], concatenate: {keys: [mu], into: inference_variables}]",
            },
            "got yy",
        ),
    ],
)
def test_a_name_of_nothing_is_pointed_at_not_the_simulation_that_fails_by_it(changed, said, folder):
    (folder / "a.yaml").write_text(spec(**changed))
    for command in ("check", "train"):
        result = abi(command, "a.yaml", *(("-o", folder / "run") if command == "train" else ()))
        assert result.exit_code == 3, result.output
        assert said in result.stderr + result.stdout
        assert "values in row" not in result.output


def test_a_size_with_a_fraction_is_told_how_whole_numbers_are_drawn(folder):
    (folder / "a.yaml").write_text(spec(meta="{N: {uniform: {low: 5, high: 20}}}"))
    result = abi("check", "a.yaml")
    assert result.exit_code == 5
    assert "N can have fractions. integers: {low: …, high: …}" in " ".join(result.stderr.split())


def test_a_function_that_is_not_there_is_pointed_at(folder):
    (folder / "a.yaml").write_text(spec(likelihood="model.py:likelihod"))
    result = abi("check", "a.yaml")
    assert result.exit_code == 3
    assert "--> a.yaml:5:15" in result.stderr
    assert "Did you mean likelihood?" in result.stderr
    (folder / "a.yaml").write_text(spec(likelihood="modl.py:likelihood"))
    result = abi("check", "a.yaml")
    assert "--> a.yaml:5:15" in result.stderr
    assert "Did you mean model.py?" in result.stderr


def test_a_parameter_that_nothing_takes_is_told(folder):
    (folder / "a.yaml").write_text(spec(likelihood="model.py:without_mu"))
    result = abi("check", "a.yaml")
    assert "mu: drawn by the prior, and no function takes it" in result.output
    taken = "{mu: {normal: {}}, sigma: {half_normal: {scale: mu}}}"
    (folder / "a.yaml").write_text(spec(likelihood="model.py:without_mu", prior=taken))
    assert "no function takes" not in abi("check", "a.yaml").output
