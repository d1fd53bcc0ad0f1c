"""Examples of every adapter step: the laws in `test_adapter_laws.py` run over them."""

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
class Example:
    """A step, data that it takes, and the variables whose density it can carry over together."""

    step: registry.Part
    data: dict
    density_of: tuple[str, ...]


EXAMPLES = {
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
    ],
}
