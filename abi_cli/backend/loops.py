"""Loops over stacked layers, compiled functions and their calls, first weights, most weights."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from abi_cli.backend.choice import name, to_numpy

Layer = Callable[[Any, Sequence[Any], Any], Any]
"""`carry, weights, shared → carry`, of tensors: one layer of a stack."""


def scan_layers(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    """Apply `carry = layer(carry, [w[l] for w in stacked], shared)` for l = 0, 1, ….

    The weights of all layers are stacked on a leading axis, so that the program holds one layer,
    whatever the depth: it compiles several times faster than the unrolled network. The gradient
    flows to all three arguments, once; the backward pass keeps only the carries and recomputes
    what is within a layer.

    Arguments:
        carry: A tuple of tensors; a layer gives back the same structure and shapes.
        stacked: Tensors `(layer, …)`.
        shared: A tensor that all layers are given, such as the conditions.
    """
    return _SCANS[name()](layer, carry, stacked, shared)


def _scan_jax(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    import jax

    def body(carry: Any, weights: Any) -> tuple[Any, None]:
        return layer(carry, weights, shared), None

    return jax.lax.scan(body, carry, tuple(stacked))[0]


def _scan_tensorflow(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    # TensorFlow's own gradient of a loop keeps every tensor within a layer and adds the gradients
    # of a whole stack at each of its layers: half again as long to compile, and slower.
    import tensorflow as tf

    depth, many = stacked[0].shape[0], len(carry)

    def of(index: Any, stack: Sequence[Any]) -> list[Any]:
        return [w[index] for w in stack]

    def stacks(like: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(tf.zeros((depth, *tf.unstack(tf.shape(x))), x.dtype) for x in like)

    def put(stack: Sequence[Any], index: Any, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(
            tf.tensor_scatter_nd_update(s, [[index]], [v])
            for s, v in zip(stack, values, strict=True)
        )

    @tf.custom_gradient
    def run(*tensors: Any) -> Any:
        carry, stacked, shared = tensors[:many], tensors[many:-1], tensors[-1]

        def forward(index: Any, carry: Any, kept: Any) -> Any:
            following = tuple(layer(carry, of(index, stacked), shared))
            return index + 1, following, put(kept, index, carry)

        _, out, kept = tf.while_loop(
            lambda index, *_: index < depth,
            forward,
            (tf.constant(0), carry, stacks(carry)),
            maximum_iterations=depth,
        )

        def gradient(*upstream: Any) -> Any:
            def backward(index: Any, up: Any, down: Any, down_shared: Any) -> Any:
                inputs = (*of(index, kept), *of(index, stacked), shared)
                with tf.GradientTape() as tape:
                    tape.watch(inputs)
                    y = layer(inputs[:many], inputs[many:-1], inputs[-1])
                gradients = tape.gradient(
                    y, inputs, up, unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                return (
                    index - 1,
                    tuple(gradients[:many]),
                    put(down, index, gradients[many:-1]),
                    down_shared + gradients[-1],
                )

            _, down_carry, down, down_shared = tf.while_loop(
                lambda index, *_: index >= 0,
                backward,
                (
                    tf.constant(depth - 1),
                    tuple(upstream),
                    tuple(tf.zeros_like(w) for w in stacked),
                    tf.zeros_like(shared),
                ),
                maximum_iterations=depth,
            )
            return (*down_carry, *down, down_shared)

        return out, gradient

    out = run(*carry, *(tf.convert_to_tensor(w) for w in stacked), shared)
    return tuple(out) if many > 1 else (out[0] if isinstance(out, (list, tuple)) else out,)


def _scan_torch(layer: Layer, carry: Any, stacked: Sequence[Any], shared: Any) -> Any:
    for weights in zip(*stacked, strict=True):
        carry = layer(carry, weights, shared)
    return carry


_SCANS = {"tensorflow": _scan_tensorflow, "jax": _scan_jax, "torch": _scan_torch}


def compiles() -> bool:
    """True if the backend compiles training; PyTorch runs it as it is."""
    return name() != "torch"


def _with_weights_of_now(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function compiled by JAX, with the weights of the layer it is a method of as arguments.

    JAX would otherwise keep the weights that the layer had when the function was traced.
    """
    import jax
    import keras

    layer = getattr(function, "__self__", None)
    if not isinstance(layer, keras.Layer):
        return jax.jit(function)

    def stateless(values: Sequence[Any], arguments: Sequence[Any]) -> Any:
        mapping = list(zip(layer.variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return function(*arguments)

    run = jax.jit(stateless)
    return lambda *arguments: run([variable.value for variable in layer.variables], arguments)


def compiled(function: Callable[..., Any], *, fused: bool = False) -> Callable[..., Any]:
    """The `function` of tensors, compiled once per combination of argument shapes.

    On TensorFlow it becomes a graph and not XLA's: 200 × 1,000 draws of a coupling flow take as
    long on two cores, and the first call 1.7 instead of 4 s of processor time.

    Arguments:
        fused: Whether it becomes XLA's all the same: draws of a free-form flow take two thirds of
            the time.
    """
    backend = name()
    if backend == "jax":
        return _with_weights_of_now(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False, jit_compile=fused or None)

    import torch

    def without_gradient(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*arguments)

    return without_gradient


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Let Keras draw first weights from this seed.

    Its initializers take their seeds from `random`; its own function to seed that loads TensorFlow,
    whichever the backend.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


ROWS = 16_384
"""Rows of one call at the most: of draws, over data sets and draws."""


def by_row(function: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    """The results of a compiled function for rows, `(row, …)`, float64, in calls of one shape."""
    rows = len(arrays[0])
    results = []
    for first in range(0, rows, ROWS):
        index = np.arange(first, min(first + ROWS, rows))
        padded = np.resize(index, round_up(len(index), ROWS))
        chunk = to_numpy(function(*(array[padded] for array in arrays)))
        results.append(chunk[: len(index)].astype(np.float64))
    return np.concatenate(results)


def round_up(number: int, most: int) -> int:
    """The next power of two, at most `most`: few shapes are compiled, little is wasted."""
    return min(most, 1 << max(number - 1, 0).bit_length())


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Refuse layers with more weights than `numbers`, all together, before any memory is taken.

    A file of a few bytes may ask for a layer of 10⁹ units. How many weights its layers have is
    known to them alone, so they are counted where every layer makes its own.

    Errors:
        ValueError: In the layer that goes beyond it.
    """
    import keras

    made = 0
    add_weight = keras.Layer.add_weight

    def counted(layer: Any, shape: Any = None, *arguments: Any, **options: Any) -> Any:
        nonlocal made
        made += math.prod(shape or ())
        if made > numbers:
            raise ValueError(
                f"expected networks of {numbers:,} weights, as many as there are; {layer.name} "
                "would have more"
            )
        return add_weight(layer, shape, *arguments, **options)

    keras.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight
