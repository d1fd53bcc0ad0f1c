"""The exact posteriors are exact: by brute force, by simulation and by a published data set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from abi_cli.variables import Ragged, take
from tests.oracles import (
    ConjugateRegression,
    ExactRegression,
    mean_kl,
    simulate_conjugate,
    simulate_regression,
)

# Anscombe (1973): x of sets I, II and III, then of set IV; y of the four sets.
ANSCOMBE_X = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], [8, 8, 8, 8, 8, 8, 8, 19, 8, 8, 8]
ANSCOMBE_Y = [
    [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68],
    [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74],
    [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73],
    [6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89],
]

MODELS = {
    "regression": (ExactRegression, simulate_regression),
    "conjugate": (ConjugateRegression, simulate_conjugate),
}


def one_data_set(sigma: float, *, size: int = 9) -> tuple[Ragged, Ragged]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal(size)
    y = 1.5 - 0.7 * x + sigma * rng.standard_normal(size)
    return Ragged(x, np.array([size])), Ragged(y, np.array([size]))


def joint(x: Ragged, y: Ragged, beta: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """log p(y, β, σ | x) of the tutorial's model from its definition, `(draw,)`."""
    location = beta[:, :1] + beta[:, 1:] * x.values
    return (
        stats.norm.logpdf(y.values, location, sigma[:, None]).sum(axis=1)
        + stats.norm.logpdf(beta, [2, 0], [3, 1]).sum(axis=1)
        + stats.gamma.logpdf(sigma, 1.0)
    )


@pytest.mark.parametrize("sigma", [1e-3, 0.05, 2.0])
def test_regression_density_integrates_to_one(sigma: float) -> None:
    x, y = one_data_set(sigma)
    exact = ExactRegression.given(x, y)
    mean, sd = exact.moments()
    # A box in (β₀, β₁, log σ), in posterior sds: six to either side hold all but a millionth of
    # the tails of a t distribution with seven degrees of freedom and a half.
    z = np.linspace(-14, 14, 121)
    t = np.log(mean[0, 2]) + np.linspace(-2.5, 3.5, 121)
    b0, b1, log_sigma = np.meshgrid(
        mean[0, 0] + sd[0, 0] * z, mean[0, 1] + sd[0, 1] * z, t, indexing="ij"
    )
    beta = np.stack([b0.ravel(), b1.ravel()], axis=-1)
    density = np.exp(exact.log_density(beta[None], np.exp(log_sigma).ravel()[None])[0])
    cell = sd[0, 0] * sd[0, 1] * (z[1] - z[0]) ** 2 * (t[1] - t[0])
    assert np.sum(density * np.exp(log_sigma).ravel()) * cell == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("sigma", [1e-5, 1e-3, 1.0])
def test_regression_density_is_the_joint_over_a_constant(sigma: float) -> None:
    x, y = one_data_set(sigma)
    exact = ExactRegression.given(x, y)
    beta, s = exact.draws(50, np.random.default_rng(1))
    gap = exact.log_density(beta, s)[0] - joint(x, y, beta[0], s[0])
    np.testing.assert_allclose(gap, -exact.log_evidence[0], rtol=1e-7)


def test_conjugate_density_is_the_joint_over_a_constant() -> None:
    data = take(simulate_conjugate(3, np.random.default_rng(2)), slice(1, 2))
    x, y = data["x"], data["y"]
    assert isinstance(x, Ragged)
    assert isinstance(y, Ragged)
    exact = ConjugateRegression.given(x, y)
    beta, sigma = exact.draws(50, np.random.default_rng(3))
    location = beta[0, :, :1] + beta[0, :, 1:] @ x.values.T
    log_joint = stats.norm.logpdf(y.values, location, sigma[0, :, None]).sum(axis=1)
    scale = sigma[0, :, None] * [3, 0.02, 0.02, 0.02]
    log_joint += stats.norm.logpdf(beta[0], [200, 0, 0, 0], scale).sum(axis=1)
    log_joint += stats.invgamma.logpdf(sigma[0] ** 2, 3, scale=2e4) + np.log(2 * sigma[0])
    np.testing.assert_allclose(np.ptp(exact.log_density(beta, sigma)[0] - log_joint), 0, atol=1e-8)


def test_conjugate_density_integrates_to_one() -> None:
    data = simulate_conjugate(200, np.random.default_rng(4))
    exact = ConjugateRegression.given(data["x"], data["y"])
    # Importance sampling from a wider member of the family, whose density SciPy knows.
    rng = np.random.default_rng(5)
    mean, sd = exact.moments()
    wide = stats.multivariate_t(np.zeros(5), np.eye(5), df=6, seed=rng)
    z = wide.rvs((200, 4000))
    theta = mean[:, None] + 1.3 * sd[:, None] * z
    log_q = wide.logpdf(z) - np.log(1.3 * sd).sum(axis=1)[:, None]
    weight = np.exp(exact.log_density(theta[..., :4], theta[..., 4]) - log_q)
    assert weight.mean() == pytest.approx(1, abs=5 * weight.mean(axis=1).std() / np.sqrt(200))
    assert weight.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_draws_have_the_exact_moments(name: str) -> None:
    model, simulate = MODELS[name]
    data = simulate(500, np.random.default_rng(6))
    exact = model.given(data["x"], data["y"])
    mean, sd = exact.moments()
    beta, sigma = exact.draws(400, np.random.default_rng(7))
    theta = np.concatenate([beta, sigma[..., None]], axis=-1)
    z = (theta.mean(axis=1) - mean) / sd * np.sqrt(400)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=4.5 / np.sqrt(500))
    np.testing.assert_allclose(z.std(axis=0), 1, atol=0.15)
    np.testing.assert_allclose((theta.var(axis=1) / sd**2).mean(axis=0), 1, atol=0.02)


