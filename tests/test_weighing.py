"""`compare --observed`: evidence and elpd of conjugate models, whose exact ones are known."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy import stats

from abi_cli.errors import UserFunctionError
from abi_cli.model.density import LogDensity
from abi_cli.refinement.factors import CERTAIN, factor_test
from abi_cli.refinement.leaving import elpd
from abi_cli.workflow import weighing
from abi_cli.workflow.plotting import Replicating
from tests.cli import abi

CODE = """
import numpy as np

def likelihood(rng, mu, N):
    return {"x": rng.normal(mu, 1.0, N)}

def log_likelihood(x, mu, batch_size):
    return -0.5 * (x - mu[:, None]) ** 2 - 0.5 * np.log(2 * np.pi)

def lacking(x, mu, batch_size):
    return -0.5 * (x - mu[:, None]) ** 2

def total(x, mu, batch_size):
    return log_likelihood(x, mu, batch_size).sum(axis=1)
"""

SPEC = """
name: normal
model:
  meta: {N: {integers: {low: 3, high: 9}}}
  prior: {mu: {normal: {scale: SCALE}}}
  likelihood: m.py:likelihood
  log_likelihood: m.py:DENSITY
observables: {x: {kind: set}}
networks:
  summary: {deep_set: {width: 8, summary_dim: 4}}
  inference: {coupling_flow: {depth: 2, width: 8}}
