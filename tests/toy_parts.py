"""A few parts for tests of the spec, so that their messages don't depend on which parts exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

import pytest
from pydantic import Field

from abi_cli import registry
from abi_cli.registry import Keys, Part


class AsSet(Part):
    """Treat variables as sets."""

    marks_ragged: ClassVar[bool] = True
    marks_ordered: ClassVar[bool] = False
    keys: Keys = Field(description="Variables that are sets.")


class Constrain(Part):
    """Map what has bounds to the whole line."""

    keys: Keys
    lower: float | None = None
    upper: float | None = None
    method: Literal["softplus", "log"] = "softplus"


class Concatenate(Part):
    """Join variables."""

    keys: Keys = Field(description="Variables to join.")
    into: str = Field(description="Name of the joined variable.")


class Scale(Part):
    """Multiply by a number, or by one number for each element."""

    marks_ragged: ClassVar[bool] = False
    marks_ordered: ClassVar[bool] = False
    keys: Keys
    by: float | tuple[float, ...] = 1.0
    strict: bool = False


class Rename(Part):
    """Give a variable another name."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")


class DeepSet(Part):
    """A summary network."""

    summary_dim: int = Field(10, ge=1)


class CouplingFlow(Part):
    """An inference network."""

    depth: int = 6


class Adam(Part):
    """An optimizer."""

    clipnorm: float | None = 1.0


class Constant(Part):
    """A schedule."""

    learning_rate: float = Field(gt=0)


class CosineDecay(Part):
    """A schedule."""

    initial_learning_rate: float = Field(5e-3, gt=0)
    alpha: float = 0.0


class WarmupCosine(Part):
    """A schedule."""

    peak: float = 5e-3


class Normal(Part):
    """A distribution."""

    discrete: ClassVar[bool] = False
    loc: float | str = 0.0
    scale: float | str = 1.0

    def references(self) -> dict[str, str]:
        """Options that name variables."""
        return {o: v for o in ("loc", "scale") if isinstance(v := getattr(self, o), str)}

    def varies(self) -> bool:
        """It does."""
        return True


class EarlyStopping(Part):
    """A callback."""

    patience: int = 5


TOYS = {
    ("step", "as_set"): AsSet,
    ("step", "constrain"): Constrain,
    ("step", "concatenate"): Concatenate,
    ("step", "scale"): Scale,
    ("step", "rename"): Rename,
    ("summary network", "deep_set"): DeepSet,
    ("inference network", "coupling_flow"): CouplingFlow,
    ("optimizer", "adam"): Adam,
    ("schedule", "constant"): Constant,
    ("schedule", "cosine_decay"): CosineDecay,
    ("schedule", "warmup_cosine"): WarmupCosine,
    ("distribution", "normal"): Normal,
    ("callback", "early_stopping"): EarlyStopping,
}


@contextmanager
def only_toy_parts() -> Iterator[None]:
    """While this lasts, the registry has the parts above and no others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_parts", {})
        patch.setattr(registry, "_loaded", set(registry.HOMES.values()))
        for (kind, name), toy in TOYS.items():
            registry.part(kind, name)(toy)
        yield


SPEC = """\
name: toy
model:
  meta: toy.py:meta
  prior: toy.py:prior
  likelihood: toy.py:likelihood
parameters:
  beta: {labels: [β₀, β₁]}
  sigma: {labels: σ}
adapter:
  - as_set: [x, y]
  - constrain: {keys: sigma, lower: 0}
  - scale: {keys: [x, y], by: 2}
  - concatenate: {keys: [beta, sigma], into: inference_variables}
  - rename: {from: N, to: inference_conditions}
networks:
  summary: {deep_set: {summary_dim: 4}}
  inference: coupling_flow
training:
  epochs: 3
  optimizer: {adam: {clipnorm: 0.5}}
  learning_rate: 5e-4
"""
"""A spec in these parts that uses every form that a part may have."""
