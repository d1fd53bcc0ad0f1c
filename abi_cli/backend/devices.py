"""Training on several devices of one machine: each learns from its share of every batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from abi_cli.backend.choice import name


@contextmanager
def all_devices(batch_size: int) -> Iterator[int]:
    """Let the model that is made and trained inside learn on all devices, on JAX.

    The weights are on every device; of each batch every device gets an equal share, and the mean
    of the gradients is what one device would have found, up to rounding. Devices are left out
    until the batch size is a multiple of their number. The other backends use one device.

    Yields:
        How many devices are used.
    """
    if name() != "jax":
        yield 1
        return
    import jax
    import keras

    devices = jax.local_devices()
    used = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
    if used == 1:
        yield 1
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(_sharing(devices[:used]))
    try:
        yield used
    finally:
        keras.distribution.set_distribution(before)


def _sharing(devices: Sequence[Any]) -> Any:
    """Keras's data-parallel distribution for blocks: it divides axis 1, that of the batch."""
    import keras

    class Blocks(keras.distribution.DataParallel):
        def get_data_layout(self, data_shape: Sequence[int]) -> Any:
            axes: list[str | None] = [None] * len(data_shape)
            if len(data_shape) > 1:
                axes[1] = self.batch_dim_name
            return keras.distribution.TensorLayout(axes, self.device_mesh)

    ids = [f"{device.platform}:{device.id}" for device in devices]
    return Blocks(devices=ids, auto_shard_dataset=False)
