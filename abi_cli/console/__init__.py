"""What people and pipes see; the only part that imports rich, and only once there is a need."""

from abi_cli.console.terminal import Console

__all__ = ["Console"]
