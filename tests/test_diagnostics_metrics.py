"""Every metric on posteriors that are right, too wide, too narrow, shifted, and the prior."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from abi_cli.diagnostics import Metrics, Outcome, flatten, measure
from abi_cli.diagnostics.bands import ecdf_band
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Limits
from abi_cli.diagnostics.measures import exact_calibration_error
from abi_cli.diagnostics.uniformity import Uniformity, uniformity
from abi_cli.diagnostics.verdict import TESTS, Evidence, datasets_needed, datasets_to_tell, judge
from tests.diagnostics_examples import (
    CONTRACTION,
    SD,
    metrics_of,
    metrics_of_one,
    modes_as_one,
    posterior,
    prior_as_posterior,
    read,
    student_as_normal,
)
from tests.oracles import ExactRegression, simulate_regression

N, S = 3_000, 300


@pytest.fixture(scope="module")
def cases() -> dict[str, Metrics]:
    draws = {
        "right": posterior(datasets=N, draws=S),
        "wide": posterior(datasets=N, draws=S, width=1.25),
        "narrow": posterior(datasets=N, draws=S, width=0.8),
        "high": posterior(datasets=N, draws=S, shift=0.25),
        "low": posterior(datasets=N, draws=S, shift=-0.25),
        "prior": prior_as_posterior(datasets=N, draws=S),
    }
    return {name: metrics_of_one(*case) for name, case in draws.items()}


@pytest.mark.parametrize(
    ("metric", "expected", "within"),
    [
        ("rmse", {"right": SD, "wide": SD, "narrow": SD, "high": 1.03 * SD, "prior": 1}, 0.03),
        ("rmse_expected", {"right": SD, "wide": 1.25 * SD, "narrow": 0.8 * SD, "prior": 1}, 0.03),
        ("nrmse", {"right": SD, "high": 1.03 * SD, "prior": 1}, 0.03),
        (
            "contraction",
            {
                "right": CONTRACTION,
                "high": CONTRACTION,
                "wide": 1 - 1.5625 * (1 - CONTRACTION),
                "narrow": 1 - 0.64 * (1 - CONTRACTION),
                "prior": 0,
            },
            0.03,
        ),
        (
            "correlation",
            {"right": CONTRACTION**0.5, "wide": CONTRACTION**0.5, "prior": 0},
            0.04,
        ),
        ("z_score_mean", {"right": 0, "wide": 0, "high": 0.25, "low": -0.25, "prior": 0}, 0.06),
        ("z_score_sd", {"right": 1, "wide": 0.8, "narrow": 1.25, "high": 1, "prior": 1}, 0.05),
    ],
)
def test_metrics(cases, metric, expected, within):
    found = {name: getattr(cases[name].parameters["theta"], metric) for name in expected}
    assert found == pytest.approx(expected, abs=within)


@pytest.mark.parametrize(
    ("size", "expected", "within"),
    [
        ("sd_ratio", {"right": 1, "wide": 1.25, "narrow": 0.8, "high": 1, "prior": 1}, 0.05),
        # θ ranks higher where the posterior lies lower
        ("mean_score", {"right": 0, "wide": 0, "high": -0.25, "low": 0.25, "prior": 0}, 0.06),
    ],
)
def test_sizes_of_faults(cases, size, expected, within):
    found = {name: getattr(cases[name].parameters["theta"].uniformity, size) for name in expected}
    assert found == pytest.approx(expected, abs=within)


def test_calibration_error(cases):
    error = {name: case.parameters["theta"].calibration_error for name, case in cases.items()}
    exact = cases["right"].exact["calibration_error"]
    assert error["right"] < 3 * exact
    assert error["prior"] < 3 * exact
    assert error["wide"] > 10 * exact
    assert error["narrow"] > 10 * exact


def test_the_calibration_error_of_exact_posteriors_is_not_zero():
    assert exact_calibration_error(200) == pytest.approx(0.0165, abs=0.001)
    found = [
        metrics_of_one(*posterior(datasets=200, draws=40, seed=seed))
        .parameters["theta"]
        .calibration_error
        for seed in range(300)
    ]
    assert np.median(found) == pytest.approx(exact_calibration_error(200), rel=0.15)


@pytest.mark.parametrize(
    ("case", "outcome", "says"),
    [
        ("right", Outcome.PASS, "no posterior is off by more than 10 % in width or 0.1 sd"),
        ("prior", Outcome.PASS, "as far as 3,000 data sets tell"),
        ("wide", Outcome.FAIL, "theta is 2[0-9] % too wide"),
        ("narrow", Outcome.FAIL, "theta is [12][0-9] % too narrow"),
        ("high", Outcome.FAIL, "theta is 0.[23][0-9] sd too high"),
        ("low", Outcome.FAIL, "theta is 0.[23][0-9] sd too low"),
    ],
)
def test_verdicts(cases, case, outcome, says):
    verdict = cases[case].verdict
    assert verdict.outcome is outcome
    assert verdict.parameters["theta"].outcome is outcome
    assert re.search(says, verdict.sentence)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (student_as_normal, "theta is drawn with too light tails and too round a middle"),
        (modes_as_one, "theta is drawn as one peak where there are two modes"),
    ],
)
def test_a_wrong_shape_of_the_right_sd_is_not_called_too_wide(case, says):
    metrics = metrics_of_one(*case())
    assert metrics.parameters["theta"].z_score_sd == pytest.approx(1, abs=0.15)
    assert metrics.verdict.outcome in {Outcome.FAIL, Outcome.WARN}
    assert says in metrics.verdict.sentence
    assert "too wide" not in metrics.verdict.sentence


def test_a_longer_tail_that_is_not_drawn_is_told_with_its_side():
    rng = np.random.default_rng(1)
    draws, truth = rng.standard_normal((2_000, 200)), rng.gamma(4, size=2_000) / 2 - 2
    verdict = metrics_of_one(draws, truth).verdict
    assert "without its longer tail to the right" in verdict.parameters["theta"].reason
    assert "to the left" in metrics_of_one(-draws, -truth).verdict.parameters["theta"].reason


def test_a_verdict_says_what_it_rests_on(cases):
    verdict = cases["right"].verdict
    assert verdict.title == "pass (ranks; no data, no likelihood, no challenge)"
    assert cases["right"].to_config()["tested"] == ["ranks"]
    assert replace(verdict, tested=TESTS).scope == "ranks, data, likelihood and challenge"


def test_few_data_sets_can_not_tell():
    verdict = metrics_of_one(*posterior(datasets=200, draws=S)).verdict
    assert verdict.outcome is Outcome.CANNOT_TELL
    assert "200 data sets are too few" in verdict.sentence
    assert "about 2,000 usually tell" in verdict.sentence
    assert datasets_to_tell(DEFAULT_LIMITS, 2_000) == 4_000


def test_a_detectable_but_small_fault_warns():
    verdict = metrics_of_one(*posterior(datasets=20_000, draws=100, width=0.95)).verdict
    assert verdict.outcome is Outcome.WARN
    assert "Detectably not exact, by less than 10 % in width" in verdict.sentence
    assert "of any parameter on average" in verdict.sentence  # a density may be farther off


def test_the_data_sets_needed_follow_the_limits():
    assert datasets_needed(DEFAULT_LIMITS) == 2_000
    assert datasets_needed(Limits(mean_score=0.05)) == 8_000
    assert datasets_needed(Limits(sd_ratio=1.05)) == 4_000


def test_one_bad_parameter_among_thirty_is_found():
    """And it alone, though thirty p-values are looked at."""
    cases = [posterior(datasets=500, draws=100, seed=seed) for seed in range(30)]
    cases[7] = posterior(datasets=500, draws=100, width=0.75, seed=7)
    metrics = metrics_of(
        {"theta": np.stack([draws for draws, _ in cases], axis=-1)},
        {"theta": np.stack([truth for _, truth in cases], axis=-1)},
    )
    failed = [k for k, v in metrics.verdict.parameters.items() if v.outcome is Outcome.FAIL]
    assert failed == ["theta[7]"]
    assert metrics.verdict.outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("ratio", "score"),
    [((0.8, 1), (0, 0)), ((1, 1.2), (0, 0)), ((1, 1), (-0.2, 0)), ((1, 1), (0, 0.2))],
)
def test_every_end_of_an_interval_has_to_be_within_the_limits(ratio, score):
    def outcome(ratio, score):
        ranks = Uniformity(0.0, score, 1.0, ratio, 1.0, 0.5, 0.5, 0.5)
        return judge({"theta": Evidence(ranks)}, datasets=1_000).outcome

    assert outcome((0.95, 1.05), (-0.05, 0.05)) is Outcome.PASS
    assert outcome(ratio, score) is Outcome.CANNOT_TELL


@pytest.mark.parametrize("dim", [1, 3, 10])
def test_a_density_fails_where_widths_of_all_parameters_would(dim):
    """Of normal posteriors all sds are off: the density is off by more, and fails no sooner."""
    rng = np.random.default_rng(dim)
    truth = -0.5 * (rng.normal(size=(4_000, dim)) ** 2).sum(axis=1)

    def outcome(width):
        draws = -0.5 * (width**2 * rng.normal(size=(4_000, 250, dim)) ** 2).sum(axis=2)
        pit = ((draws < truth[:, None]).sum(axis=1) + rng.random(4_000)) / 251
        own = Evidence(uniformity(pit), sums=dim)
        return judge({"log_joint": own}, datasets=4_000).outcome

    assert outcome(1.0) is Outcome.PASS
    assert outcome(1.07) in (Outcome.WARN, Outcome.PASS)
    assert outcome(1.16) is Outcome.FAIL


def test_the_expected_error_is_right_for_few_draws_too():
    element = metrics_of_one(*posterior(datasets=20_000, draws=4)).parameters["theta"]
    assert element.rmse_expected == pytest.approx(element.rmse, rel=0.03)


def test_only_contraction_tells_the_prior_from_a_posterior(cases):
    assert cases["right"].notes == ()
    assert "theta are as wide as the prior" in cases["prior"].notes[0]


def test_exact_posteriors_of_the_regression_do_not_fail():
    """The real thing: skewed, bounded, of every width."""
    rng = np.random.default_rng(8)
    data = simulate_regression(500, rng)
    beta, sigma = ExactRegression.given(data["x"], data["y"]).draws(400, rng)
    truths = {"beta": data["beta"], "sigma": data["sigma"]}
    metrics = metrics_of({"beta": beta, "sigma": sigma}, truths)
    assert metrics.verdict.outcome in {Outcome.PASS, Outcome.CANNOT_TELL}
    for element in metrics.parameters.values():
        assert element.rmse == pytest.approx(element.rmse_expected, rel=0.25)

    narrow = sigma.mean(axis=1, keepdims=True) + 0.7 * (sigma - sigma.mean(axis=1, keepdims=True))
    verdict = metrics_of({"beta": beta, "sigma": narrow}, truths).verdict
    assert verdict.parameters["sigma"].outcome is Outcome.FAIL
    assert verdict.parameters["beta[0]"].outcome is not Outcome.FAIL


def test_posteriors_without_width_have_metrics_too():
    truth = np.random.default_rng(9).standard_normal(50)
    for error in (0.0, 1.0):
        draws = np.repeat((truth + error)[:, None], 20, axis=1)
        config = metrics_of_one(draws, truth).to_config()
        assert json.dumps(config, allow_nan=False)


def test_metrics_are_plain_json(cases):
    config = json.loads(json.dumps(cases["narrow"].to_config(), allow_nan=False))
    assert config["schema"] == "abi.metrics/3"
    assert (config["datasets"], config["draws"]) == (N, S)
    assert config["verdict"]["outcome"] == "fail"
    theta = config["parameters"]["theta"]
    assert theta["label"] == "theta"
    assert theta["nrmse_normaliser"] == "sd of the true values"
    assert theta["p_uniform"] < 1e-6
    assert set(config["exact"]) <= {*theta, "coverage_error"}


def test_log_gamma_is_below_zero_where_ranks_leave_their_band(cases):
    values = {name: case.parameters["theta"].log_gamma for name, case in cases.items()}
    assert values["right"] > -2  # below 0 in one of twenty cases, so far in one of a hundred
    assert values["prior"] > -2  # ranks of parameters can't see it
    for name in ("narrow", "wide", "high", "low"):
        assert values[name] < -5


def test_log_gamma_rejects_five_percent_of_exact_posteriors():
    band = ecdf_band(200)
    pits = np.random.default_rng(0).random((4_000, 200))
    rejected = np.mean([band.log_gamma(pit) < 0 for pit in pits])
    assert 0.035 < rejected < 0.06
    out = [band.log_gamma(pit) < 0 for pit in pits[:400]]
    assert out == [not band.contains(pit) for pit in pits[:400]]


def test_the_mean_square_of_normal_scores_is_one_where_widths_are_right(cases):
    squares = {n: case.parameters["theta"].uniformity.mean_square for n, case in cases.items()}
    assert squares["right"] == pytest.approx(1, abs=0.06)
    assert squares["prior"] == pytest.approx(1, abs=0.06)
    assert squares["narrow"] > 1.3
    assert squares["wide"] < 0.8
    assert squares["high"] > 1.03


def test_rank_histograms_count_every_data_set(cases):
    for case in cases.values():
        counts = case.parameters["theta"].rank_histogram
        assert (len(counts), sum(counts)) == (10, N)
    narrow = cases["narrow"].parameters["theta"].rank_histogram
    assert min(narrow[0], narrow[-1]) > 1.25 * N / 10
    high, low = (cases[name].parameters["theta"].rank_histogram for name in ("high", "low"))
    assert high[0] > 1.3 * high[-1]
    assert low[-1] > 1.3 * low[0]


def test_the_negative_log_density_is_that_of_the_truths():
    draws, truth = posterior(datasets=50, draws=20)
    scalars = flatten({"theta": draws}, {"theta": truth}, labels={})
    log_density = np.random.default_rng(0).normal(-2, 1, size=50)
    metrics = measure(scalars, read(scalars), log_density=log_density)
    mean, error = metrics.negative_log_density
    assert mean == pytest.approx(-log_density.mean())
    assert error == pytest.approx(log_density.std(ddof=1) / np.sqrt(50))
    assert measure(scalars, read(scalars)).to_config()["negative_log_density"] is None


@pytest.mark.parametrize(("kind", "scale"), [("positive", "log"), ("real", "asinh")])
def test_contraction_is_taken_where_the_prior_has_a_variance(kind, scale):
    """Cauchy priors: the sample variance is that of the largest value, and says nothing."""
    rng = np.random.default_rng(5)
    z = rng.standard_cauchy(N)
    inner = np.arcsinh(z) if kind == "real" else np.log(np.abs(z))
    outer = np.sinh if kind == "real" else np.exp
    sd = 0.5 * inner.std()
    centre = inner + sd * rng.standard_normal(N)
    draws = outer(centre[:, None] + sd * rng.standard_normal((N, S)))
    metrics = metrics_of_one(draws, outer(inner))
    (own,) = metrics.parameters.values()
    assert own.contraction_scale == scale
    assert own.contraction == pytest.approx(0.75, abs=0.05)
    assert any(f"({scale})" in note for note in metrics.notes)

    deaf = metrics_of_one(outer(rng.choice(inner, (N, S))), outer(inner))
    (own,) = deaf.parameters.values()
    assert own.contraction == pytest.approx(0, abs=0.05)


def test_two_thousand_ranks_on_one_side_have_a_finite_distance_from_the_band():
    found = ecdf_band(2_000).log_gamma(np.full(2_000, 0.9))
    assert np.isfinite(found)
    assert found < -600
