"""Rivals of a run, on runs whose loss is known: one that is blind, one that is nearly exact."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import yaml
from scipy import stats

from abi_cli import backend, registry
from abi_cli.adapter import Adapter
from abi_cli.adapter.adapter import INFERENCE_VARIABLES
from abi_cli.challenge import Challenged, Rules, challenge
from abi_cli.challenge.learning import Steps
from abi_cli.challenge.means import means_of
from abi_cli.listener import SILENT
from abi_cli.model.streams import Purpose
from abi_cli.model.workers import Workers
from abi_cli.spec import TrainingSection
from abi_cli.training.fitting import refuse_unfit
from abi_cli.variables import take
from abi_cli.workflow.opened.opening import model_of
from abi_cli.workflow.request import Compute, completed, read_model
from abi_cli.workflow.session import Session
from tests.cli import abi, light
from tests.engine import approximator, disturb, normal_sets

FLOWS = {
    "coupling": {"coupling_flow": {"depth": 3, "width": 8}},
    "spline": {"coupling_flow": {"depth": 2, "width": 8, "transform": "spline", "bins": 4}},
    "rotated": {"coupling_flow": {"depth": 2, "width": 8, "permutation": "orthogonal"}},
    "student": {"autoregressive_flow": {"depth": 2, "width": 8, "base": "student_t"}},
    "mixture": {"gaussian_mixture": {"components": 2, "width": 8}},
    "matching": {"flow_matching": {"depth": 1, "width": 8, "steps": 2}},
    "ensemble": {"ensemble": {"network": {"coupling_flow": {"depth": 2, "width": 8}}}},
}
DATA = normal_sets(64, seed=5)
CHALLENGER = "abi_cli.challenge.challenger"


def heir_of(inference):
    """The heir of untrained networks, and these."""
    from abi_cli.challenge.heir import Heir

    own, more = approximator(inference=inference), approximator(seed=2)
    disturb(own.inference_network)
    before = own.log_density(theta(own), own.told_of(DATA))
    return Heir.of(own, more, DATA), own, np.asarray(backend.to_numpy(before))


def theta(own):
    adapted = own.adapter.forward(DATA)[INFERENCE_VARIABLES]
    return np.asarray(adapted, np.float32).reshape(64, -1)


@pytest.mark.parametrize("name", FLOWS)
def test_an_heir_begins_as_the_run(name):
    """Whatever the network: its density, and its draws, are those of the run."""
    heir, own, before = heir_of(FLOWS[name])
    assert heir is not None
    told = heir.told_of(DATA)
    after = backend.to_numpy(heir.log_density(theta(own), told))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)
    z = np.random.default_rng(1).standard_normal((64, 5, heir.inference_network.noise_dim))
    z = z.astype(np.float32)
    same = own.inverse(z, own.told_of(DATA)[:, None])
    np.testing.assert_allclose(
        backend.to_numpy(heir.inverse(z, told[:, None])), backend.to_numpy(same), atol=1e-3
    )


def test_an_heir_is_told_more_by_weights_that_can_learn():
    """What it is told beside the run's conditions changes its density as soon as weights do."""
    heir, own, before = heir_of(FLOWS["coupling"])
    rng = np.random.default_rng(2)
    for weight in heir.inference_network.trainable_variables:
        weight.assign(backend.to_numpy(weight.value) + 0.1 * rng.normal(size=weight.shape))
    told = heir.told_of(DATA)
    after = backend.to_numpy(heir.log_density(theta(own), told))
    assert np.abs(after - before).max() > 1e-2
    own_conditions = own.told_of(DATA).shape[1] - 2 * own.adapter.dim
    further = slice(own_conditions, told.shape[1] - 2 * own.adapter.dim)
    told[:, further] = np.roll(told[:, further], 1, axis=0)
    assert np.abs(backend.to_numpy(heir.log_density(theta(own), told)) - after).max() > 1e-2


