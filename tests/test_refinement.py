"""Refinement of posteriors whose exact ones are known: weights, chains, evidence."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from abi_cli.model.streams import Purpose, generator
from abi_cli.refinement import chains, refining, walking, weights
from abi_cli.refinement.refining import Refining, Sharing
from abi_cli.refinement.results import AT_ONCE, BLOCK, Candidates, How, Wanted
from abi_cli.refinement.student import StudentT


@dataclass(frozen=True)
class Conjugate:
    """θ ~ N(0, 1), y ~ N(θ, 1)ⁿ for each of two coordinates: evidence and posterior are known."""

    low: float = -np.inf

    def log_density(self, known, theta, dataset=0, label=""):  # noqa: ARG002
        y = known["y"]
        log_p = stats.norm.logpdf(theta).sum(axis=1)
        log_p += stats.norm.logpdf(y[:, None], theta).sum(axis=(0, 2))
        return np.where(theta[:, 0] > self.low, log_p, -np.inf)

    def at_hand(self):
        return nullcontext()

    @staticmethod
    def exact(y):
        """Mean and sd of a coordinate, and the log evidence."""
        n = len(y)
        covariance = np.eye(n) + 1
        evidence = sum(stats.multivariate_normal(np.zeros(n), covariance).logpdf(y.T))
        return y.sum(axis=0) / (n + 1), 1 / math.sqrt(n + 1), evidence


@dataclass(frozen=True)
class Normal:
    """A proposal that is off by `shift` and has `scale`."""

    shift: float
    scale: float

    def blocks(self, told, dataset, call):
        made, at = [], told + self.shift
        for number in range(AT_ONCE * call, AT_ONCE * (call + 1)):
            rng = generator(3, Purpose.SAMPLE, block=number, item=dataset)
            theta = rng.normal(at, self.scale, (BLOCK, 2))
            log_density = stats.norm.logpdf(theta, at, self.scale).sum(axis=1)
            made.append(Candidates(theta, log_density))
        return made


def data(number, seed=1):
    rng = np.random.default_rng(seed)
    known = [{"y": rng.normal(size=(k % 5 + 2, 2))} for k in range(number)]
    return known, np.array([Conjugate.exact(one["y"])[0] for one in known])


def refined(proposal, known, told, *, joint=None, first=0, draws=1000, resample=True):
    with Sharing(0) as sharing:
        wanted = Wanted(draws, 7, resample=resample)
        work = Refining(joint or Conjugate(), proposal, wanted, sharing)
        return list(work.refined(known, told, first))


PROPOSALS = {
    "near": (0.05, 0.6, "weights"),
    "wide": (0.3, 1.3, "weights"),
    "narrow": (0.5, 0.12, "weights"),
    "without another proposal": (0.5, 0.12, "chains"),
}


@pytest.mark.parametrize(("shift", "scale", "how"), PROPOSALS.values(), ids=PROPOSALS)
def test_whatever_the_proposal_the_posterior_is_exact(shift, scale, how, monkeypatch):
    if how == "chains":
        monkeypatch.setattr(walking, "ROUNDS", 0)
    known, told = data(6)
    results = refined(Normal(shift, scale), known, told)
    for one, y in zip(results, (k["y"] for k in known), strict=True):
        mean, sd, evidence = Conjugate.exact(y)
        got = one.certificate
        assert got.how == how
        assert abs(got.log_evidence - evidence) < 4 * got.log_evidence_error
        assert got.log_evidence_error < 0.05
        for values, error in (
            (one.theta[one.draws], 5 * math.sqrt(1 / got.ess + 1 / 1000)),
            (
                one.theta[weights.resampled(one.weights, 4000, 0.5)],
                5 * math.sqrt(1 / got.ess + 1 / 4000),
            ),
        ):
            np.testing.assert_allclose(values.mean(axis=0), mean, atol=error * sd)
            np.testing.assert_allclose(values.std(axis=0), sd, rtol=error)
        assert len(one.draws) == 1000
        assert not got.repeated


def test_draws_of_weighted_candidates_are_all_different():
    known, told = data(3)
    for one in refined(Normal(0.2, 1.5), known, told):
        assert one.certificate.how == How.WEIGHTS
        assert len(np.unique(one.draws)) == 1000


def test_a_data_set_is_refined_as_if_it_were_alone(monkeypatch):
    known, told = data(18)
    proposal = Normal(0.1, 0.42)
    monkeypatch.setattr(walking, "ROUNDS", 0)
    together = refined(proposal, known, told)
    alone = refined(proposal, known[17:], told[17:], first=17)[0]
    assert {one.certificate.how for one in together} == {How.WEIGHTS, How.CHAINS}
    assert repr(alone.certificate) == repr(together[17].certificate)
    np.testing.assert_array_equal(alone.theta, together[17].theta)
    np.testing.assert_array_equal(alone.draws, together[17].draws)


def _leave(path):
    path.touch()
    return path


def test_other_processes_begin_before_anybody_asks_for_results(monkeypatch, tmp_path):
    monkeypatch.setattr(refining, "WORTH_WORKERS", -1)
    with Sharing(2) as sharing:
        assert list(sharing.map(_leave, [tmp_path / "a", tmp_path / "b"])) == [
            tmp_path / "a",
            tmp_path / "b",
        ]
        later = sharing.map(_leave, [tmp_path / "c"])
        until = time.monotonic() + 20
        while not (tmp_path / "c").exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert (tmp_path / "c").exists()
        assert list(later) == [tmp_path / "c"]


def test_chains_begin_from_few_places_where_most_are_impossible(monkeypatch):
    monkeypatch.setattr(walking, "ROUNDS", 0)
    known, told = data(1)
    mean, sd, _ = Conjugate.exact(known[0]["y"])
    low = mean[0] + 0.85 * sd
    (one,) = refined(Normal(0.0, 0.5 * sd), known, told, joint=Conjugate(low))
    assert one.certificate.how == How.CHAINS
    exact = stats.truncnorm((low - mean[0]) / sd, np.inf, mean[0], sd)
    values = one.theta[one.draws][:, 0]
    assert values.min() > low
    assert values.mean() == pytest.approx(exact.mean(), abs=0.15 * sd)


def test_what_is_impossible_everywhere_fails():
    known, told = data(1)
    (one,) = refined(Normal(0.0, 0.5), known, told, joint=Conjugate(low=100.0))
    assert one.certificate.how == How.FAILED
    assert len(one.draws) == 1000
    assert math.isnan(one.certificate.log_evidence)


def test_statistics_come_of_all_candidates_and_quantiles_of_weighted_ones_are_exact():
    known, told = data(2)
    for one, y in zip(refined(Normal(0.2, 0.9), known, told, resample=False), known, strict=True):
        mean, sd, _ = Conjugate.exact(y["y"])
        assert len(one.draws) == 0
        got_mean, got_sd = weights.moments(one.theta, one.weights)
        np.testing.assert_allclose(got_mean, mean, atol=0.08 * sd)
        np.testing.assert_allclose(got_sd, sd, rtol=0.08)
        ends = weights.quantiles(one.theta, one.weights, (0.05, 0.95))
        np.testing.assert_allclose(
            ends, mean + sd * stats.norm.ppf([[0.05], [0.95]]), atol=0.2 * sd
        )


def test_weights_of_a_heavy_tail_are_found_and_bounded_ones_are_not():
    rng = np.random.default_rng(1)
    draws = rng.standard_normal(4096)
    heavy = weights.weigh(stats.norm.logpdf(draws, scale=2) - stats.norm.logpdf(draws))
    assert heavy.khat > 0.7
    assert not heavy.good
    wide = 2 * draws
    light = weights.weigh(stats.norm.logpdf(wide) - stats.norm.logpdf(wide, scale=2) + 3.0)
    assert light.khat < 0.3
    assert abs(light.log_evidence - 3.0) < 4 * light.log_evidence_error
    assert weights.weigh(np.zeros(1000)).ess == pytest.approx(1000)
    assert not weights.weigh(np.full(1000, -np.inf)).good
    few = np.where(np.arange(1000) < 150, 0.0, -np.inf)
    assert weights.weigh(few).ess == pytest.approx(150)
    assert weights.weigh(few).log_evidence == pytest.approx(math.log(0.15))
    assert [round(weights.threshold(n), 2) for n in (100, 1000, 10_000)] == [0.5, 0.67, 0.7]


@pytest.mark.parametrize("others", [-800.0, -1e5, -1e300])
def test_where_few_candidates_have_all_weight_no_tail_can_be_trusted(others):
    """Pareto's fit divides by what underflows to zero, and gave a k-hat of 0.02."""
    rng = np.random.default_rng(1)
    found = weights.weigh(np.append([0.0, -1], others * (1 + rng.random(4094))))
    assert found.khat == math.inf
    assert not found.good
    assert found.ess == pytest.approx((1 + np.exp(-1)) ** 2 / (1 + np.exp(-2)))


