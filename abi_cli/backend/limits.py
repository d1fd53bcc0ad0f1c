"""A limit to the size of networks that a file describes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