@pytest.mark.parametrize("better", [False, True])
def test_a_rival_that_learning_made_worse_is_as_it_was(monkeypatch, better):
    from abi_cli.challenge.challenger import _Learner

    heir, _, _ = heir_of(FLOWS["coupling"])
    before = [weight.copy() for weight in heir.get_weights()]

    def learn(model, *_, **__):
        model.set_weights([weight + 0.1 for weight in model.get_weights()])
        return 3

    monkeypatch.setattr(f"{CHALLENGER}.learn", learn)
    monkeypatch.setattr(f"{CHALLENGER}.is_finite", lambda _: True)
    batches = TrainingSection(epochs=1, num_batches=1, batch_size=64)
    sign = 1 if better else -1

    def score(model):
        return sign * float(model.get_weights()[0].sum())

    learner = _Learner(None, None, batches, Rules(1.0), 1, SILENT, score)
    assert learner.rival("an heir", heir, share=1.0, pace=1.0).simulations == 3 * 64
    moved = [np.abs(now - then).max() for now, then in zip(heir.get_weights(), before, strict=True)]
    assert bool(max(moved) > 0) is better


def test_a_batch_is_told_what_data_sets_are():
    """Inputs that are split in training are those of both adapters."""
    from abi_cli.adapter.batches import network_inputs

    heir, _, _ = heir_of(FLOWS["coupling"])
    few = take(DATA, slice(0, 8))
    batch = network_inputs(heir.adapter.forward(few), size=8)
    told = backend.to_numpy(heir.tell(batch))
    np.testing.assert_allclose(told, heir.told_of(few), rtol=1e-4, atol=1e-4)


MODEL = """\
import numpy as np


def prior(batch_size, rng):
    return {"theta": rng.standard_normal(batch_size)}


def mean(batch_size, theta, rng):
    return {"y": theta[:, None] + rng.standard_normal((batch_size, 6))}


def least(batch_size, theta, rng):
    return {"y": theta[:, None] + rng.exponential(size=(batch_size, 20))}
"""

SPEC = """\
name: challenged
model: {{prior: model.py:prior, likelihood: model.py:{likelihood}}}
observables: {{y: {{kind: set}}}}
networks: {networks}
training: {{epochs: 2, num_batches: 16, batch_size: 64}}
"""

BLIND = (
    "{summary: {deep_set: {width: 2, depth: 1, summary_dim: 1, moment_features: 1}}, "
    "statistics: null, inference: {coupling_flow: {depth: 2, width: 8}}}"
)
"""Of a set it knows mean and variance; what tells most of the shift is the least member."""


def least_of(simulated):
    """The least member of each set, below which the shift is: given all, N(20, 1) up to there."""
    return np.minimum.reduceat(simulated["y"].values, simulated["y"].starts())


SMALL = {
    "summary": "deep_set: {width: 4, depth: 1, summary_dim: 2, moment_features: 1}",
    "statistics": "mlp: {width: 16, depth: 1, summary_dim: 4}",
    "inference": "coupling_flow: {depth: 2, width: 16}",
}


def small_means(*arguments, **options):
    """As rivals have them, but for networks that are compiled in a moment."""
    spec = means_of(*arguments, **options)
    parts = {
        name: registry.from_config(kind, yaml.safe_load(SMALL[name]))
        for name, kind in (
            ("summary", "summary network"),
            ("statistics", "summary network"),
            ("inference", "inference network"),
        )
    }
    return spec.model_copy(update={"networks": spec.networks.model_copy(update=parts)})


@pytest.fixture(scope="module")
def rivals_of(tmp_path_factory):
    """Likelihood, networks → rivals after some steps, and data sets for them."""
    folder = tmp_path_factory.mktemp("challenged")
    (folder / "model.py").write_text(MODEL)

    def challenged(likelihood, networks, *, steps=64, means=small_means):
        path = folder / f"{likelihood}-{len(networks)}"
        spec = path.with_suffix(".yaml")
        spec.write_text(SPEC.format(likelihood=likelihood, networks=networks))
        trained = abi("train", spec, "-o", path, "-j", 0, "--force")
        assert trained.exit_code == 0, trained.stderr
        session = Session.open(path, compute=Compute(jobs=0))
        simulator = model_of(session.run).need_simulator()
        what = Challenged(session.networks, session.spec, simulator, seed=1)
        rules = Rules(60.0, course=lambda _: Steps(steps))
        with light(), Workers(0) as workers, patch(f"{CHALLENGER}.means_of", means):
            rivals = challenge(what, workers, rules, SILENT)
        simulated = simulator.simulate(seed=1, purpose=Purpose.DIAGNOSE, start=0, stop=1_000)
        return rivals, simulated

    return challenged


