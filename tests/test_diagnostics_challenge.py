"""What rivals prove of known densities (`diagnostics.challenge`), and the verdict by it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from abi_cli.diagnostics import Outcome, report
from abi_cli.diagnostics.challenge import MOST, Challenge, Challenged, Proof
from abi_cli.diagnostics.inputs import Inputs
from abi_cli.listener import SILENT
from tests.diagnostics_examples import PRECISION, SD

N = 2_000
"""Data sets."""

LEVEL = 0.003


def densities(rng, *, width=1.0, shift=0.0, number=N):
    """Log densities of truths by the exact posterior, and by one off by width and shift."""
    z = rng.standard_normal(number)
    return stats.norm.logpdf(z), stats.norm.logpdf(z, shift, width)


def kl(width, shift=0.0):
    return np.log(width) + (1 + shift**2) / (2 * width**2) - 0.5


def study_of(*, width=1.0, rival_width=1.0, lacking=0.0, rival_bias=0.0):
    """Posteriors of `diagnostics_examples`, whose rival has others, by formula."""
    rng = np.random.default_rng(3)
    truth = rng.standard_normal(N)
    centre = (truth + 0.5 * rng.standard_normal(N)) / 0.5**2 / PRECISION

    def drawn(width, bias=0.0):
        noise = rng.standard_normal((N, 200))
        return (centre + bias * SD)[:, None] + width * SD * noise

    own = stats.norm.logpdf(truth, centre, width * SD)
    rival = stats.norm.logpdf(truth, centre + rival_bias * SD, rival_width * SD)
    challenge = Challenge(
        "rival",
        Proof.by_densities(rival, own),
        Proof.by_densities(rival - lacking, own),
        {"theta": drawn(rival_width, rival_bias)},
        seconds=300.0,
        simulations=1_000,
    )
    inputs = Inputs({"theta": drawn(width)}, {"theta": truth}, challenge=challenge)
    return report.study(inputs, listener=SILENT).metrics


@pytest.mark.parametrize(("width", "shift"), [(1.3, 0.0), (1.0, 0.5), (0.8, 0.2)])
def test_an_exact_rival_proves_the_whole_divergence(width, shift):
    exact, own = densities(np.random.default_rng(1), width=width, shift=shift, number=20_000)
    proof = Proof.by_densities(exact, own)
    assert proof.nats.mean() == pytest.approx(kl(width, shift), abs=0.01)
    assert proof.p < 1e-6


@pytest.mark.parametrize("width", [1.02, 0.97, 1.3])
def test_exact_posteriors_are_seldom_outdone(width):
    """Whatever the rival, at any level: Markov's inequality; here at most one of twenty."""
    found = 0
    for seed in range(400):
        exact, rival = densities(np.random.default_rng(seed), width=width, number=200)
        found += Proof.by_densities(rival, exact).p < 0.05
    assert found <= 20


def test_one_odd_data_set_decides_nothing():
    """Be it that the network gives a truth no density at all."""
    exact, own = densities(np.random.default_rng(2))
    for odd in (-np.inf, -1e4):
        own = own.copy()
        own[7] = odd
        proof = Proof.by_densities(exact, own)
        assert proof.nats[7] == MOST
        assert proof.nats.mean() < 0.05
        assert proof.p > 0.01


def test_scores_prove_without_a_density():
    """The same divergence from draws alone, of a network that is 1.5 times too wide."""
    rng = np.random.default_rng(4)
    points = np.concatenate(
        [rng.standard_normal((N, 1)), 1.5 * rng.standard_normal((N, 100))], axis=1
    )
    scores = stats.norm.logpdf(points) - stats.norm.logpdf(points, 0, 1.5)
    proof = Proof.by_scores(scores)
    assert proof.p < 1e-6
    assert proof.nats.mean() == pytest.approx(kl(1.5), abs=0.02)
    exact = rng.standard_normal((N, 101))
    assert Proof.by_scores(stats.norm.logpdf(exact) - stats.norm.logpdf(exact, 0, 1.5)).p > 0.01


def test_what_would_have_been_found_is_found():
    """A network that is worse by that is called so in nine of ten repetitions at the least."""
    found = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 5])
        exact, rival = densities(rng, width=1.25)  # lacks kl(0.8): about 0.02 nats
        proof = Proof.by_densities(rival, exact)
        nothing = Challenge("rival", proof, proof, {}, 300.0, 1)
        could = Challenged.of(nothing, widths={}).detectable(level=LEVEL, least=0.0)
        exact, rival = densities(rng, width=1.25)
        worse = Proof.by_densities(rival, exact - could)
        found += worse.p < LEVEL
    assert found >= 0.85 * 60


@pytest.mark.parametrize(
    ("width", "outcome"),
    [(1.0, Outcome.PASS), (1.5, Outcome.WARN), (2.2, Outcome.FAIL)],
)
def test_the_bars_are_those_of_the_classifier(width, outcome):
    """0.05 nats a parameter are worth a warning, 0.2 a failure."""
    metrics = study_of(width=width)
    assert metrics.verdict.joint["challenge"].outcome is outcome
    assert metrics.to_config()["tested"] == ["ranks", "challenge"]
    told = metrics.to_config()["challenge"]
    low, high = told["interval"]
    assert low <= kl(width) <= high or width == 1.0
    assert low <= told["nats"] <= high
    named = f"the posterior is at least {told['nats']:.2f} nats"
    assert (named in metrics.verdict.sentence) == (outcome is Outcome.FAIL)


def test_a_width_is_told_where_the_rivals_own_ranks_pass():
    sure, unsure = study_of(width=1.5), study_of(width=1.5, rival_bias=0.3)
    assert sure.challenged.widths == {"theta": pytest.approx(1.5, abs=0.02)}
    assert "theta 1.5 times as wide" in sure.verdict.joint["challenge"].reason
    assert unsure.challenged.widths == {}
    assert "times as wide" not in unsure.verdict.joint["challenge"].reason


def test_nothing_found_names_what_would_have_been():
    near, far = study_of(), study_of(lacking=0.5)
    assert near.verdict.detectable == pytest.approx(0.05, abs=0.02)
    assert far.verdict.detectable == pytest.approx(0.55, abs=0.02)
    assert "rivals that learned for 5 min" in far.verdict.sentence
    assert "loses 0.55 nats more than this one would have been found" in far.verdict.sentence


def test_intervals_are_of_the_level_that_is_asked_for():
    """Of means of skewed nats, by the bootstrap: 90 % hold the truth."""
    held = 0
    for seed in range(100):
        exact, own = densities(np.random.default_rng([seed, 6]), width=0.6, number=300)
        challenge = Challenge("rival", *2 * [Proof.by_densities(exact, own)], {}, 300.0, 1)
        low, high = Challenged.of(challenge, widths={}).interval
        held += low <= kl(0.6) <= high
    assert 80 <= held <= 98
