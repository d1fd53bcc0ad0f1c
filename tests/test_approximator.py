"""What a trained or untrained approximator promises, on the backend that KERAS_BACKEND names."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from abi_cli import backend
from abi_cli.adapter import network_inputs
from abi_cli.backend.loops import ROWS
from abi_cli.errors import RunError
from abi_cli.run.archive import save_approximator
from abi_cli.variables import Ragged, take
from tests import engine
from tests.cli import ROOT


@pytest.fixture(scope="module")
def posterior():
    made = engine.approximator(buckets=(8, 64))
    engine.disturb(made.inference_network)
    return made


def drawn(approximator, datasets, draws, seed=5):
    blocks = list(approximator.sample(engine.observed(datasets), draws=draws, seed=seed))
    count = 1 + max(block.first_dataset + block.shape[0] - 1 for block in blocks)
    out = {name: np.full((count, draws), np.nan, "float32") for name in ("mu", "sigma")}
    for block in blocks:
        for name, value in block.values.items():
            rows, columns = value.shape[:2]
            out[name][
                block.first_dataset : block.first_dataset + rows,
                block.first_draw : block.first_draw + columns,
            ] = value
    return out


def test_draws_obey_the_support_and_the_seed(posterior):
    datasets = engine.normal_sets(5)
    draws = drawn(posterior, datasets, 300)
    assert (draws["sigma"] > 0).all()
    assert not np.isnan(draws["mu"]).any()
    assert np.ptp(draws["mu"].mean(1)) > 0.1
    again, other = drawn(posterior, datasets, 300), drawn(posterior, datasets, 300, seed=6)
    assert (again["mu"] == draws["mu"]).all()
    assert (other["mu"] != draws["mu"]).mean() > 0.99


def test_draws_do_not_depend_on_other_data_sets_or_on_how_many_are_asked_for(posterior):
    datasets = engine.normal_sets(40)
    many = drawn(posterior, datasets, 1500)
    few = drawn(posterior, take(datasets, slice(0, 3)), 20)
    np.testing.assert_allclose(few["mu"], many["mu"][:3, :20], rtol=1e-4, atol=1e-5)
    last = engine.observed(take(datasets, slice(37, 40)))
    (block,) = posterior.sample(last, draws=20, seed=5, first=37)
    np.testing.assert_allclose(block.values["mu"], many["mu"][37:, :20], rtol=1e-4, atol=1e-5)


def test_draws_of_several_blocks_are_all_new_and_those_of_any_size_of_block(posterior, monkeypatch):
    one = take(engine.normal_sets(1), slice(0, 1))
    many = drawn(posterior, one, ROWS + 3000)["mu"][0]
    assert (many[:-ROWS] != many[ROWS:]).mean() > 0.99
    monkeypatch.setattr("abi_cli.sampler.ROWS", 1024)
    small = drawn(posterior, one, 3000)["mu"][0]
    np.testing.assert_allclose(small, many[:3000], rtol=1e-4, atol=1e-5)


def test_a_shuffled_and_a_padded_set_give_the_same_draws(posterior):
    """Beside a set of 60 members the small one is in a bucket of its own, so pad it by hand too."""
    datasets = take(engine.normal_sets(1), slice(0, 1))
    alone = drawn(posterior, datasets, 50)
    shuffled = {**datasets, "x": Ragged(datasets["x"].values[::-1], datasets["x"].row_size)}
    np.testing.assert_allclose(drawn(posterior, shuffled, 50)["mu"], alone["mu"], atol=1e-4)
    small, posterior.buckets = posterior.buckets, (64,)
    try:
        padded = drawn(posterior, datasets, 50)
    finally:
        posterior.buckets = small
    np.testing.assert_allclose(padded["mu"], alone["mu"], atol=1e-4)
    np.testing.assert_allclose(padded["sigma"], alone["sigma"], atol=1e-4)


def test_a_set_larger_than_any_seen_is_summarized(posterior):
    datasets = engine.normal_sets(2, sizes=(150, 151))
    assert np.isfinite(drawn(posterior, datasets, 4)["mu"]).all()


def test_the_density_is_that_of_the_users_scale(posterior):
    """It integrates to one over (mu, sigma) and is zero where sigma is not positive."""
    one = take(engine.normal_sets(1), slice(0, 1))
    mu, log_sigma = np.meshgrid(np.linspace(-12, 12, 181), np.linspace(-9, 4, 181))
    cells = mu.size
    repeated = take(one, np.zeros(cells, int))
    sigma = np.exp(log_sigma.ravel())
    log_q = posterior.log_prob(engine.observed(repeated), {"mu": mu.ravel(), "sigma": sigma})
    mass = np.exp(log_q + log_sigma.ravel()).sum() * (24 / 180) * (13 / 180)
    assert mass == pytest.approx(1.0, abs=0.02)
    outside = posterior.log_prob(engine.observed(one), {"mu": np.zeros(1), "sigma": -np.ones(1)})
    assert outside == -np.inf


def test_draws_and_density_agree(posterior):
    """The mean of q/p over draws from p is 1, for a normal-lognormal p fitted to the draws."""
    one = take(engine.normal_sets(1), slice(0, 1))
    draws = drawn(posterior, one, 4000)
    mu, sigma = draws["mu"][0].astype(float), draws["sigma"][0].astype(float)
    log_q = posterior.log_prob(
        engine.observed(take(one, np.zeros(4000, int))), {"mu": mu, "sigma": sigma}
    )
    # E_q[f/q] = ∫ f over the support, for any density f narrower than q
    centre, width = np.median(mu), 0.2 * mu.std()
    middle, spread = np.median(np.log(sigma)), 0.2 * np.log(sigma).std()
    log_f = (
        -0.5 * ((mu - centre) / width) ** 2
        - 0.5 * ((np.log(sigma) - middle) / spread) ** 2
        - np.log(2 * np.pi * width * spread)
        - np.log(sigma)
    )
    assert np.exp(log_f - log_q).mean() == pytest.approx(1.0, abs=0.2)


def test_the_loss_is_minus_the_log_density_of_the_adapted_parameters(posterior):
    """That of training and of validation, the log-determinant of what standardizes included.

    Of sets that are not hundreds of predicted sds off before training: there single precision has
    its say.
    """
    sets = engine.normal_sets(60)
    log_q = posterior.log_prob(engine.observed(sets), {n: sets[n] for n in ("mu", "sigma")})
    sets = take(sets, np.sort(np.argsort(log_q)[10:]))
    truths, adapted = (
        {name: sets[name] for name in ("mu", "sigma")},
        posterior.adapter.forward(sets),
    )
    density = posterior.log_prob(engine.observed(sets), truths) - posterior.adapter.log_det(truths)
    batch = posterior.batch_loss(network_inputs(adapted, size=8))
    assert posterior.mean_loss(adapted) == pytest.approx(-density.mean(), rel=1e-5)
    assert float(backend.to_numpy(batch)) == pytest.approx(-density.mean(), rel=1e-5)


def test_saved_and_loaded_draws_are_the_same_bits(posterior, tmp_path):
    import keras

    from abi_cli.run.archive import load_approximator

    path = tmp_path / "model.keras"
    save_approximator(posterior, path)
    datasets = engine.normal_sets(4)
    before = drawn(posterior, datasets, 30)
    for loaded in (load_approximator(path), keras.saving.load_model(path)):
        assert (drawn(loaded, datasets, 30)["mu"] == before["mu"]).all()
        assert loaded.layout == posterior.layout


def test_a_run_of_one_backend_loads_on_the_other(posterior, tmp_path):
    path = tmp_path / "model.keras"
    save_approximator(posterior, path)
    other = "jax" if engine.backend.name() == "tensorflow" else "tensorflow"
    code = f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        import numpy as np
        from tests import engine
        from abi_cli.run.archive import load_approximator
        loaded = load_approximator(Path({str(path)!r}))
        (block,) = loaded.sample(engine.observed(engine.normal_sets(4)), draws=30, seed=5)
        np.savez({str(tmp_path / "draws.npz")!r}, **block.values)
    """
    environment = {**os.environ, "KERAS_BACKEND": other}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=environment)
    draws = np.load(tmp_path / "draws.npz")
    before = drawn(posterior, engine.normal_sets(4), 30)
    for name in ("mu", "sigma"):
        np.testing.assert_allclose(draws[name], before[name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a zip", b"x" * 1000])
def test_what_is_no_model_is_refused(tmp_path, content):
    from abi_cli.run.archive import load_approximator

    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError):
        load_approximator(path)


def test_losses_and_draws_are_those_of_the_weights_of_now():
    """JAX would go on with those that the first call saw."""
    made = engine.approximator()
    sets = engine.normal_sets(8, seed=5)
    adapted = made.adapter.forward(sets)

    def seen():
        (block,) = made.sample(engine.observed(sets), draws=4, seed=1)
        return made.mean_loss(adapted), block.values["mu"]

    loss, draws = seen()
    engine.disturb(made, seed=7, scale=0.3)
    later, other = seen()
    assert later != pytest.approx(loss, abs=1e-4)
    assert (other != draws).all()
