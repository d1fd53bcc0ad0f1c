"""Steps that say what variables are called: rename."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from abi_cli.adapter.step import State, Step, no_change, refuse_taken
from abi_cli.registry import part
from abi_cli.variables import Datasets, Value


@part("step", "rename")
class Rename(Step):
    """Give a variable another name."""

    source: str = Field(alias="from", description="The name it has.")
    target: str = Field(alias="to", description="The name it gets.")

    def flow(self) -> dict[str, tuple[str, ...]]:
        """The new name from the old one."""
        return {self.target: (self.source,)}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """From the old name to the new one."""
        return _renamed(data, self.source, self.target)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """From the new name to the old one."""
        return _renamed(data, self.target, self.source)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)


def _renamed(data: Mapping[str, Value], source: str, target: str) -> Datasets:
    out = dict(data)
    if source in out:
        value = out.pop(source)
        refuse_taken(out, target)
        out[target] = value
    return out
