"""How much members of an ensemble disagree, from draws of which it is known who made them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import abi_cli
from abi_cli import backend
from abi_cli.data import Disagreement, disagreement_note
from abi_cli.variables import DrawBlock
from tests import engine
from tests.cli import ANSCOMBE, SMALL, SPECS, abi

MEANS, SDS = np.array([-1.0, 0.5, 2.0]), np.array([0.5, 1.0, 0.7])
ENSEMBLE = {"ensemble": {"network": {"gaussian_mixture": {"width": 8}}, "members": 3}}


def normals(draws, *, datasets=6, gap=1.0, seed=0):
    """Blocks of a scalar that three normals made, and of a vector on which they agree."""
    rng = np.random.default_rng(seed)
    member = rng.integers(3, size=(datasets, draws))
    a = 1e3 + gap * MEANS[member] + SDS[member] * rng.normal(size=member.shape)
    b = rng.normal(size=(*member.shape, 2))
    return {"a": a.astype("float32"), "b": b.astype("float32")}, member


def shares(values, member, cuts=()):
    watch = Disagreement(3)
    blocks = [
        DrawBlock(
            i, first, {name: v[i : i + 1, first:last] for name, v in values.items()},
            member[i : i + 1, first:last],
        )
        for i in range(len(member))
        for first, last in zip((0, *cuts), (*cuts, member.shape[1]), strict=True)
    ]  # fmt: skip
    assert list(watch.watching(blocks)) == blocks
    return watch.shares()


def test_it_is_the_share_of_variance_between_members():
    values, member = normals(20_000)
    found = shares(values, member)
    assert list(found) == ["a", "b[0]", "b[1]"]
    between = MEANS.var()
    np.testing.assert_allclose(found["a"], between / (between + (SDS**2).mean()), atol=0.02)
    for name in ("b[0]", "b[1]"):
        assert (found[name] < 0.002).all()


def test_it_is_not_due_to_the_number_of_draws():
    """Uncorrected, agreement would give 0.02 here: members of 30 draws each."""
    values, member = normals(90, datasets=3000)
    watch = Disagreement(3)
    watch.add(DrawBlock(0, 0, {"b": values["b"]}, member))
    found = watch.shares()["b[0]"]
    assert 0 < np.nanmean(found) < 0.012
    few, _ = normals(59, datasets=1)
    assert np.isnan(shares(few, np.arange(59)[None] % 3)["a"]).all()


def test_few_draws_tell_as_much_of_it_as_many():
    values, member = normals(90, datasets=3000, gap=0.3)
    watch = Disagreement(3)
    watch.add(DrawBlock(0, 0, {"a": values["a"]}, member))
    between = 0.3**2 * MEANS.var()
    share = between / (between + (SDS**2).mean())
    assert np.nanmean(watch.shares()["a"]) == pytest.approx(share, abs=0.005)


def test_it_does_not_depend_on_how_draws_are_cut():
    values, member = normals(500)
    whole, cut = shares(values, member), shares(values, member, cuts=(3, 100, 401))
    for name, share in whole.items():
        np.testing.assert_allclose(cut[name], share, rtol=1e-6, atol=1e-9)


def test_large_ones_are_told_with_the_names_of_the_data_sets():
    told = {"a": np.array([0.05, 0.45, np.nan, 0.1]), "b": np.array([0.3, 0.01, 0.0, 0.0])}
    assert disagreement_note(told, "ABCD") == (
        "the members of the ensemble disagree on 3 of 4 data sets (A, B, D): up to 45% of the "
        "posterior variance of a is between them"
    )
    many = disagreement_note({"a": np.full(9, 0.9)}, "ABCDEFGHI")
    assert many is not None
    assert "9 of 9 data sets (A, B, C, D, E, …)" in many
    assert disagreement_note({"a": np.full(4, 0.09)}, "ABCD") is None
    assert disagreement_note({}, "ABCD") is None


def test_draws_say_which_member_made_them():
    made = engine.approximator(inference=ENSEMBLE)
    for number, member in enumerate(made.inference_network.members):
        engine.disturb(member, seed=number)
        member.out.bias.assign(backend.to_numpy(member.out.bias.value) + number)
    network = made.inference_network
    z = np.random.default_rng(1).normal(size=(2, 50, network.noise_dim)).astype("float32")
    c = np.zeros((2, 1, 4), "float32")
    mixed = backend.to_numpy(network.inverse(z, c))
    alone = np.stack([backend.to_numpy(m.inverse(z[..., :-1], c)) for m in network.members])
    by = network.member_of(z)
    assert set(np.unique(by)) == {0, 1, 2}
    picked = np.take_along_axis(alone, by[None, ..., None], axis=0)[0]
    np.testing.assert_allclose(mixed, picked, atol=1e-5)
    (block,) = made.sample(engine.observed(engine.normal_sets(3)), draws=30, seed=2)
    assert block.member.shape == (3, 30)
    plain = engine.approximator()
    (block,) = plain.sample(engine.observed(engine.normal_sets(3)), draws=30, seed=2)
    assert block.member is None


def test_it_is_told_where_posteriors_are_made(tmp_path, monkeypatch):
    run = tmp_path / "run"
    word = f"networks.inference={json.dumps(ENSEMBLE)}"
    assert abi("train", SPECS / "regression.yaml", "-o", run, "-s", word, *SMALL).exit_code == 0
    draws = abi_cli.load(run).sample(ANSCOMBE, draws=300)
    assert list(draws.disagreement) == ["beta[0]", "beta[1]", "sigma"]
    for share in draws.disagreement.values():
        assert share.shape == (4,)
        assert ((share >= 0) & (share < 1)).all()
    quiet = abi("sample", run, ANSCOMBE, "-n", 300, "--format", "csv", "--progress", "none")
    assert "disagree" not in quiet.stderr
    monkeypatch.setattr("abi_cli.data.disagreement.LARGE", -1.0)
    for command in ("sample", "estimate"):
        warned = abi(command, run, ANSCOMBE, "-n", 300, "--format", "csv", "--progress", "plain")
        assert "disagree on 4 of 4 data sets (I, II, III, IV): up to " in warned.stderr
        assert "train longer" in warned.stderr
    diagnosed = abi("diagnose", run, "--datasets", 20, "--draws", 100, "-j", 0)
    assert "The members of the ensemble disagree on 20 of 20" in diagnosed.stderr
    metrics = json.loads((run / "diagnostics" / "metrics.json").read_text())
    assert list(metrics["disagreement"]) == ["beta[0]", "beta[1]", "sigma"]
    assert any("disagree" in note for note in metrics["notes"])


@pytest.mark.parametrize("members", [0, 1])
def test_one_network_alone_disagrees_with_nobody(members):
    values, member = normals(10)
    watch = Disagreement(members)
    watch.add(DrawBlock(0, 0, values, member))
    assert watch.shares() == {}