def test_tempered_weights_repeat_nothing_and_keep_what_they_can():
    log_ratios = np.random.default_rng(1).normal(scale=20.0, size=500)
    log_ratios[:50] = -np.inf
    for number in (10, 100, 400):
        found = weights.tempered(log_ratios, number)
        assert number * found.max() <= 1
        assert len(np.unique(weights.resampled(found, number, 0.3))) == number
        assert not found[:50].any()


TARGETS = {  # name → log density, a wrong start's spread, means and sds of coordinates
    "normal": (stats.multivariate_normal([1, -2], [[1, 0.9], [0.9, 1]]).logpdf, [1, -2], [1, 1]),
    "bent": (
        lambda x: stats.norm.logpdf(x[:, 0]) + stats.norm.logpdf(x[:, 1] - x[:, 0] ** 2, scale=0.3),
        [0, 1],
        [1, math.sqrt(2.09)],
    ),
    "one": (lambda x: stats.gamma.logpdf(np.exp(x[:, 0]), 2) + x[:, 0], [0.4228], [0.8031]),
}


@pytest.mark.parametrize(("log_density", "mean", "sd"), TARGETS.values(), ids=TARGETS)
def test_chains_find_the_target_from_wrong_starts(log_density, mean, sd):
    rng = np.random.default_rng(5)
    start = rng.normal(3.0, 2.0, (chains.GROUPS, chains.walkers(len(mean)), len(mean)))
    found = chains.run(log_density, start, rng, wanted=600)
    assert found.good(600)
    draws = found.flat()
    error = 5 / math.sqrt(found.ess)
    assert (abs(draws.mean(axis=0) - mean) < error * np.array(sd)).all()
    np.testing.assert_allclose(draws.std(axis=0), sd, rtol=2 * error)


