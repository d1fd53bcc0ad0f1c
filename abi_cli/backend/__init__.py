"""The choice of backend, and the only code that differs between backends.

`select` must run before Keras is first imported: it imports it. Everything else assumes that.

What differs: how a loop over stacked weights is written and an inference function compiled
(`backend.loops`), how a block of batches is learned in one compiled call (`backend.blocks`), and
how several devices share the work (`backend.devices`).
Nothing here imports a backend before it is used.
"""

from abi_cli.backend.blocks import FlatWeights, feed, out_of_memory, synchronize, train_block
from abi_cli.backend.choice import BACKENDS, accelerated, name, select, to_numpy
from abi_cli.backend.devices import all_devices
from abi_cli.backend.loops import at_most, compiled, compiles, first_weights, scan_layers

__all__ = [
    "BACKENDS",
    "FlatWeights",
    "accelerated",
    "all_devices",
    "at_most",
    "compiled",
    "compiles",
    "feed",
    "first_weights",
    "name",
    "out_of_memory",
    "scan_layers",
    "select",
    "synchronize",
    "to_numpy",
    "train_block",
]