def test_what_a_run_is_blind_to_is_found(rivals_of):
    """The least member tells the shift to 1/20; mean and variance of twenty, to about 1/4.

    By the one from scratch, and by the heir, which has learned to heed what it is told.
    """
    rivals, simulated = rivals_of("least", BLIND)
    found = rivals.against(simulated, seed=1)
    assert found.proof.nats.mean() > 0.8
    assert found.proof.p < 1e-6
    assert found.simulations >= 2 * 64 * 64
    drawn = found.estimates["theta"]
    rank = (drawn < simulated["theta"][:, None]).mean(axis=1)
    assert 0.4 < rank.mean() < 0.6
    assert drawn.std(axis=1).mean() < 0.2
    exact = stats.truncnorm.logpdf(
        theta := simulated["theta"], -np.inf, least_of(simulated) - 20, loc=20
    )
    lost = exact - rivals.own.log_prob(simulated, {"theta": theta})
    assert found.proof.nats.mean() < lost.mean()
    _, heir = rivals.rivals
    assert rivals.proof(heir, simulated, seed=1).nats.mean() > 0.1


EXACT = "{inference: {gaussian_mixture: {components: 1, width: 8}}}"


@pytest.mark.parametrize("means", [small_means, pytest.param(means_of, marks=pytest.mark.soak)])
def test_nothing_is_found_where_nothing_is_lost(rivals_of, means):
    """Statistics standardize a normal posterior: it is exact, but for 500 pilot simulations."""
    rivals, simulated = rivals_of("mean", EXACT, means=means)
    found = rivals.against(simulated, seed=1)
    assert found.proof.nats.mean() < 0.03
    assert -0.2 < found.scratch.nats.mean() < 0.03


def test_draws_without_a_density_are_judged_by_a_rivals(rivals_of):
    blind = BLIND.replace("coupling_flow: {depth: 2,", "consistency: {depth: 1,")
    rivals, simulated = rivals_of("least", blind)
    found = rivals.against(simulated, seed=1)
    assert "from scratch" in found.rival
    assert found.proof.nats.mean() > 0.5
    assert found.proof.p < 1e-6


KINDS = {
    "a set": ("{x: {kind: set}}", "x", (6,), "{}", "set_transformer"),
    "a large set": ("{x: {kind: set}}", "x", (150,), "{}", "set_transformer"),
    "a series": ("{x: {kind: series}}", "x", (6,), "{}", "time_series_transformer"),
    "a long series": ("{x: {kind: series}}", "x", (150,), "{}", "convolutional"),
    "a vector": ("{x: {kind: fixed}}", "x", (6,), "{summary: mlp}", "mlp"),
    "an image": ("{x: {kind: fixed}}", "x", (8, 8), "{summary: {convolutional: {axes: 2}}}", None),
    "nothing to summarize": ("{x: {kind: fixed}}", "x", (2,), "{}", "none"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_rivals_of_every_kind_of_data_fit_them(kind, tmp_path):
    observables, name, shape, networks, expected = KINDS[kind]
    (tmp_path / "model.py").write_text(
        "def prior(batch_size, rng):\n    return {'theta': rng.normal(size=batch_size)}\n\n"
        "def draw(batch_size, theta, rng):\n"
        f"    return {{{name!r}: rng.normal(size=(batch_size, *{shape}))}}\n"
    )
    (tmp_path / "a.yaml").write_text(
        "name: a\nmodel: {prior: model.py:prior, likelihood: model.py:draw}\n"
        f"observables: {observables}\nnetworks: {networks}\n"
        + (
            "adapter:\n  - rename: {from: theta, to: inference_variables}\n"
            "  - rename: {from: x, to: summary_variables}\n"
            if "summary" in networks
            else ""
        )
    )
    model = read_model(tmp_path / "a.yaml")
    rows = model.need_simulator().simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=64)
    layout = model.layout(rows)
    spec = completed(model, rows, model.prior(layout, seed=1)).spec
    adapter = Adapter.fit(spec.adapter, rows)
    adapted = adapter.forward(rows)
    means = means_of(spec, adapter, adapted, choosing=10)
    series = {"summary_variables"} if "series" in kind else set()
    refuse_unfit(means.networks, adapted, series=series)
    summary = means.networks.summary
    if expected is not None:
        assert (summary.name if summary else "none") == expected
    if kind == "a large set":
        assert summary.inducing > 0
