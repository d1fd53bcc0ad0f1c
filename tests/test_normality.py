"""Summaries that are pulled towards a normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from abi_cli import backend, registry
from abi_cli.networks.derive import derived_networks
from abi_cli.nn.normality import WIDTHS, discrepancy, regularised
from abi_cli.spec import NetworksSection
from abi_cli.variables import Layout
from tests import engine
from tests.test_resume import SPEC as RESUMED
from tests.test_resume import training_of


def of(s: np.ndarray) -> float:
    return float(backend.to_numpy(discrepancy(s.astype(np.float32))))


@pytest.mark.parametrize("dim", [1, 3, 16])
def test_it_is_the_discrepancy_from_normal_numbers(dim):
    """Against the kernels' means over many normal numbers, instead of in closed form."""
    rng = np.random.default_rng(dim)
    s = rng.gamma(2, size=(40, dim))
    z = rng.normal(size=(3_000, dim))

    def kernel(a, b, width):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / (2 * width * dim))

    expected = 0.0
    for width in WIDTHS:
        among = (kernel(s, s, width).sum() - len(s)) / (len(s) * (len(s) - 1))
        apart = kernel(z[:1_500], z[1_500:], width).mean()
        expected += (among - 2 * kernel(s, z, width).mean() + apart) / len(WIDTHS)
    assert of(s) == pytest.approx(expected, abs=5e-3)


def test_of_normal_numbers_it_is_none_on_average():
    rng = np.random.default_rng(1)
    found = [of(rng.normal(size=(64, 4))) for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    far = [of(rng.normal(size=(64, 4)) * 2), of(rng.normal(size=(64, 4)) + 1)]
    far.append(of(np.abs(rng.normal(size=(64, 4))) * np.sqrt(1 / 0.36)))
    assert min(far) > 5 * np.std(found)


def words(*options):
    return [
        registry.from_config("summary network", {"mlp": {"summary_dim": 2, **own}})
        for own in options
    ]


def test_each_network_is_weighted_by_its_own_option():
    c = np.random.default_rng(2).normal(size=(32, 7)).astype(np.float32)
    first, second = words({"regularise": 0.5}, {"regularise": 2})
    expected = 1 + 0.5 * of(c[:, :2]) + 2 * of(c[:, 2:4])
    found = regularised(np.float32(1), c, (first, second))
    assert float(backend.to_numpy(found)) == pytest.approx(expected, rel=1e-4)
    found = regularised(np.float32(1), c, (None, second))
    assert float(backend.to_numpy(found)) == pytest.approx(1 + 2 * of(c[:, :2]), rel=1e-4)


def test_without_it_the_loss_is_what_it_was():
    loss = object()
    assert regularised(loss, None, (*words({}), None)) is loss


def test_summaries_of_a_training_become_normal(tmp_path):
    before = "deep_set: {summary_dim: 4, width: 16}"
    text = RESUMED[: RESUMED.index("  callbacks:")]
    far = {}
    for weight in (0, 20):
        own = f"deep_set: {{summary_dim: 4, width: 16, regularise: {weight}}}"
        made = training_of(tmp_path / str(weight), text=text.replace(before, own)).approximator
        assert made.get_config()["summary"]["deep_set"]["regularise"] == weight
        told = made.told(made.adapter.forward(engine.normal_sets(256, seed=3, sizes=(3, 40))))
        far[weight] = of(made.heard(told)[0][:, :4])
    assert far[20] < far[0] / 4


def test_a_fusion_is_regularised_as_a_whole():
    members = {"a": {"deep_set": {"regularise": 0.1}}}
    with pytest.raises(ValidationError, match="regularise of fusion itself"):
        registry.from_config("summary network", {"fusion": {"networks": members}})
    head = {"mlp": {"regularise": 0.1}}
    with pytest.raises(ValidationError, match="got it of the head"):
        registry.from_config(
            "summary network", {"fusion": {"networks": {"a": {"deep_set": {}}}, "head": head}}
        )


def test_the_spec_of_a_run_from_before_has_the_network_that_it_had():
    """Such a spec says all options but this one, which wasn't there."""
    said = registry.get("summary network", "deep_set")()
    options = {name: getattr(said, name) for name in type(said).model_fields}
    del options["size"], options["regularise"]
    section = NetworksSection(summary=type(said)(**options))
    derived = derived_networks(section, Layout(()), series=(), adapted=True)
    assert derived.statistics is None
    assert derived.summary.moment_features == said.moment_features
