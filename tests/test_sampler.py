"""Draws in blocks, and spare ones in place of wild ones."""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.sampler import BEYOND, SPARES, blocks, reach_of, replace_strays


def predicted(told):
    return told[..., :1], np.zeros_like(told[..., :1])


def wild(z, told):
    """A flow whose tail is wild: beyond 3 it gives a thousand."""
    return told + np.where(np.abs(z) > 3, 1_000.0, z)


def drawn(inverse, told, *, draws, reach=(4.0,), first=0):
    told = np.asarray(told, np.float32)[:, None]
    out = np.full((len(told), draws), np.nan)
    found = blocks(
        inverse,
        told,
        draws=draws,
        seed=1,
        first=first,
        noise_dim=1,
        reach=reach,
        predicted=predicted,
    )
    for group, start, theta, noise in found:
        assert theta.shape == noise.shape
        made = inverse(noise, told[list(group)][:, None])
        np.testing.assert_array_equal(theta, made)  # noise belongs to its draw
        out[group.start : group.stop, start : start + theta.shape[1]] = theta[:, :, 0]
    return out


@pytest.mark.parametrize("draws", [3, 1_000, 1_024, 20_000])
def test_strays_give_way_to_spare_draws_and_no_other_draw_changes(draws):
    told = np.linspace(-3, 3, 5)
    plain, kept = (drawn(wild, told, draws=draws, reach=r) for r in (None, (4.0,)))
    stray = plain > 500
    np.testing.assert_array_equal(kept[~stray], plain[~stray])
    assert (kept < 500).all()
    assert stray.any() or draws < 1_000
    assert len(np.unique(kept)) > 0.99 * kept.size  # single precision has equal ones


def test_a_posterior_that_lies_further_out_is_left_alone():
    told = np.array([0.0, 0.0])
    moved = drawn(lambda z, told: told + z + 100, told, draws=200)
    np.testing.assert_allclose(moved.mean(), 100, atol=1)


def test_draws_do_not_depend_on_other_data_sets_nor_on_their_number():
    told = np.array([0.3, -1.0, 2.0])
    together = drawn(wild, told, draws=1_000)
    np.testing.assert_array_equal(drawn(wild, told[1:2], draws=1_000, first=1), together[1:2])
    fewer = drawn(wild, told, draws=300)
    np.testing.assert_array_equal(fewer, together[:, :300])
    more = drawn(wild, told, draws=20_000)
    np.testing.assert_array_equal(more[:, :1_000], together)


def test_what_is_not_a_number_is_a_stray():
    theta = np.arange(2.0 * (5 + SPARES)).reshape(2, -1, 1)
    away = np.zeros_like(theta)
    away[1, 2] = np.nan
    replace_strays((1.0,), away, 5, theta)
    assert theta[1, 2, 0] == theta[1, 5, 0]
    np.testing.assert_array_equal(theta[0, :, 0], np.arange(5 + SPARES))


def test_reach_is_beyond_the_furthest_of_the_pilot():
    theta = np.array([[1.0, 0.0], [-3.0, 0.5]])
    mean, log_sd = np.zeros((2, 2)), np.log(np.array([[1.0, 0.1], [2.0, 0.1]]))
    np.testing.assert_allclose(reach_of(theta, mean, log_sd), [BEYOND * 1.5, BEYOND * 5])
