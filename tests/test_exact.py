"""How far posteriors are from exact ones, trained at the specs' own budgets by the command line."""

from pathlib import Path

import numpy as np
import pytest

import abi_cli
from tests.cli import ANSCOMBE, SPECS, abi_process
from tests.oracles import (
    ConjugateRegression,
    Divergence,
    ExactRegression,
    mean_kl,
    simulate_conjugate,
    simulate_regression,
)

MODELS = {
    "regression": (simulate_regression, ExactRegression),
    "tutorial": (simulate_regression, ExactRegression),
    "conjugate": (simulate_conjugate, ConjugateRegression),
}


def trained(name: str, folder: Path) -> Path:
    path = folder / name
    result = abi_process("train", SPECS / f"{name}.yaml", "-o", path)
    assert result.returncode == 0, result.stderr
    return path


def divergence(name: str, path: Path, datasets: int) -> Divergence:
    simulate, exact = MODELS[name]
    truth = simulate(datasets, np.random.default_rng(2))
    parameters = {key: truth.pop(key) for key in ("beta", "sigma")}
    log_q = abi_cli.load(path).networks.log_prob(truth, parameters)
    log_p = exact.given(truth["x"], truth["y"]).log_density(**parameters)
    kl = mean_kl(log_q, log_p, sigma=parameters["sigma"])
    print(f"{name}: mean KL {kl.mean:.3f} ± {kl.standard_error:.3f} nats, median {kl.median:.3f}")
    return kl


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    return trained("regression", tmp_path_factory.mktemp("exact"))


def test_the_shipped_spec_comes_close_to_the_exact_posteriors(regression):
    assert divergence("regression", regression, 4000).mean < 0.1


def test_anscombes_posteriors_agree_with_each_other_and_with_the_exact_ones(regression):
    posterior = abi_cli.load(regression)
    values = posterior.sample(ANSCOMBE, draws=4000).values
    draws = np.concatenate([values["beta"], values["sigma"][..., None]], axis=-1)
    means, sds = draws.mean(axis=1), draws.std(axis=1)
    for mean, sd in zip(means, sds, strict=True):
        np.testing.assert_allclose(mean, [7.40, 1.40, 1.34], atol=0.07)
        np.testing.assert_allclose(sd, [0.41, 0.41, 0.34], atol=0.05)
    assert np.ptp(means, axis=0).max() < 0.08


@pytest.mark.soak
@pytest.mark.parametrize(("name", "most"), [("tutorial", 0.1), ("conjugate", 0.15)])
def test_other_budgets_and_models_come_close_too(name, most, tmp_path):
    assert divergence(name, trained(name, tmp_path), 10_000).mean < most
