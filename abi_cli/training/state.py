"""The state of a training at the end of a block, from which it goes on as if uninterrupted.

What a block holds follows from the seed and its number, so of the data a state keeps only the
position: which rows were gathered, and which of them still wait for their block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli import backend
from abi_cli.errors import RunError
from abi_cli.training.blocks import BlockPlan, Position
from abi_cli.training.checkpoints import Checkpoint
from abi_cli.training.parts import Callback

if TYPE_CHECKING:
    import keras

Shapes = list[dict[str, list[Any]]]
"""Shapes of the blocks that are compiled, one for each bucket: name → [shape, dtype]."""


@dataclass(frozen=True)
class State:
    """A training at the end of a block, or of an epoch.

    Arguments:
        networks: Config of the approximator, its adapter included.
        shapes: Of blocks, to compile for without simulations.
        accelerated: Whether blocks are as long as a GPU's.
        planned: Epochs that the training is to have.
        epoch: Epochs that are done.
        blocks: Blocks that are done in the one after those.
        finished: Whether the training has come to its end, by `planned` or by a callback.
        position: In the rows.
        values: Of the model's and the optimizer's variables.
        good: The values to go back to if the training diverges; None where they are the same.
        log, guard: What `EpochLog` and `DivergenceGuard` have noted.
        callbacks: The state of each callback of the spec.
        seconds: Part of the work → seconds so far.
    """

    networks: dict[str, Any]
    shapes: Shapes
    accelerated: bool
    planned: int
    epoch: int
    blocks: int
    finished: bool
    position: Position
    values: list[np.ndarray]
    good: list[np.ndarray] | None
    log: dict[str, Any]
    guard: dict[str, Any]
    callbacks: list[dict[str, Any]]
    seconds: dict[str, float]

    def step(self, plan: BlockPlan) -> int:
        """The number of steps that are done."""
        within = min(self.blocks * plan.length, plan.num_batches)
        return self.epoch * plan.num_batches + within

    def to_checkpoint(self, step: int) -> Checkpoint:
        """A checkpoint of the state: JSON values and arrays.

        Arguments:
            step: Steps that are done.
        """
        arrays = {f"values/{i}": value for i, value in enumerate(self.values)}
        arrays |= {f"good/{i}": value for i, value in enumerate(self.good or ())}
        arrays |= {f"waiting/{key}": rows for key, rows in self.position.waiting.items()}
        callbacks = []
        for number, attributes in enumerate(self.callbacks):
            plain = dict(attributes)
            for name, value in attributes.items():
                if isinstance(value, list):
                    arrays |= {f"{name}/{number}/{i}": array for i, array in enumerate(value)}
                    plain[name] = {"arrays": len(value)}
            callbacks.append(plain)
        facts = {
            name: value
            for name, value in vars(self).items()
            if name not in ("position", "values", "good")
        }
        kept = {"seen": self.position.seen, "source": dict(self.position.source)}
        return Checkpoint(step, {**facts, **kept, "callbacks": callbacks}, arrays)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> State:
        """A state from the checkpoint that `to_checkpoint` gave.

        Errors:
            RunError: Something is missing.
        """
        arrays = checkpoint.arrays

        def several(prefix: str) -> list[np.ndarray]:
            number = sum(name.startswith(f"{prefix}/") for name in arrays)
            return [arrays[f"{prefix}/{i}"] for i in range(number)]

        facts = dict(checkpoint.facts)
        try:
            waiting = {
                int(name.removeprefix("waiting/")): rows
                for name, rows in arrays.items()
                if name.startswith("waiting/")
            }
            callbacks = [
                {
                    name: several(f"{name}/{number}") if isinstance(value, dict) else value
                    for name, value in attributes.items()
                }
                for number, attributes in enumerate(facts["callbacks"])
            ]
            own = {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
            own |= {
                "callbacks": callbacks,
                "position": Position(facts["seen"], waiting, facts["source"]),
                "values": several("values"),
                "good": several("good") or None,
            }
            return cls(**own)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"the state of the training lacks {error}") from error

    def extended(self, epochs: int, callbacks: Sequence[Callback]) -> State:
        """The state of a training that goes on, after its end, to another number of epochs.

        Arguments:
            callbacks: Of the spec.
        """
        ready = [
            part.extended(attributes)
            for part, attributes in zip(callbacks, self.callbacks, strict=True)
        ]
        return replace(self, planned=epochs, finished=False, callbacks=ready)


def values_of(model: Any) -> list[np.ndarray]:
    """Copies of all that training changes: the model's variables, then its optimizer's."""
    backend.synchronize(model)
    return [np.array(backend.to_numpy(variable.value)) for variable in _variables(model)]


def give_values(model: Any, values: Sequence[np.ndarray]) -> None:
    """Put `values_of` back.

    Errors:
        RunError: They are another model's.
    """
    backend.synchronize(model)
    variables = _variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise RunError("the state of the training is not that of the networks of the spec")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _variables(model: Any) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def attributes_of(callback: keras.callbacks.Callback, names: Sequence[str]) -> dict[str, Any]:
    """The named attributes as JSON values; lists of arrays stay what they are."""
    return {name: _plain(getattr(callback, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [np.asarray(array) for array in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return np.asarray(value).item()


def give_attributes(callback: keras.callbacks.Callback, attributes: Mapping[str, Any]) -> None:
    """Put `attributes_of` back."""
    for name, value in attributes.items():
        setattr(callback, name, value)
