"""Draws of any tool: chains that may be correlated, draws that may be weighted.

Formats of our own are read as everywhere; netCDF in ArviZ's layout with any number of chains. Every
data set has a posterior of its own: along a dimension `dataset`, or in a file that is called like
the data set.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.data import hdf5
from abi_cli.data.answers import read_draws
from abi_cli.data.draws import Draws
from abi_cli.data.entries import LABEL
from abi_cli.data.files import Source
from abi_cli.errors import DataError

WEIGHTS = ("weight", "log_weight")
"""Names of variables that are no parameters but say how much a draw counts."""

OURS = "abi"
"""Attribute of files whose draws are independent, because they are ours."""


@dataclass(frozen=True)
class Independent:
    """Draws that are as good as independent.

    Arguments:
        draws: As many of each data set as the least informative one is worth.
        made: How many there were of each.
        how: What was done to them, in words; empty where nothing was.
        worst: Label of the data set with the fewest effective draws.
    """

    draws: Draws
    made: int
    how: str
    worst: str

    @property
    def effective(self) -> int:
        """Effective draws of each data set, at least."""
        return next(iter(self.draws.values.values())).shape[1]


def read_independent(files: Sequence[Path], *, seed: int) -> Independent:
    """Draws of one file, or of one for each data set or more, thinned or resampled to their worth.

    Chains are thinned to the smallest effective sample size of any parameter and data set (Vehtari
    et al. 2021, arXiv:1903.08008). Weighted draws are resampled, as many as 1 / Σ w² of the data
    set where that is least (w being the weights that sum to one).

    Errors:
        DataError: A file can't be read as draws, or the files don't have the same parameters.
    """
    parts = [_read(file, alone=len(files) > 1) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        shapes = {name: value.shape[:2] + value.shape[3:] for name, value in part.values.items()}
        expected = {n: value.shape[:2] + value.shape[3:] for n, value in first.values.items()}
        if shapes != expected:
            raise DataError(
                f"expected the same parameters, chains and draws as {files[0]}: "
                f"{_in_words(expected)}; got {_in_words(shapes)}",
                place=str(file),
            )
    labels = tuple(label for part in parts for label in part.labels)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"expected data sets of different names; {twice} is there twice")
    values = {
        name: np.concatenate([part.values[name] for part in parts], axis=2) for name in first.values
    }
    ours = all(part.independent for part in parts)
    return _independent(_Chains(labels, values, ours), seed=seed)


@dataclass(frozen=True)
class _Chains:
    """Draws as they were made: name → `(chain, draw, dataset, *event)`."""

    labels: tuple[str, ...]
    values: dict[str, np.ndarray]
    independent: bool


def _read(file: Path, *, alone: bool) -> _Chains:
    if file.suffix not in (".nc", ".netcdf"):
        draws = read_draws(file)
        values = {name: np.swapaxes(value, 0, 1)[None] for name, value in draws.values.items()}
        return _Chains(draws.labels, values, independent=True)
    return _read_netcdf(file, alone=alone)


_AS_IT_IS = {"decode_times": False, "decode_timedelta": False}


def _read_netcdf(file: Path, *, alone: bool) -> _Chains:
    import xarray  # only what is looked over: it prints warnings when a file isn't one of its own

    try:
        ours = _looked_over(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dimensions without a name, which are refused
            with xarray.open_dataset(file, group="posterior", engine="h5netcdf", **_AS_IT_IS) as it:
                return _of_posterior(it, file, alone=alone, independent=ours)
    except hdf5.UNREADABLE as error:
        raise DataError(
            f"expected draws (chain, draw, dataset, …) in netCDF; {error}", place=str(file)
        ) from None


def _looked_over(file: Path) -> bool:
    """True if the file is one of ours.

    Errors:
        DataError: There is no posterior in it.
        ValueError: Something in it is not safe to read.
    """
    import h5py

    with Source(file).open_seekable() as stream, hdf5.opened(stream) as root:
        groups = dict(hdf5.entries(root))
        if "posterior" not in groups:
            there = ", ".join(groups) or "nothing"
            raise DataError(f"expected a group posterior; got {there}", place=str(file))
        for name, variable in hdf5.entries(groups["posterior"]):
            if isinstance(variable, h5py.Dataset):
                hdf5.texts(variable) if name == LABEL else hdf5.looked_over(variable)
        return OURS in root.attrs


def _of_posterior(posterior: Any, file: Path, *, alone: bool, independent: bool) -> _Chains:
    """The chains that an xarray.Dataset in ArviZ's layout holds."""
    for dimension in ("chain", "draw"):
        if dimension not in posterior.dims:
            there = ", ".join(map(str, posterior.dims))
            raise DataError(
                f"expected dimensions chain and draw; got {there}",
                place=f"{file}, group posterior",
            )
    if LABEL not in posterior.dims:
        posterior = posterior.expand_dims({LABEL: [file.stem]})
    elif alone and posterior.sizes[LABEL] == 1:
        posterior = posterior.assign_coords({LABEL: [file.stem]})
    labels = tuple(map(str, posterior[LABEL].to_numpy().tolist()))
    values = {
        str(name): variable.transpose("chain", "draw", LABEL, ...).to_numpy()
        for name, variable in posterior.data_vars.items()
        if {"chain", "draw"} <= set(variable.dims) and variable.dtype.kind in "fiub"
    }
    if not values.keys() - set(WEIGHTS):
        raise DataError("expected draws of parameters; got none", place=str(file))
    return _Chains(labels, values, independent=independent)


