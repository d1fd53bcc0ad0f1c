"""Statistics of data sets that need no weights, in double precision, made beside simulations."""

from abi_cli.statistics.statistics import Statistics

__all__ = ["Statistics"]
