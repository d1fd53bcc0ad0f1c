"""The contract of the words for networks in a spec.

A word is a frozen config: its fields are the options of a network, and all that its layer in `nn`
is constructed from, beside sizes and a seed. Words import no Keras. Which layer is whose is written
in `nn.build`; to add a network, write a word in `parts_*.py` here, its layer in `nn`, and two lines
there. A word of your own (`use:`, or an installed package) has a method `build` instead, which
makes the layer, and imports Keras when it is called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from abi_cli.registry import Part

if TYPE_CHECKING:
    import keras
    import numpy as np


Activation = Literal["elu", "gelu", "mish", "relu", "silu", "softplus", "tanh"]

Count = Annotated[int, Field(ge=1, le=1_000)]
"""Number of layers, components or members: more than a thousand would take for ever."""

Steps = Annotated[int, Field(ge=1, le=10_000)]
"""Number of steps of a draw."""

Shape = tuple[int | None, ...]
"""Shape of the data of one data set: `(None, features)` for sets and series."""


def shape_of(width: int | Sequence[int]) -> Shape:
    """The shape that a number of features, or a list of sizes that are all fixed, stands for."""
    return (None, width) if isinstance(width, int) else tuple(width)


def entries(shape: Shape) -> int:
    """Numbers of a data set of fixed shape, or of each member of a set."""
    return math.prod(size for size in shape if size is not None)


class Network(Part):
    """A network that may be asked for by its size.

    `size` is an abbreviation: the options that it stands for are filled in when a spec is read, and
    those are what a spec written out and a run hold. Options that are written win over the size.
    """

    reference: ClassVar[str] = ""
    """The paper that it is best known by."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Size → options that then differ from their defaults; the defaults are the size base."""

    size: Literal["small", "base", "large"] | None = Field(
        None, exclude=True, description="Fills in the options that are not written; base: defaults."
    )

    @model_validator(mode="before")
    @classmethod
    def _sized(cls, options: Any) -> Any:
        if not isinstance(options, Mapping) or options.get("size") not in ("base", *cls.SIZES):
            return options  # what is no size is refused with the others
        filled = {**cls.SIZES.get(options["size"], {}), **options}
        del filled["size"]
        chosen = {name for sized in cls.SIZES.values() for name in sized}
        if chosen and chosen <= options.keys():
            raise ValueError(
                f"Expected a size or all of {', '.join(sorted(chosen))}; got both, so that size "
                "says nothing"
            )
        return filled

    @model_validator(mode="after")
    def _without_sizes(self) -> Any:
        if self.size is not None:
            raise ValueError(f"Expected no size: {self.name} has only one; got {self.size}")
        return self

    @classmethod
    def help_of(cls, option: str) -> str:
        """Help of an option; of `size`, also the options that each size fills in."""
        described = super().help_of(option)
        if option != "size":
            return described
        sizes = (
            f"{size}: {', '.join(f'{name} {_plain(value)}' for name, value in options.items())}"
            for size, options in cls.SIZES.items()
        )
        return " ".join([described, *(f"{one}." for one in sizes)])


def _plain(value: Any) -> str:
    """An option as it would be written."""
    if isinstance(value, Mapping):
        return "".join(f"{{{key}: {_plain(inner)}}}" for key, inner in value.items())
    return str(list(value) if isinstance(value, tuple) else value)


class SummaryNetwork(Network):
    """Turns the observables of a data set into a vector of fixed length.

    Its layer is a `nn.summary.SummaryLayer` or like one: it is called as `layer(x, mask)` with
    `x (batch, obs, dim)` and `mask (batch, obs)`, or with `x (batch, *shape)` and None, and gives
    `(batch, summary_dim)`. It has `adapt(x, mask)`, in which it may scale itself on pilot data, and
    `statistics(x, mask) (batch, statistics_dim)`: what can be said of a data set without any
    weights, by which the parameters are standardized (`nn.standardization`).
    """

    members: ClassVar[bool] = True
    """True if it takes sets and series, else data of a fixed shape."""

    also_fixed: ClassVar[bool] = False
    """True if it takes data of a fixed shape beside sets and series."""

    shaped: ClassVar[bool] = False
    """True if a `build` of your own takes a `Shape`, else a number of features or entries."""

    ordered: ClassVar[bool] = False
    """True if the order of members matters: it is for series and not for sets."""

    summary_dim: PositiveInt = Field(
        16, description="Length of the summary; at least the number of parameters, better twice."
    )
    regularise: NonNegativeFloat = Field(
        0.0,
        description="Weight in the training loss of how unlike a standard normal distribution the "
        "summaries are, by which data unlike the simulations may be told; 0 for none.",
    )

    def build(self, dim: Any) -> keras.Layer | None:  # noqa: ARG002  # ours make none
        """The built layer, of a word of your own; None for the one that `nn.build` knows.

        Arguments:
            dim: The number of features of members, or of numbers of vectors; a `Shape` where the
                word is `shaped`; of a group, shapes by name.
        """
        return None

    def misfit(self, shape: Shape) -> str | None:  # noqa: ARG002  # most take every shape
        """The reason, in words, why data of this shape can't be taken; None where they can."""
        return None


class InferenceNetwork(Network):
    """A conditional distribution of the parameters.

    Its layer is a `nn.inference.InferenceLayer`; where there are no draws, it has `names`,
    `degrees` and `estimates` instead of `inverse`, as `nn.point.PointEstimates` does.
    """

    has_draws: ClassVar[bool] = True
    """True if it can be sampled, else it gives estimates alone, of parameters as the user has them
    (`adapter.targets`)."""

    has_density: ClassVar[bool] = True
    """True if it has a density of the parameters."""

    loss_unit: ClassVar[str] = "nats"
    """Unit of the loss that training minimizes."""

    def suited(self, scores: np.ndarray | None) -> InferenceNetwork:  # noqa: ARG002  # most suit all
        """The network with what it leaves to the first simulations decided by them.

        Arguments:
            scores: Parameters of simulations, standardized given their data, `(dataset, dim)`;
                None before they are known.
        """
        return self

    def build(self, dim: int, conditions: int, seed: int) -> keras.Layer | None:  # noqa: ARG002  # ours make none
        """The built layer, of a word of your own; None for the one that `nn.build` knows.

        Arguments:
            dim: Number of parameters.
            conditions: Number of the conditions.
            seed: Seed of its choices.
        """
        return None
