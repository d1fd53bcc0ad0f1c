"""The words for summary networks in a spec; their mathematics is in `nn`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from abi_cli.networks.network import Activation, Count, Shape, SummaryNetwork
from abi_cli.registry import Part, expected, get, part
from abi_cli.spec.shorthand import PartOf


class Learned(SummaryNetwork):
    """Options of all summary networks that learn."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32},
        "large": {"width": 128, "depth": 3, "summary_dim": 32},
    }

    width: PositiveInt = Field(64, description="Width of the hidden layers.")
    activation: Activation = Field("silu", description="Nonlinearity.")


class OfMembers(Learned):
    """Options of networks for sets and series."""

    moment_features: PositiveInt = Field(
        8,
        description="Up to so many features (of a series, twice as many) are regressed on each "
        "other; of more only means and variances are pooled.",
    )


class Attending(OfMembers):
    """Options of networks whose members look at each other."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32, "depth": 1},
        "large": {"width": 128, "depth": 3, "summary_dim": 32},
    }

    depth: Count = Field(2, description="Blocks of attention.")
    heads: Count = Field(4, description="Of the attention in each block.")
    seeds: Count = Field(2, description="Learned queries that pool what the blocks made.")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(
                f"Expected a width that is a multiple of the heads; got {self.width} and "
                f"{self.heads}"
            )
        return self


@part("summary network", "deep_set", example="deep_set: {summary_dim: 10}")
class DeepSet(OfMembers):
    """For sets of any number: pools what each member says, and doesn't compare members.

    The one to begin with: its work grows with the number of members, and most likelihoods of
    independent members ask for no more.
    """

    reference: ClassVar[str] = "Zaheer et al. 2017, Deep sets, arXiv:1703.06114"

    depth: Count = Field(2, description="Hidden layers of the member network.")


@part("summary network", "set_transformer", example="set_transformer: {inducing: 16}")
class SetTransformer(Attending):
    """For sets whose members have to be compared: clusters, mixtures, outliers. Slower to train.

    Its work grows with the square of the number of members, unless they look at each other through
    inducing points.
    """

    reference: ClassVar[str] = "Lee et al. 2019, Set transformer, arXiv:1810.00825"

    inducing: int = Field(0, ge=0, description="Points through which members attend; 0 for none.")


@part("summary network", "time_series", example="time_series: {skip: 7}")
class TimeSeries(OfMembers):
    """For series: a convolution, read by recurrent layers, one of which skips steps.

    The one to begin with for series of up to some hundred steps; it is trained step by step, so
    long series are slow. What comes around (weeks, seasons) is seen by a fitting `skip`.
    """

    reference: ClassVar[str] = (
        "Lai et al. 2018, Modeling long- and short-term temporal patterns with "
        "deep neural networks, arXiv:1703.07015"
    )

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32},
        "large": {"width": 128, "summary_dim": 32},
    }
    ordered: ClassVar[bool] = True

    cell: Literal["gru", "lstm"] = Field("gru", description="Kind of recurrent layer.")
    bidirectional: bool = Field(True, description="Whether it is read backwards, too.")
    kernel: PositiveInt = Field(3, description="Steps that the convolution sees at a time.")
    skip: PositiveInt = Field(4, description="Steps between those that the other reading sees.")


@part("summary network", "recurrent", example="recurrent: {cell: lstm, depth: 2}")
class Recurrent(OfMembers):
    """For series: recurrent layers and no more. Slow to learn from long series."""

    reference: ClassVar[str] = (
        "Cho et al. 2014, Learning phrase representations using RNN "
        "encoder-decoder, arXiv:1406.1078"
    )

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32},
        "large": {"width": 128, "depth": 2, "summary_dim": 32},
    }
    ordered: ClassVar[bool] = True

    cell: Literal["gru", "lstm"] = Field("gru", description="Kind of recurrent layer.")
    bidirectional: bool = Field(True, description="Whether it is read backwards, too.")
    depth: Count = Field(1, description="Recurrent layers.")


@part("summary network", "time_series_transformer", example="time_series_transformer: {depth: 3}")
class TimeSeriesTransformer(Attending):
    """For series in which far steps depend on each other, or whose times are irregular.

    Steps know their place; irregular times are a variable that is concatenated with the others.
    """

    reference: ClassVar[str] = "Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762"

    ordered: ClassVar[bool] = True

    time_dim: PositiveInt = Field(8, description="Length of the vector that says a step's place.")


@part("summary network", "convolutional", example="convolutional: {axes: 2}")
class Convolutional(OfMembers):
    """For signals, images and long series: residual convolutions at ever lower resolution.

    It takes data of a fixed shape, `(length,)`, `(length, channels)` or `(height, width,
    channels)`, and series of any length. Of two axes `axes` says whether the second one is that of
    the channels of a signal (1) or the width of an image (2). It is faster than time_series on long
    series, but sees no further than a stretch that doubles with each stage.

    After 1,280 steps on damped waves of 128 steps the mean log density was 0.47 nats higher than
    with mlp (with `size: small` 0.19; as series of unknown length 0.31), on images of a blob,
    16 × 16, 0.40.

    Images are standardized by their last axis: each channel, but of an image without channels each
    column, unless the adapter says `standardize: {whole: image}`.
    """

    reference: ClassVar[str] = (
        "He et al. 2016, Identity mappings in deep residual networks, arXiv:1603.05027"
    )

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"widths": (8, 16)},
        "large": {"widths": (32, 64, 128), "width": 128, "summary_dim": 32},
    }
    ordered: ClassVar[bool] = True
    also_fixed: ClassVar[bool] = True
    shaped: ClassVar[bool] = True

    widths: tuple[PositiveInt, ...] = Field(
        (16, 32, 64),
        min_length=1,
        description="Channels of each stage; from one to the next the resolution halves.",
    )
    blocks: Count = Field(1, description="Residual blocks of each stage.")
    kernel: PositiveInt = Field(
        3, description="Places along each axis that a convolution sees at a time."
    )
    axes: Literal[1, 2] | None = Field(
        None, description="1 for signals and 2 for images; none: told from the number of axes."
    )

    def misfit(self, shape: Shape) -> str | None:
        """The reason why data of this shape can't be taken; None where they can."""
        if shape[0] is None:
            return "axes: 2 is for images, not for series" if self.axes == 2 else None
        if len(shape) == 2 and self.axes is None:
            first, second = shape
            return (
                f"axes: 1 for a signal of {second} channels or axes: 2 for an image of "
                f"{first} × {second} has to be said"
            )
        axes = self.axes_of(shape)
        if len(shape) in (axes, axes + 1):
            return None
        kind = "signals have 1 axis" if axes == 1 else "images have 2 axes"
        return f"{kind}, or {axes + 1} with channels"

    def axes_of(self, shape: Shape) -> int:
        """Number of axes of data of this shape: 1 for signals, 2 for images."""
        return self.axes or (1 if len(shape) == 1 else 2)


