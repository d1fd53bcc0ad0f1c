"""The way from the variables of a model to those of the networks and back, in NumPy alone.

An `Adapter` is a tuple of invertible steps. Sets and series travel flat; `network_inputs` pads them
at the very end.
"""

from abi_cli.adapter.adapter import (
    INFERENCE_CONDITIONS,
    INFERENCE_VARIABLES,
    SUMMARY_VARIABLES,
    Adapter,
    sources,
)
from abi_cli.adapter.batches import SUMMARY_MASK, bucket_of, bucket_sizes, network_inputs
from abi_cli.adapter.step import AdapterError, State, Step

__all__ = [
    "INFERENCE_CONDITIONS",
    "INFERENCE_VARIABLES",
    "SUMMARY_MASK",
    "SUMMARY_VARIABLES",
    "Adapter",
    "AdapterError",
    "State",
    "Step",
    "bucket_of",
    "bucket_sizes",
    "network_inputs",
    "sources",
]