@pytest.mark.parametrize("name", MODELS)
def test_truths_are_like_draws(name: str) -> None:
    """Simulation-based calibration, of the density as well as of each parameter."""
    model, simulate = MODELS[name]
    data = simulate(2000, np.random.default_rng(8))
    exact = model.given(data["x"], data["y"])
    beta, sigma = exact.draws(99, np.random.default_rng(9))
    draws = [exact.log_density(beta, sigma), *np.moveaxis(beta, -1, 0), sigma]
    truth = exact.log_density(data["beta"], data["sigma"])
    for values, true in zip(
        draws, [truth, *np.moveaxis(data["beta"], -1, 0), data["sigma"]], strict=True
    ):
        ranks = (values < true[:, None]).sum(axis=1)
        counts = np.bincount(ranks // 10, minlength=10)
        assert stats.chisquare(counts).pvalue > 1e-4


def test_lowest_expected_negative_log_density() -> None:
    """The figure by which the project's targets are read, from an independent quadrature."""
    data = simulate_regression(20_000, np.random.default_rng(10))
    loss = -ExactRegression.given(data["x"], data["y"]).log_density(data["beta"], data["sigma"])
    # Most of the variance is that of log σ and log N, whose means are known: control variates.
    log_sigma = np.log(data["sigma"]) + np.euler_gamma
    log_size = np.log(data["N"]) - np.log(np.arange(5, 15)).mean()
    known = np.column_stack([np.ones(len(loss)), log_sigma, log_size])
    solution = np.linalg.lstsq(known, loss)[0]
    error = (loss - known @ solution).std() / np.sqrt(len(loss))
    assert error < 0.01
    assert solution[0] == pytest.approx(-0.9664, abs=3 * np.hypot(0.008, error))


@pytest.mark.parametrize("index", range(4))
def test_anscombe(index: int) -> None:
    x = np.array(ANSCOMBE_X[index == 3], dtype=float)
    x = (x - x.mean()) / x.std(ddof=1)
    size = np.array([11])
    exact = ExactRegression.given(Ragged(x, size), Ragged(np.array(ANSCOMBE_Y[index]), size))
    mean, sd = exact.moments()
    np.testing.assert_allclose(mean[0], [7.40, 1.40, 1.34], atol=0.0075)
    np.testing.assert_allclose(sd[0], [0.41, 0.41, 0.34], atol=0.0075)


@pytest.mark.parametrize("name", MODELS)
def test_density_outside_the_support_is_zero(name: str) -> None:
    model, simulate = MODELS[name]
    data = simulate(2, np.random.default_rng(11))
    exact = model.given(data["x"], data["y"])
    assert np.all(exact.log_density(data["beta"], np.array([0.0, -1.0])) == -np.inf)


def test_data_sets_do_not_see_each_other() -> None:
    for model, simulate in MODELS.values():
        data = simulate(5, np.random.default_rng(12))
        together = model.given(data["x"], data["y"])
        expected = together.log_density(data["beta"], data["sigma"])
        for i in range(5):
            alone = take(data, np.array([i]))
            exact = model.given(alone["x"], alone["y"])
            got = exact.log_density(alone["beta"], alone["sigma"])
            np.testing.assert_allclose(got[0], expected[i], rtol=1e-8)


def test_divergence_of_a_gaussian() -> None:
    """KL(N(0, 1) ‖ N(m, s)) = log s + (1 + m²) / 2s² − 1/2, and deciles go by sigma."""
    rng = np.random.default_rng(13)
    theta, sigma = rng.standard_normal(50_000), rng.uniform(0, 1, 50_000)
    m, s = np.where(sigma < 0.5, 0.5, 0.0), 1.2
    found = mean_kl(stats.norm.logpdf(theta, m, s), stats.norm.logpdf(theta), sigma=sigma)
    low, high = (np.log(s) + (1 + shift**2) / (2 * s**2) - 0.5 for shift in (0.0, 0.5))
    assert found.mean == pytest.approx((low + high) / 2, abs=4 * found.standard_error)
    assert found.standard_error < 0.005
    assert np.mean(found.deciles[:5]) == pytest.approx(high, abs=0.02)
    assert np.mean(found.deciles[5:]) == pytest.approx(low, abs=0.02)
    assert found.median < found.high
