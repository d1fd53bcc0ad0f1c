"""A test that data have noise: the same parameters must give other data every time.

A function that makes its own generator, `np.random.default_rng(42)`, adds the same noise to every
data set. Such data pass every other test, and posteriors learned from them are far too narrow.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from abi_cli.errors import TookTooLong, UserFunctionError
from abi_cli.model.repeating import alike
from abi_cli.model.simulator import Simulator
from abi_cli.variables import Role

_APART = 1 << 40
"""Units from one stream to another, which no row is drawn from."""
_ONE: Mapping[Role, int] = {"observable": _APART}
_OTHER: Mapping[Role, int] = {"observable": 2 * _APART}
_MOVED: Mapping[Role, int] = {"observable": _APART, "parameter": 3 * _APART}
"""Three simulations: of one stream, of another, and of the first for other parameters."""
_SURE, _MOST = 8, 64
"""Units of rows that are enough after `_SECONDS`, and at all events."""
_SECONDS = 1.0


def without_noise(simulator: Simulator, *, seed: int) -> tuple[str, ...]:
    """The observables that follow from parameters and context alone.

    Data are drawn twice for the same parameters, from two streams, and once for others. What does
    not depend on parameters, such as times of measurement, may be as it likes. Discrete data may
    well be the same once or twice: what seems to have no noise is looked at longer.

    Errors:
        TookTooLong: A row took longer than the spec allows.
    """
    same: dict[str, None] | None = None
    depends: set[str] = set()
    began = time.perf_counter()
    for unit in range(_MOST):
        try:
            one, other, moved = (
                simulator.drawn_apart(unit, seed=seed, apart=apart)
                for apart in (_ONE, _OTHER, _MOVED)
            )
        except TookTooLong:
            raise
        except UserFunctionError:  # rows that nobody asked for
            continue
        if same is None:
            same = dict.fromkeys(simulator.observables(one))
        same = {name: None for name in same if alike(one[name], other[name])}
        depends |= {name for name in same if not alike(one[name], moved[name])}
        suspicious = depends & same.keys()
        if unit and not suspicious:
            break
        if not same or (unit + 1 >= _SURE and time.perf_counter() - began > _SECONDS):
            break
    return tuple(name for name in same or () if name in depends)
