"""Streams: what is drawn for a unit depends on seed, purpose and unit, and on nothing else."""

import itertools
import random

import numpy as np
import pytest
from scipy.stats import kstest

from abi_cli.errors import UserFunctionError
from abi_cli.model.streams import Purpose, Streams, generator, noise

# ruff: noqa: NPY002, S311  global functions are what is tested


RAW = [3331303748160227452, 3290351879449331096]
"""The first words of the stream of seed 1, pilot, unit 0. They are part of the file format."""


def draws(streams):
    """One of each kind of draw, from all three sources."""
    return [
        np.random.normal(),  # leaves a second normal behind
        streams.rng.normal(),
        streams.rng.integers(0, 100, dtype=np.uint32),  # leaves half a word behind
        np.random.randint(1000),
        np.random.gamma(2.0),
        streams.rng.random(dtype=np.float32),
    ]


def test_a_unit_is_the_same_whatever_came_before():
    streams = Streams(5, Purpose.TRAIN)
    with streams.everywhere():
        in_order = []
        for unit in range(6):
            streams.seek(unit)
            in_order.append(draws(streams))
        for unit in (3, 0, 5, 3):
            streams.seek(unit)
            assert draws(streams) == in_order[unit]
            np.random.normal(size=unit + 1)


def test_seeds_purposes_and_units_have_streams_of_their_own():
    first = {}
    for seed, purpose in itertools.product((0, 1, 2**40), Purpose):
        streams = Streams(seed, purpose)
        with streams.everywhere():
            for unit in (0, 1, 2**33):
                streams.seek(unit)
                first[seed, purpose, unit] = np.random.random()
    assert len(set(first.values())) == len(first)


def test_global_state_is_left_as_it_was():
    np.random.seed(3)
    np.random.normal()
    random.seed(3)
    expected = np.random.normal(), np.random.random(), random.random()
    np.random.seed(3)
    np.random.normal()
    random.seed(3)
    with pytest.raises(UserFunctionError), Streams(1, Purpose.PILOT).everywhere():
        raise UserFunctionError(str((np.random.normal(), random.random())))
    assert (np.random.normal(), np.random.random(), random.random()) == expected


def test_a_seed_means_the_same_for_ever():
    raw = generator(1, Purpose.PILOT).bit_generator.random_raw(2).tolist()
    assert raw == RAW
    streams = Streams(1, Purpose.PILOT)
    with streams.everywhere():
        streams.seek(0)
        assert streams.rng.bit_generator.random_raw(2).tolist() == raw


def test_random_is_seeded_where_it_is_used(monkeypatch):
    monkeypatch.setattr(Streams, "_seeds_random", False)

    def work(units):
        def rows():
            out = []
            for unit in units:
                streams.seek(unit)
                out.append((random.random(), np.random.random()))
            return out

        streams = Streams(2, Purpose.TRAIN)
        with streams.everywhere():
            return streams.run(rows)

    assert work([1]) == work([0, 1, 2])[1:2]
    assert Streams._seeds_random


def test_work_without_random_is_done_once(monkeypatch):
    monkeypatch.setattr(Streams, "_seeds_random", False)
    calls = []
    assert Streams(2, Purpose.TRAIN).run(lambda: calls.append(1)) is None
    assert calls == [1]
    assert not Streams._seeds_random


def test_an_error_is_that_of_the_seeded_row(monkeypatch):
    monkeypatch.setattr(Streams, "_seeds_random", False)
    streams = Streams(2, Purpose.TRAIN)

    def work():
        streams.seek(4)
        raise UserFunctionError(str(random.random()))

    messages = set()
    with streams.everywhere():
        for _ in range(2):
            with pytest.raises(UserFunctionError) as caught:
                streams.run(work)
            messages.add(str(caught.value))
            monkeypatch.setattr(Streams, "_seeds_random", False)
    assert len(messages) == 1


def test_noise_depends_on_its_arguments_alone():
    one = noise(3, 8, draw_block=2, shape=(50, 4))
    assert one.dtype == np.float32
    noise(3, 9, draw_block=2, shape=(50, 4))
    np.testing.assert_array_equal(one, noise(3, 8, draw_block=2, shape=(50, 4)))
    for other in (
        noise(4, 8, draw_block=2, shape=(50, 4)),
        noise(3, 2, draw_block=8, shape=(50, 4)),
        noise(3, 8, draw_block=3, shape=(50, 4)),
    ):
        assert not np.isin(one, other).any()


def test_noise_is_standard_normal():
    many = [noise(1, dataset, draw_block=0, shape=(20, 2)) for dataset in range(500)]
    assert kstest(np.ravel(many), "norm").pvalue > 1e-3