def test_groups_that_stay_in_different_modes_are_not_believed():
    def two(x):
        return np.logaddexp(stats.norm.logpdf(x[:, 0], -20), stats.norm.logpdf(x[:, 0], 20))

    rng = np.random.default_rng(2)
    start = rng.normal(np.array([-20, 20, -20, 20])[:, None, None], 1.0, (4, 32, 1))
    assert not chains.run(two, start, rng, most=200).good()


def test_a_students_density_is_that_of_its_draws():
    rng = np.random.default_rng(1)
    student = StudentT.fitted(rng.normal([1, 2], [1e-3, 10], (200, 2)))
    expected = stats.multivariate_t(student.centre, student.root @ student.root.T, df=5)
    draws = student.draws(20_000, rng)
    np.testing.assert_allclose(student.log_density(draws[:9]), expected.logpdf(draws[:9]))
    scaled = (draws - student.centre) / np.diagonal(student.root)[None]
    np.testing.assert_allclose(scaled[:, 0].std(), math.sqrt(5 / 3), rtol=0.1)


def test_weights_that_say_enough_need_no_chains_though_some_draws_repeat(monkeypatch):
    """Few candidates of a wide proposal: what repeats is counted, and nothing walks."""
    monkeypatch.setattr(Wanted, "most_blocks", 4)
    monkeypatch.setattr(chains, "run", lambda *_, **__: pytest.fail("chains were run"))
    known, told = data(3)
    many = refined(Normal(0.2, 3.0), known, told, draws=4 * BLOCK)
    assert min(one.certificate.ess for one in many) > chains.FEWEST_EFFECTIVE
    for one in many:
        assert one.certificate.how == How.WEIGHTS
        share = 1 - len(np.unique(one.draws)) / len(one.draws)
        assert one.certificate.repeated == pytest.approx(share)
    assert max(one.certificate.repeated for one in many) > 0