@part("summary network", "mlp", example="mlp: {depth: 3}")
class Perceptron(Learned):
    """For data of a fixed length: vectors too long, or too bent, to be used as they are."""

    members: ClassVar[bool] = False

    depth: Count = Field(2, description="Residual layers.")


@part(
    "summary network",
    "fusion",
    example="fusion: {networks: {trials: deep_set, age: {mlp: {width: 32}}}}",
)
class Fusion(SummaryNetwork):
    """For several observables of different shape, each with a network of its own.

    The adapter collects them: `group: {keys: [trials, age], into: summary_variables}`. Their
    summaries, side by side, go through the head.
    """

    reference: ClassVar[str] = "Schmitt et al. 2023, Fuse it or lose it, arXiv:2311.10671"

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"head": {"mlp": {"size": "small"}}},
        "large": {"head": {"mlp": {"size": "large"}}, "summary_dim": 32},
    }
    members: ClassVar[bool] = False

    networks: dict[str, Annotated[Part, PartOf("summary network", without=("fusion",))]] = Field(
        min_length=1, description="Member of the group: the network that summarizes it."
    )
    head: Annotated[Part, PartOf("summary network", without=("fusion",))] = Field(
        default_factory=lambda: get("summary network", "mlp")(),
        description="Network that joins the summaries: of vectors.",
    )

    @model_validator(mode="after")
    def _the_head_takes_a_vector(self) -> Self:
        if expected(self.head, SummaryNetwork).members:
            raise ValueError(
                f"Expected a head that takes vectors, such as mlp; got {self.head.name}"
            )
        return self
