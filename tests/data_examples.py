"""Models' layouts, data sets and draws for the tests of `abi_cli.data`."""

from __future__ import annotations

import numpy as np

from abi_cli.data import DrawHeader, Kind
from abi_cli.data.formats import FORMATS
from abi_cli.variables import Datasets, DrawBlock, Layout, Ragged, Value, Variable

OF_DATASETS = tuple(f.name for f in FORMATS if f.read and Kind.DATA in f.holds)
OF_DRAWS = tuple(f.name for f in FORMATS if f.read and Kind.DRAWS in f.holds)
OF_ESTIMATES = tuple(f.name for f in FORMATS if f.read and Kind.ESTIMATES in f.holds)

LINE = Layout(
    (
        Variable("N", "context", False, (), integer=True, length_of=("x", "y"), low=5, high=14),
        Variable("beta", "parameter", False, (2,)),
        Variable("sigma", "parameter", False, ()),
        Variable("x", "observable", True, ()),
        Variable("y", "observable", True, ()),
    )
)
"""The straight line: two scalars per member, and how many members there are."""

RICH = Layout(
    (
        Variable("dose", "context", False, (), low=0.0, high=1.0),
        Variable("theta", "parameter", False, (2, 2)),
        Variable("noise", "nuisance", False, ()),
        Variable("counts", "observable", True, (), integer=True),
        Variable("place", "observable", True, (2,)),
        Variable("moments", "observable", False, (3,)),
    )
)
"""Vectors and matrices, whole numbers, things that a data set has once."""

FIXED = Layout(
    (
        Variable("mu", "parameter", False, ()),
        Variable("s", "observable", False, (2,)),
    )
)
"""Neither sets nor series."""


def some(layout: Layout, sizes: list[int], *, seed: int = 0) -> Datasets:
    """Data sets of a model, with `sizes` members."""
    rng = np.random.default_rng(seed)
    row_size = np.array(sizes)

    def draw(variable: Variable) -> Value:
        if variable.length_of:
            return row_size
        leading = row_size.sum() if variable.ragged else len(sizes)
        shape = (leading, *variable.event)
        values = rng.integers(-9, 99, shape) if variable.integer else rng.normal(size=shape)
        return Ragged(values, row_size) if variable.ragged else values

    return {variable.name: draw(variable) for variable in layout.variables}


def assert_same(actual: Datasets, expected: Datasets) -> None:
    """Equal to the last bit, kinds and order included."""
    assert list(actual) == list(expected)
    for name, value in expected.items():
        other = actual[name]
        if isinstance(value, Ragged):
            assert isinstance(other, Ragged)
            np.testing.assert_array_equal(other.row_size, value.row_size, err_msg=name)
            value, other = value.values, other.values
        assert other.dtype == value.dtype, name
        np.testing.assert_array_equal(other, value, err_msg=name)


PARAMETERS = LINE.of("parameter")


def draw_header(datasets: int, draws: int, **fields: object) -> DrawHeader:
    labels = tuple(f"set {i}" for i in range(datasets))
    return DrawHeader(labels=labels, parameters=PARAMETERS, draws=draws, seed=7, **fields)


def draw_values(header: DrawHeader, *, seed: int = 0) -> dict[str, np.ndarray]:
    """All draws, over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    return {
        variable.name: (
            rng.normal(size=header.shape(variable))
            * 10.0 ** rng.integers(-12, 12, header.shape(variable))
        ).astype(np.float32)
        for variable in header.parameters
    }


def in_blocks(values: dict[str, np.ndarray], *, datasets: int = 1, draws: int = 0):
    """The draws as blocks of several data sets, or of a part of the draws of one."""
    n, m = next(iter(values.values())).shape[:2]
    draws = draws or m
    for i in range(0, n, datasets):
        for j in range(0, m, draws):
            yield DrawBlock(
                i, j, {k: v[i : i + datasets, j : j + draws] for k, v in values.items()}
            )
