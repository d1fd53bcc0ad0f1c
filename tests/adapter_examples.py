"""Examples of every adapter step: the laws in `test_adapter_laws.py` run over them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abi_cli import registry
from abi_cli.variables import Ragged

ROW_SIZE = np.array([3, 1, 4, 2])


def step(name, /, **options):
    return registry.from_config("step", {name: options})


def dense(*event, low=0.1, high=3.0):
    """`(dataset, *event)`: different numbers between low and high."""
    return np.random.default_rng(len(event)).uniform(low, high, size=(len(ROW_SIZE), *event))


def ragged(*event, low=0.1, high=3.0):
    """The same for sets."""
    rng = np.random.default_rng(len(event) + 10)
    return Ragged(rng.uniform(low, high, size=(int(ROW_SIZE.sum()), *event)), ROW_SIZE)


@dataclass(frozen=True)
class Chart:
    """Free coordinates of vectors or matrices that have constraints.

    Arguments:
        coordinates: `x (..., *event)` → `(..., free)`.
        embed: The way back.
    """

    coordinates: Callable[[np.ndarray], np.ndarray]
    embed: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Example:
    """A step, data that it takes, and the variables whose density it can carry over together.

    Arguments:
        restored: What the inverse gives of it, if not all.
        rtol: How exactly.
        chart: Coordinates in which densities are meant, if not all elements.
    """

    step: registry.Part
    data: dict
    density_of: tuple[str, ...]
    restored: dict | None = None
    rtol: float = 1e-12
    chart: Chart | None = None


SIMPLEX = Chart(
    lambda x: x[..., :-1], lambda v: np.concatenate([v, 1 - v.sum(-1, keepdims=True)], -1)
)


def triangle(diagonal):
    """Coordinates below the diagonal of matrices, and on it with 0, for symmetric ones."""

    def embed(v):
        free = v.shape[-1]
        size = int((np.sqrt(8 * free + 1) + (1 if diagonal else -1)) / 2)
        rows, columns = np.tril_indices(size, diagonal)
        x = np.zeros((*v.shape[:-1], size, size))
        x[..., rows, columns] = v
        x = x + np.swapaxes(np.tril(x, -1), -2, -1)
        return x + np.eye(size) if diagonal else x

    return Chart(lambda x: x[(..., *np.tril_indices(x.shape[-1], diagonal))], embed)


def factor_triangle(diagonal):
    """The same for lower triangular matrices, whose rows have length one where it is −1."""

    def embed(v):
        x = np.tril(triangle(diagonal).embed(v), -1 if diagonal else 0)
        if diagonal:
            on = np.arange(x.shape[-1])
            x[..., on, on] = np.sqrt(1 - (x**2).sum(axis=-1))
        return x

    return Chart(triangle(diagonal).coordinates, embed)


def simplices(*event, smallest=1e-3):
    """`(dataset, *event)`, positive, with sum one along the last axis."""
    x = dense(*event, low=smallest, high=1.0)
    x[0, ..., 0] = smallest
    return x / x.sum(axis=-1, keepdims=True)


def factors(size, *, nearly=1.0):
    """`(dataset, size, size)`: lower triangular; the last diagonal element is multiplied."""
    x = np.tril(dense(size, size) - 1.2)
    on = np.arange(size)
    x[:, on, on] = dense(size)
    x[:, -1, -1] *= nearly
    return x


def squared(factor):
    """L Lᵀ."""
    return factor @ np.swapaxes(factor, -2, -1)


def unit_rows(factor):
    """With rows of length one."""
    return factor / np.sqrt((factor**2).sum(axis=-1, keepdims=True))


CATEGORIES = np.array([2, 0, 1, 2])
WITH_GAPS = np.array([1.0, np.nan, 3.0, np.nan])


EXAMPLES = {
    "apply": [
        Example(
            step("apply", include=["a", "x"], forward=function),
            {"a": dense(2, low=low, high=high), "x": ragged(low=low, high=high)},
            ("a", "x"),
        )
        for function, low, high in (
            ("arcsinh", -3, 5),
            ("arctan", -3, 5),
            ("arctanh", -0.999, 0.99),
            ("exp", -3, 3),
            ("expm1", -3, 3),
            ("log", 1e-3, 3),
            ("log1p", -0.99, 3),
            ("logit", 0.001, 0.999),
            ("negative", -3, 3),
            ("reciprocal", 0.01, 3),
            ("sigmoid", -6, 6),
            ("sinh", -4, 4),
            ("sqrt", 1e-3, 3),
            ("square", 1e-3, 3),
            ("tan", -1.5, 1.5),
            ("tanh", -2, 2),
        )
    ],
    "as_correlation_matrix": [
        Example(
            step("as_correlation_matrix", keys="r"),
            {"r": squared(unit_rows(factors(size, nearly=nearly)))},
            ("r",),
            rtol=1e-6 if nearly < 1 else 1e-10,
            chart=triangle(-1),
        )
        for size, nearly in ((2, 1.0), (3, 1.0), (4, 1.0), (3, 0.1))
    ]
    + [
        Example(
            step("as_correlation_matrix", keys="r", cholesky=True),
            {"r": unit_rows(factors(3))},
            ("r",),
            rtol=1e-10,
            chart=factor_triangle(-1),
        )
    ],
    "as_covariance_matrix": [
        Example(
            step("as_covariance_matrix", keys="c"),
            {"c": squared(factors(size, nearly=nearly))},
            ("c",),
            rtol=1e-6 if nearly < 1 else 1e-10,
            chart=triangle(0),
        )
        for size, nearly in ((2, 1.0), (4, 1.0), (3, 0.1))
    ]
    + [
        Example(
            step("as_covariance_matrix", keys="c", cholesky=True),
            {"c": factors(3)},
            ("c",),
            rtol=1e-10,
            chart=factor_triangle(0),
        )
    ],
    "as_ordered": [
        Example(
            step("as_ordered", keys=["a", "x"]),
            {"a": np.sort(dense(3) - 1), "x": Ragged(np.sort(ragged(2).values), ROW_SIZE)},
            ("a", "x"),
            rtol=1e-10,
        ),
        Example(
            step("as_ordered", keys="a", axis=-2),
            {"a": np.sort(dense(3, 2), axis=1)},
            ("a",),
            rtol=1e-10,
        ),
    ],
    "as_simplex": [
        Example(
            step("as_simplex", keys="p", method=method),
            {"p": simplices(*event, smallest=smallest)},
            ("p",),
            rtol=1e-9,
            chart=SIMPLEX,
        )
        for method in ("log_ratio", "stick")
        for event, smallest in (((2,), 1e-3), ((5,), 1e-4), ((2, 3), 1e-2))
    ]
    + [
        Example(
            step("as_simplex", keys="p", axis=-2),
            {"p": np.swapaxes(simplices(2, 3), 1, 2)},
            (),
            rtol=1e-9,
        )
    ],
    "convert_dtype": [
        Example(
            registry.from_config("step", {"convert_dtype": {"from": "float64", "to": "float32"}}),
            {"a": dense(2), "x": ragged(), "n": CATEGORIES},
            (),
            rtol=1e-6,
        ),
        Example(
            registry.from_config("step", {"convert_dtype": {"from": "int64", "to": "float64"}}),
            {"a": dense(2), "n": CATEGORIES},
            (),
        ),
    ],
    "drop": [
        Example(
            step("drop", keys="b"), {"a": dense(), "b": ragged()}, ("a",), restored={"a": dense()}
        )
    ],
    "expand_dims": [
        Example(step("expand_dims", keys=["a", "x"]), {"a": dense(), "x": ragged(2)}, ("a", "x")),
        Example(step("expand_dims", keys="a", axis=-3), {"a": dense(2, 3)}, ("a",)),
    ],
    "group": [
        Example(
            step("group", keys=["obs_a", "obs_x"], into="g", prefix="obs_"),
            {"obs_a": dense(2), "obs_x": ragged()},
            ("obs_a", "obs_x"),
        )
    ],
    "keep": [
        Example(
            step("keep", keys="a"), {"a": dense(), "b": ragged()}, ("a",), restored={"a": dense()}
        )
    ],
    "log": [
        Example(step("log", keys=["a", "x"]), {"a": dense(low=1e-3), "x": ragged(2)}, ("a", "x")),
        Example(
            step("log", keys=["a", "x"], p1=True),
            {"a": dense(low=-0.99), "x": ragged(2)},
            ("a", "x"),
        ),
    ],
    "nan_to_num": [
        Example(step("nan_to_num", keys=["a"]), {"a": dense(2)}, ("a",)),
        Example(
            step("nan_to_num", keys=["a", "x"], default_value=-1.0, return_mask=True),
            {"a": WITH_GAPS, "x": Ragged(np.resize(WITH_GAPS, ROW_SIZE.sum()), ROW_SIZE)},
            (),
        ),
    ],
    "one_hot": [
        Example(
            step("one_hot", keys=["n", "x"], num_classes=3),
            {"n": CATEGORIES, "x": Ragged(np.resize(CATEGORIES, ROW_SIZE.sum()), ROW_SIZE)},
            (),
        )
    ],
    "random_subsample": [
        Example(
            step("random_subsample", key="x", sample_size=size, seed=3),
            {"x": ragged(2)},
            (),
            restored=step("random_subsample", key="x", sample_size=size, seed=3).forward(
                {"x": ragged(2)}, {}
            ),
        )
        for size in (2, 0.5)
    ],
    "scale": [
        Example(
            step("scale", keys=["a", "x"], by=-2.0), {"a": dense(), "x": ragged(2)}, ("a", "x")
        ),
        Example(
            step("scale", keys=["a", "x"], by=[2, 0.5]), {"a": dense(3, 2), "x": ragged(2)}, ("a",)
        ),
    ],
    "shift": [
        Example(step("shift", keys=["a", "x"], by=1), {"a": dense(), "x": ragged(2)}, ("a", "x")),
        Example(step("shift", keys="a", by=[2, 0.5]), {"a": dense(3, 2)}, ("a",)),
    ],
    "split": [
        Example(step("split", key="a", into=["b", "c"]), {"a": dense(4)}, ("a",)),
        Example(
            step("split", key="x", into=["x", "y", "z"], indices_or_sections=[1, 2]),
            {"x": ragged(4)},
            ("x",),
        ),
        Example(step("split", key="a", into=["b", "c"], axis=-2), {"a": dense(2, 3)}, ("a",)),
    ],
    "squeeze": [
        Example(step("squeeze", keys=["a", "x"]), {"a": dense(2, 1), "x": ragged(1)}, ("a", "x")),
        Example(step("squeeze", keys="a", axis=-2), {"a": dense(1, 3)}, ("a",)),
    ],
    "take": [
        Example(
            step("take", keys=["a", "x"], indices=[2, 0]),
            {"a": dense(3), "x": ragged(3)},
            (),
            restored={
                "a": dense(3)[:, [2, 0]],
                "x": Ragged(ragged(3).values[:, [2, 0]], ROW_SIZE),
            },
        )
    ],
    "ungroup": [
        Example(
            step("ungroup", key="g", prefix="obs_"), {"g.a": dense(2), "g.x": ragged()}, ("g.a",)
        )
    ],
    "as_set": [
        Example(step("as_set", keys=["x", "y"]), {"x": ragged(), "y": ragged(2)}, ("x", "y"))
    ],
    "as_time_series": [
        Example(
            step("as_time_series", keys=["x", "y"]), {"x": ragged(1), "y": ragged()}, ("x", "y")
        )
    ],
    "broadcast": [
        Example(step("broadcast", keys="N", to="x"), {"N": dense(), "x": ragged()}, ()),
        Example(step("broadcast", keys="N", to="x"), {"N": dense(), "x": ragged(2)}, ()),
        Example(
            step("broadcast", keys="N", to="x", exclude=None), {"N": dense(2), "x": ragged(2)}, ()
        ),
        Example(
            step("broadcast", keys="N", to="x", exclude=[0]), {"N": dense(1), "x": ragged()}, ()
        ),
        Example(
            step("broadcast", keys=["a", "b"], to="w", exclude=[1, -1]),
            {"a": dense(3, 1), "b": dense(), "w": dense(3, 2)},
            ("a", "b", "w"),
        ),
    ],
    "concatenate": [
        Example(
            step("concatenate", keys=["beta", "sigma"], into="z"),
            {"beta": dense(2), "sigma": dense()},
            ("beta", "sigma"),
        ),
        Example(
            step("concatenate", keys=["a", "b"], into="a", axis=-2),
            {"a": dense(2, 3), "b": dense(1, 3)},
            ("a", "b"),
        ),
        Example(
            step("concatenate", keys=["x", "y"], into="z"),
            {"x": ragged(), "y": ragged(2)},
            ("x", "y"),
        ),
    ],
    "constrain": [
        Example(step("constrain", keys=["a", "x"], **options), {"a": a, "x": x}, ("a", "x"))
        for options, (low, high) in (
            ({"lower": 0}, (1e-3, 5)),
            ({"lower": -2, "method": "log"}, (-1.9, 5)),
            ({"upper": 0.5}, (-3, 0.49)),
            ({"upper": 4, "method": "log"}, (-3, 3.99)),
            ({"lower": -1, "upper": 3}, (-0.99, 2.99)),
        )
        for a in (dense(low=low, high=high), dense(2, low=low, high=high))
        for x in (ragged(low=low, high=high),)
    ],
    "rename": [
        Example(
            registry.from_config("step", {"rename": {"from": "mu", "to": "theta"}}),
            {"mu": dense(2)},
            ("mu",),
        )
    ],
    "sqrt": [Example(step("sqrt", keys=["a", "x"]), {"a": dense(), "x": ragged(2)}, ("a", "x"))],
    "standardize": [
        Example(
            step("standardize"), {"a": dense(), "b": dense(3, 2), "x": ragged(2)}, ("a", "b", "x")
        ),
        Example(step("standardize", include="b", mean=[1, 2], std=3), {"b": dense(3, 2)}, ("b",)),
        Example(step("standardize", whole="b"), {"a": dense(2), "b": dense(3, 2)}, ("a", "b")),
    ],
}
