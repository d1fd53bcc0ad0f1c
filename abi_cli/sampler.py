"""Draws of many posteriors block after block, and spare ones in place of wild ones.

In its tails a flow was never trained, and now and then a draw from there is wild: of half a million
draws of the posteriors of five models, 10 to 100 of a parameter were more than 1.5 times as far
from what is predicted as the furthest of a pilot of 10,000, up to 85,000 predicted sds; of 40,000
simulations one was, or none. One of them ruins the mean and the sd of a posterior; the diagnoses of
an AR(2) and of a uniform's edges, close to exact in all else, were decided by five.

So, with m and d the predicted mean and sd of a parameter (`nn.standardization`), draws where

    |θ − m| / d  >  reach = 1.5 max |θ − m| / d over the pilot

are replaced by spare ones, made from noise of their own, as far as these reach and are inside: a
posterior that lies that far out is left where it is. The density is not changed; what is replaced,
one draw of ten thousand, is its error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from abi_cli import backend
from abi_cli.backend.loops import ROWS, round_up
from abi_cli.model.streams import NOISE_BLOCK, noise, noise_of_draws

SPARES = 16
"""Spare draws of a data set for each `NOISE_BLOCK` of its draws."""

BEYOND = 1.5

_BLOCKS = 1 << 62
"""From here on, blocks of noise are of spare draws."""


class Block(NamedTuple):
    """Draws of adapted parameters of some data sets.

    Attributes:
        datasets: Places of the data sets.
        start: Number of the first draw.
        theta: `(dataset, draw, dim)`.
        noise: That they are made of, `(dataset, draw, noise)`.
    """

    datasets: range
    start: int
    theta: np.ndarray
    noise: np.ndarray


def distance(theta: np.ndarray, mean: np.ndarray, log_sd: np.ndarray) -> np.ndarray:
    """Size of what parameters `(…, dim)` are away from what is predicted, in predicted sds."""
    return np.asarray(np.abs(theta - mean) * np.exp(-log_sd))


def reach_of(theta: np.ndarray, mean: np.ndarray, log_sd: np.ndarray) -> tuple[float, ...]:
    """Furthest that draws are taken as they are, given the pilot, `(dataset, dim)` each."""
    return tuple((BEYOND * distance(theta, mean, log_sd).max(axis=0)).tolist())


def blocks(
    inverse: Callable[[np.ndarray, np.ndarray], Any],
    told: np.ndarray,
    *,
    draws: int,
    seed: int,
    first: int,
    noise_dim: int,
    reach: tuple[float, ...] | None,
    predicted: Callable[[np.ndarray], tuple[Any, Any]],
) -> Iterator[Block]:
    """Draws of all data sets in bounded memory; compiled functions see few shapes.

    Arguments:
        inverse: Of noise `(dataset, draw, noise)` and what is told `(dataset, 1, told)`.
        told: Of each data set, `(dataset, told)`.
        seed: Key of the noise, with the place of its data set and the number of its draw alone.
        first: The place of the first data set among all that posteriors are asked of.
        reach: None, and nothing is replaced.
        predicted: Mean and log sd in what is told `(dataset, 1, told)`.
    """
    at_once = round_up(draws, ROWS)
    together = round_up(len(told), ROWS // at_once)
    some = min(draws, at_once)
    slots = max(at_once, some + (0 if reach is None else SPARES * len(_chunks(some))))
    for begin in range(0, len(told), together):
        group = range(begin, min(begin + together, len(told)))
        c = told[np.resize(group, together)][:, None, :]
        for start in range(0, draws, at_once):
            number = min(at_once, draws - start)
            z = np.zeros((together, slots, noise_dim), np.float32)
            for place, dataset in enumerate(group):
                key = seed, first + dataset
                z[place, :number] = noise_of_draws(*key, start, number, noise_dim)
                if reach is not None:
                    spare = _noise_of_spares(*key, start, number, noise_dim)
                    z[place, number : number + len(spare)] = spare
            theta = backend.to_numpy(inverse(z, c))[: len(group)]
            z = z[: len(group)]
            if reach is not None:
                theta = theta.copy()
                away = distance(theta, *predicted(c[: len(group)]))
                replace_strays(reach, away, number, theta, z)
            yield Block(group, start, theta[:, :number], z[:, :number])


def _chunks(number: int) -> range:
    """First draws of blocks of noise, each of which has spare draws of its own."""
    return range(0, number, NOISE_BLOCK)


def _noise_of_spares(seed: int, dataset: int, start: int, number: int, dim: int) -> np.ndarray:
    chunks = [_BLOCKS + (start + done) // NOISE_BLOCK for done in _chunks(number)]
    return np.concatenate([noise(seed, dataset, draw_block=k, shape=(SPARES, dim)) for k in chunks])


def replace_strays(
    reach: tuple[float, ...], away: np.ndarray, number: int, *arrays: np.ndarray
) -> None:
    """Overwrite, in place, rows of draws that are out of reach with rows of spare ones.

    Which draw takes the place of which depends on earlier draws alone.

    Arguments:
        away: From what is predicted, `(dataset, slot, dim)`; draws come first, `number` of them,
            then `SPARES` spare ones for each `NOISE_BLOCK` of them.
        arrays: `(dataset, slot, …)` each, which belong to the draws.
    """
    far = np.logical_not(np.all(away <= np.asarray(reach, np.float32), axis=2))
    for dataset in np.flatnonzero(far[:, :number].any(axis=1)):
        for k, begin in enumerate(_chunks(number)):
            strays = begin + np.flatnonzero(far[dataset, begin : min(begin + NOISE_BLOCK, number)])
            first = number + k * SPARES
            inside = first + np.flatnonzero(~far[dataset, first : first + SPARES])
            for array in arrays:
                array[dataset, strays[: len(inside)]] = array[dataset, inside[: len(strays)]]
