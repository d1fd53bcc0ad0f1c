"""The floor under a training step: its matrix products alone, in one compiled loop.

A product of an (m, k) by a (k, n) matrix is followed, when gradients are taken, by one of (m, n) by
(n, k) and one of (k, m) by (m, n). `products` finds the forward ones of any loss by tracing it with
JAX, each as often as it is run; `seconds_per_step` times all three of each on the backend of
KERAS_BACKEND, behind a barrier, so that nothing can be hoisted out of the loop. What a
training step takes beyond that is activations, optimizer and overhead.

    KERAS_BACKEND=jax python tests/bench/floor.py products.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Product = tuple[int, int, int, int]
"""Batch of matrices, m, k, n."""

STEPS = 64
"""Steps of one call of the timed loop."""


def products(loss: Callable[[Any], Any], batch: Any) -> list[Product]:
    """Matrix products of the forward pass of `loss(batch)`, on the JAX backend.

    Arguments:
        loss: Of one batch; the weights are its own.
        batch: Arrays, as `loss` takes them.
    """
    import jax
    import keras

    def traced(batch: Any) -> Any:
        with keras.StatelessScope():  # dropout's seeds would otherwise keep a traced value
            return loss(batch)

    return list(_dots(jax.make_jaxpr(traced)(batch).jaxpr))


def _dots(jaxpr: Any) -> list[Product]:
    found: list[Product] = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.append(_shape_of(equation))
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += _dots(inner) * equation.params.get("length", 1)
    return found


def _shape_of(equation: Any) -> Product:
    (left, _), (left_batch, _) = equation.params["dimension_numbers"]
    a, b = (variable.aval.shape for variable in equation.invars)
    batch = int(np.prod([a[axis] for axis in left_batch]))
    k = int(np.prod([a[axis] for axis in left]))
    m = int(np.prod(a)) // (batch * k)
    n = int(np.prod(b)) // (batch * k)
    return batch, m, k, n


def with_gradients(forward: list[Product]) -> list[Product]:
    """The forward products and the two that the gradient of each takes."""
    return [
        product for b, m, k, n in forward for product in ((b, m, k, n), (b, m, n, k), (b, k, m, n))
    ]


def seconds_per_step(forward: list[Product]) -> float:
    """The fastest of several calls, by step."""
    import keras

    run = _LOOPS[keras.config.backend()](with_gradients(forward))
    run()
    times = []
    for _ in range(9):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times) / STEPS


def _operands(shapes: list[Product]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(1)
    return (
        [rng.standard_normal((b, m, k), np.float32) for b, m, k, _ in shapes],
        [rng.standard_normal((b, k, n), np.float32) for b, _, k, n in shapes],
    )


def _loop_jax(shapes: list[Product]) -> Callable[[], None]:
    import jax

    @jax.jit
    def loop(left: Any, right: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            left, _ = jax.lax.optimization_barrier(carry)
            return left, [a @ b for a, b in zip(left, right, strict=True)]

        results = [jax.numpy.zeros((b, m, n)) for b, m, _, n in shapes]
        return jax.lax.fori_loop(0, STEPS, step, (left, results))

    left, right = _operands(shapes)
    return lambda: jax.block_until_ready(loop(left, right))


def _loop_tensorflow(shapes: list[Product]) -> Callable[[], None]:
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.python.xla import optimization_barrier

    def step(index: Any, left: Any, right: Any, results: Any) -> Any:
        passed = optimization_barrier(*left, *results)[: len(left)]
        return index + 1, passed, right, [a @ b for a, b in zip(passed, right, strict=True)]

    @tf.function(jit_compile=True, autograph=False)
    def loop(left: Any, right: Any) -> Any:
        carry = (tf.constant(0), left, right, [tf.zeros((b, m, n)) for b, m, _, n in shapes])
        return tf.while_loop(lambda index, *_: index < STEPS, step, carry)[3]

    left, right = ([tf.constant(array) for array in arrays] for arrays in _operands(shapes))
    return lambda: loop(left, right)[-1].numpy()


_LOOPS = {"jax": _loop_jax, "tensorflow": _loop_tensorflow}


def main() -> None:
    """Time the products of a file."""
    forward = [tuple(product) for product in json.loads(Path(sys.argv[1]).read_text())]
    seconds = seconds_per_step(forward)
    flops = 2 * sum(b * m * k * n for b, m, k, n in with_gradients(forward))
    print(json.dumps({"seconds": seconds, "flops": flops, "products": len(forward)}))


if __name__ == "__main__":
    main()
