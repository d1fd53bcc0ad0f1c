"""Steps that say what variables are called: rename, group, ungroup."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field, model_validator

from abi_cli.adapter.step import AdapterError, State, Step, no_change, refuse_taken
from abi_cli.registry import Keys, part
from abi_cli.variables import Datasets, Value


@part("step", "rename", example="rename: {from: N, to: inference_conditions}")
class Rename(Step):
    """Give a variable another name."""

    source: str = Field(alias="from", description="The name it has.")
    target: str = Field(alias="to", description="The name it gets.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The new name, made from the old one."""
        return {self.target: (self.source,)}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Give the variable its new name."""
        return _renamed(data, self.source, self.target)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Give the variable its old name."""
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


@part("step", "group", example="group: {keys: [y, cases], into: signals}")
class Group(Step):
    """Collect variables under one name, each with its own shape: `x` becomes `into.x`.

    For a fusion network, which summarizes each with a network of its own.
    """

    keys: Keys = Field(min_length=1, description="Variables to collect.")
    into: str = Field(description="Name of the group.")
    prefix: str = Field("", description="What to take off the beginning of their names.")

    @model_validator(mode="after")
    def _names_begin_so(self) -> Group:
        for key in self.keys:
            if not key.startswith(self.prefix) or key == self.prefix:
                raise ValueError(f"Expected names that begin with {self.prefix!r}; got {key}")
        return self

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The names in the group, each made from the one outside."""
        return {self._inside(key): (key,) for key in self.keys}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Put the variables into the group."""
        for key in self.keys:
            data = _renamed(data, key, self._inside(key))
        return dict(data)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Take the variables out of the group."""
        for key in self.keys:
            data = _renamed(data, self._inside(key), key)
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)

    def _inside(self, key: str) -> str:
        return f"{self.into}.{key.removeprefix(self.prefix)}"


@part("step", "ungroup", example="ungroup: {key: signals, prefix: raw_}")
class Ungroup(Step):
    """Take the variables of a group out of it: `group.x` becomes `x`."""

    key: str = Field(description="Name of the group.")
    prefix: str = Field("", description="What to put before their names.")

    def flow(self, state: State) -> dict[str, tuple[str, ...]]:
        """The names outside, each made from the one in the group; the pilot shows which."""
        return {self._outside(name): (name,) for name in state}

    def fit(self, data: Mapping[str, Value]) -> State:
        """An empty entry `group.x ()` for each variable of the group.

        Errors:
            AdapterError: There is no such group.
        """
        members = [name for name in data if name.startswith(f"{self.key}.")]
        if not members:
            groups = sorted({name.partition(".")[0] for name in data if "." in name})
            raise AdapterError(
                f"Expected a group ({', '.join(groups) or 'there is none'}); got {self.key}",
                hint=f"- group: {{keys: [...], into: {self.key}}}",
                variable=self.key,
            )
        return {name: np.array(True) for name in members}

    def forward(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Take the variables out of the group."""
        for name in state:
            data = _renamed(data, name, self._outside(name))
        return dict(data)

    def inverse(self, data: Mapping[str, Value], state: State) -> Datasets:
        """Put the variables into the group."""
        for name in state:
            data = _renamed(data, self._outside(name), name)
        return dict(data)

    def log_det(self, data: Mapping[str, Value], state: State) -> np.ndarray:
        """Zero."""
        return no_change(data)

    def _outside(self, name: str) -> str:
        return self.prefix + name.removeprefix(f"{self.key}.")
