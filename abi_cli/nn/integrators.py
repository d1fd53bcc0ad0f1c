"""Solutions of dy/dφ = F(y, φ) from one end to the other, in one compiled loop.

`y` is a tuple of tensors whose leading axes are rows; what F gives has the same shapes. Runge–Kutta
methods: Euler's and the classical one in equal steps; Dormand and Prince's pair of orders 5 and 4
(1980, J. Comput. Appl. Math. 6:19) with a step of its own for each row, so that what a row becomes
does not depend on which others are solved beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from keras import ops

Integrator = Literal["euler", "rk4", "adaptive"]
State = tuple[Any, ...]
Field = Callable[[State, Any], State]
"""State and time `(…, 1)` → derivatives of the state."""

MOST_STEPS = 200
"""Most steps of an adaptive solution: a row that needs more stops there."""

_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_TABLEAU = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def integrate(
    field: Field,
    state: State,
    ends: tuple[float, float],
    *,
    integrator: Integrator,
    steps: int,
    tolerance: float,
) -> State:
    """The state at the second of `ends`, given that at the first.

    Arguments:
        state: Its first tensor is `(…, dim)`; others `(…,)` or `(…, dim)`.
        steps: Of equal length; the adaptive integrator begins with one of that length.
        tolerance: Of an adaptive step, in units of 1 + |y|.
    """
    step = (ends[1] - ends[0]) / steps
    if integrator == "adaptive":
        return _adaptive(field, state, ends, step=step, tolerance=tolerance)
    advance = _euler if integrator == "euler" else _rk4
    at = ops.zeros((1,) * len(state[0].shape))  # the same time for all rows

    def body(number: Any, state: State) -> State:
        phi = at + (ends[0] + step * ops.cast(number, "float32"))
        return advance(field, state, phi, step)

    return tuple(ops.fori_loop(0, steps, body, state))


def _moved(state: State, slopes: State, by: Any) -> State:
    return tuple(y + _beside(by, y) * k for y, k in zip(state, slopes, strict=True))


def _beside(by: Any, y: Any) -> Any:
    """A number, or one for each row `(…, 1)`, as it multiplies y `(…, dim)` or `(…,)`."""
    scalar = isinstance(by, float) or len(by.shape) == len(y.shape)
    return by if scalar else by[..., 0]


def _euler(field: Field, state: State, phi: Any, step: float) -> State:
    return _moved(state, field(state, phi), step)


def _rk4(field: Field, state: State, phi: Any, step: float) -> State:
    k1 = field(state, phi)
    k2 = field(_moved(state, k1, step / 2), phi + step / 2)
    k3 = field(_moved(state, k2, step / 2), phi + step / 2)
    k4 = field(_moved(state, k3, step), phi + step)
    total = tuple(a + 2 * b + 2 * c + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
    return _moved(state, total, step / 6)


def _adaptive(
    field: Field, state: State, ends: tuple[float, float], *, step: float, tolerance: float
) -> State:
    forwards = 1.0 if step > 0 else -1.0
    phi = ops.zeros_like(state[0][..., :1]) + ends[0]
    size = ops.zeros_like(phi) + abs(step)

    def unfinished(number: Any, phi: Any, _size: Any, *_state: Any) -> Any:
        left = forwards * (ends[1] - phi)
        return ops.logical_and(number < MOST_STEPS, ops.any(left > 0))

    def body(number: Any, phi: Any, size: Any, *state: Any) -> tuple[Any, ...]:
        left = ops.maximum(forwards * (ends[1] - phi), 0.0)
        # What is left but for rounding is taken whole; the last step allowed takes all there is.
        whole = ops.logical_or(size > left * (1 - 1e-5), number == MOST_STEPS - 1)
        h = forwards * ops.where(whole, left, size)
        ahead, error = _dormand_prince(field, state, phi, h)
        scale = tolerance * (1.0 + ops.maximum(ops.abs(state[0]), ops.abs(ahead[0])))
        worst = ops.max(ops.abs(error) / scale, axis=-1, keepdims=True)
        good = ops.logical_or(worst <= 1.0, number == MOST_STEPS - 1)
        taken = ops.where(good, 1.0, 0.0)
        state = tuple(
            y + _beside(taken, y) * (new - y) for y, new in zip(state, ahead, strict=True)
        )
        reached = ops.where(whole, ops.zeros_like(phi) + ends[1], phi + h)
        factor = ops.clip(0.9 * ops.power(ops.maximum(worst, 1e-8), -0.2), 0.2, 5.0)
        size = ops.where(left > 0, ops.abs(h) * factor, size)
        return (number + 1, ops.where(good, reached, phi), size, *state)

    _, _, _, *state_at_end = ops.while_loop(unfinished, body, (0, phi, size, *state))
    return tuple(state_at_end)


def _dormand_prince(field: Field, state: State, phi: Any, h: Any) -> tuple[State, Any]:
    """The state a step ahead, and the error of its first tensor as two orders differ in it."""
    slopes: list[State] = []
    ahead = state
    for node, row in zip(_NODES, _TABLEAU, strict=True):
        ahead = state
        for factor, slope in zip(row, slopes, strict=True):
            ahead = _moved(ahead, slope, factor * h)
        slopes.append(field(ahead, phi + node * h))
    error = sum(factor * slope[0] for factor, slope in zip(_ERROR, slopes, strict=True) if factor)
    return ahead, h * error