def _independent(chains: _Chains, *, seed: int) -> Independent:
    values = dict(chains.values)
    weights = [values.pop(name) for name in WEIGHTS if name in values]
    shape = next(iter(values.values())).shape
    made, datasets = shape[0] * shape[1], shape[2]
    flat = {
        name: np.moveaxis(value.reshape(made, *value.shape[2:]), 0, 1)
        for name, value in values.items()
    }
    if weights:
        share = _shares(weights[0].reshape(made, datasets), log="weight" not in chains.values)
        worth = 1 / np.square(share).sum(axis=0)
        kept = max(1, int(worth.min()))
        rng = np.random.default_rng([seed, 3])
        chosen = np.stack([rng.choice(made, kept, p=share[:, n]) for n in range(datasets)])
        how = f"resampled by weight, {kept:,} of {made:,} draws"
    elif chains.independent:
        worth, how = np.full(datasets, made), ""
        chosen = np.arange(made)[None]
    else:
        worth = _effective(values)
        kept = max(1, min(made, int(worth.min())))
        chosen = np.round(np.linspace(0, made - 1, kept)).astype(int)[None]
        how = f"thinned to {kept:,} of {made:,} draws"
    worst = chains.labels[int(worth.argmin())]
    rows = np.arange(datasets)[:, None]
    drawn = {name: np.asarray(value[rows, chosen]) for name, value in flat.items()}
    return Independent(Draws(chains.labels, drawn), made, how, worst)


def _shares(weights: np.ndarray, *, log: bool) -> np.ndarray:
    """Weights `(draw, dataset)` that sum to one over the draws.

    Errors:
        DataError: They are negative, not finite, or all zero.
    """
    if log:
        weights = np.exp(weights.astype(np.float64) - weights.max(axis=0))
    total = weights.sum(axis=0, dtype=np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (total > 0).all()):
        raise DataError("expected weights that are finite, not negative, and not all zero")
    return np.asarray(weights / total)


def is_ours(file: Path) -> bool:
    """True if a netCDF file of draws is one that abi wrote, whose draws are independent.

    Errors:
        DataError: It is no such file.
    """
    try:
        return _looked_over(file)
    except hdf5.UNREADABLE as error:
        raise DataError(f"expected draws in netCDF; {error}", place=str(file)) from None


def read_chains(file: Path) -> Draws:
    """Draws of a netCDF file of any tool, with the number of its chains.

    Errors:
        DataError: It can't be read as draws; they are weighted.
    """
    chains = _read_netcdf(file, alone=True)
    if weighted := set(WEIGHTS) & chains.values.keys():
        raise DataError(
            f"expected draws that count alike; got {', '.join(sorted(weighted))}",
            place=str(file),
            hint="abi diagnose --draws takes weights into account; or resample by them.",
        )
    values = {
        name: np.moveaxis(value.reshape(-1, *value.shape[2:]), 0, 1)
        for name, value in chains.values.items()
    }
    number = 0 if chains.independent else next(iter(chains.values.values())).shape[0]
    return Draws(chains.labels, values, chains=number)


def _effective(values: dict[str, np.ndarray]) -> np.ndarray:
    """The smallest effective sample size of any parameter, `(dataset,)`."""
    from arviz_stats.base import array_stats

    least = []
    for value in values.values():
        spread = value.reshape(*value.shape[:3], -1)
        moving = np.ptp(spread, axis=(0, 1)) > 0  # what is constant is judged elsewhere
        size = array_stats.ess(spread.astype(np.float64), chain_axis=0, draw_axis=1)
        least.append(np.where(moving & np.isfinite(size), size, np.inf).min(axis=-1))
    found = np.min(least, axis=0)
    return np.where(np.isfinite(found), found, spread.shape[0] * spread.shape[1])


def _in_words(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
