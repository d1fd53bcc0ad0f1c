"""The screen of people and pipes: the only part that imports rich, once there is a need."""

from abi_cli.console.terminal import Console

__all__ = ["Console"]