training: {epochs: 1, num_batches: 4, batch_size: 16}
"""

EFFECT, NONE = 1.0, 0.02


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weighing")
    (folder / "m.py").write_text(CODE)
    models = {
        "effect": (EFFECT, "log_likelihood"),
        "none": (NONE, "log_likelihood"),
        "lacking": (EFFECT, "lacking"),
        "total": (EFFECT, "total"),
    }
    for name, (scale, density) in models.items():
        spec = folder / f"{name}.yaml"
        spec.write_text(SPEC.replace("SCALE", str(scale)).replace("DENSITY", density))
        trained = abi("train", spec, "-o", folder / name, "-q", "-j", 0)
        assert trained.exit_code == 0, trained.output
    return {name: folder / name for name in models}


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(5)
    return {f"s{k}": rng.normal(0.4 * (k % 3), 1, 3 + k % 6).round(3) for k in range(12)}


@pytest.fixture(scope="module")
def data(x, tmp_path_factory):
    file = tmp_path_factory.mktemp("data") / "data.csv"
    rows = [f"{label},{value}" for label, values in x.items() for value in values]
    file.write_text("\n".join(["dataset,x", *rows]) + "\n")
    return file


def evidence(values, scale):
    covariance = np.eye(len(values)) + scale**2
    return stats.multivariate_normal(np.zeros(len(values)), covariance).logpdf(values)


def left_out(values, scale):
    """Log p(x_i | the others)."""
    found = []
    for i, value in enumerate(values):
        precision = scale**-2 + len(values) - 1
        mean = (values.sum() - values[i]) / precision
        found.append(stats.norm.logpdf(value, mean, np.sqrt(1 + 1 / precision)))
    return np.array(found)


def test_bayes_factors_and_elpd_are_the_exact_ones(runs, data, x):
    said = abi("compare", runs["effect"], runs["none"], "--observed", data, "--evidence", "--json")
    assert said.exit_code == 0, said.output
    assert "by a bounded test p = " in said.stderr
    told = json.loads(said.stdout)["runs"]
    z = []
    for row, values in zip(told[1]["rows"], x.values(), strict=True):
        exact = evidence(values, NONE) - evidence(values, EFFECT)
        z.append((row["log_bayes_factor"] - exact) / row["log_bayes_factor_error"])
        assert row["log_bayes_factor_error"] < 0.05
    assert np.abs(z).max() < 4
    for one, scale in zip(told, (EFFECT, NONE), strict=True):
        for row, values in zip(one["rows"], x.values(), strict=True):
            exact = left_out(values, scale)
            np.testing.assert_allclose(row["members"]["elpd"], exact, atol=0.12)
            assert abs(row["elpd"] - exact.sum()) < 0.15
    assert {row["word"] for row in told[1]["rows"]} == {"can't tell"}  # of fewer than 100 members


def test_a_term_of_the_data_alone_that_one_density_lacks_is_found(runs, data, monkeypatch):
    monkeypatch.setattr(weighing, "TESTED", 40)
    files = runs["none"], runs["lacking"], "--observed", data
    refused = abi("compare", *files, "--evidence")
    assert refused.exit_code == 5
    assert "the evidences of" in refused.stderr
    assert "lacks a term in the data alone" in refused.stderr


def test_a_density_that_gives_a_total_has_evidence_and_no_elpd(runs, data, monkeypatch):
    monkeypatch.setattr(weighing, "TESTED", 40)
    files = runs["effect"], runs["total"], "--observed", data
    refused = abi("compare", *files)
    assert refused.exit_code == 2
    assert "gives a total" in refused.stderr
    assert "the log density of every member" in refused.stderr
    told = abi("compare", *files, "--evidence")
    assert told.exit_code == 0, told.stderr
    assert "no elpd" in told.stderr
    assert "log Bayes factor" in told.stdout
    assert "elpd" not in told.stdout


def test_a_report_tells_how_well_members_are_predicted_by_the_others(runs, data, x, tmp_path):
    page = tmp_path / "page.html"
    said = abi("report", runs["effect"], data, "-o", page, "--datasets", "s1,s5", "-j", 0)
    assert said.exit_code == 0, said.output
    text = page.read_text(encoding="utf-8")
    lines = data.read_text().splitlines()
    for part, label in zip(text.split("<h2 class")[1:], ("s1", "s5"), strict=True):
        exact = left_out(x[label], EFFECT)
        rows = re.findall(r"row (\d+)</td><td>.*?</td><td>.*?</td><td>(.*?)</td><td>", part)
        assert len(rows) == min(len(exact), 5)
        first = lines.index(f"{label},{x[label][0]}") + 1
        for row, density in rows:
            found = float(density.replace("−", "-"))
            assert found == pytest.approx(exact[int(row) - first], abs=0.12)
        total = re.search(r"left out in turn: (−[\d.]+) ± ", part)
        assert float(total[1].replace("−", "-")) == pytest.approx(exact.sum(), abs=0.15)


@pytest.mark.parametrize(("name", "options"), [("total", []), ("effect", ["--no-code"])])
def test_a_report_without_a_density_of_members_has_none(runs, data, tmp_path, name, options):
    page = tmp_path / "page.html"
    said = abi("report", runs[name], data, "-o", page, "--datasets", "s1", "-j", 0, *options)
    assert said.exit_code == 0, said.output
    assert ("refined 1 of 1" in said.stderr) == (not options)
    text = page.read_text(encoding="utf-8")
    assert "left out</th>" in text
    assert "k-hat" not in text


@pytest.mark.parametrize("function", ["log_likelihood", "likelihood"])
def test_a_report_says_which_function_fails_and_has_all_else(
    runs, data, tmp_path, monkeypatch, function
):
    def fails(*_, **__):
        raise UserFunctionError(f"{function}: it is < 0", place="code/m.py:7")

    whose = {"log_likelihood": (LogDensity, "each"), "likelihood": (Replicating, "of")}
    monkeypatch.setattr(*whose[function], fails)
    page = tmp_path / "page.html"
    said = abi("report", runs["effect"], data, "-o", page, "--datasets", "s1,s2", "-j", 0)
    assert said.exit_code == 0, said.output
    text = page.read_text(encoding="utf-8")
    assert f"code/m.py:7: {function}: it is &lt; 0." in text
    assert "The model would generate" not in text or function == "log_likelihood"
    assert "Data set s2" in text


def test_what_does_not_go_together_is_refused(runs, data):
    both = runs["effect"], runs["none"]
    assert abi("compare", *both, "--evidence").exit_code == 2
    assert abi("compare", *both, "--observed", data, "--datasets", 5).exit_code == 2
    assert abi("compare", runs["effect"], "--observed", data).exit_code == 2


@pytest.mark.parametrize("shift", [0.0, 0.7, -0.7])
def test_the_bounded_test_sees_a_constant_that_is_missing_and_nothing_else(shift):
    p = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(0, 1, (200, 1)), rng.normal(1, 1.5, (200, 1))
        factors = [
            stats.norm.logpdf(y, 1, 1.5) - stats.norm.logpdf(y) + shift for y in (first, second)
        ]
        p.append(factor_test(factors[0].ravel(), factors[1].ravel()).p)
    if shift:
        assert np.median(p) < CERTAIN
    else:
        assert min(p) > 0.5 / 30 / 10


def test_differences_of_many_members_are_told_by_their_standard_errors():
    rng = np.random.default_rng(1)
    weights = np.full(2000, 1 / 2000)
    log_likelihood = stats.norm.logpdf(rng.normal(size=200), rng.normal(0, 0.1, (2000, 1)))
    right, wrong = elpd(log_likelihood, weights), elpd(log_likelihood - 0.2, weights)
    assert wrong.word(right) == "worse"
    assert right.word(wrong) == "better"
    assert right.word(right) == "can't tell"
    assert right.bad == 0
    weights[7] = 0  # which is no reason for a warning
    assert np.isfinite(elpd(log_likelihood, weights).each).all()


def test_a_member_that_one_candidate_decides_is_not_relied_on():
    """The fit of a tail divides by what underflows to zero: k-hat was 0.02, and elpd no number."""
    log_likelihood = np.random.default_rng(1).normal(-1, 0.1, (4096, 5))
    log_likelihood[7, 2] = -900
    found = elpd(log_likelihood, np.full(4096, 1 / 4096))
    assert np.isfinite(found.each).all()
    assert found.bad == 1
    assert found.khat[2] == np.inf
