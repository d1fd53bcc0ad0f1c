"""Summary networks that a spec can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from abi_cli.networks.network import Count, Shape, SummaryNetwork
from abi_cli.registry import Part, expected, get, part
from abi_cli.spec.shorthand import PartOf

if TYPE_CHECKING:
    import keras

Activation = Literal["elu", "gelu", "mish", "relu", "silu", "softplus", "tanh"]


class _Learned(SummaryNetwork):
    """Options of all summary networks that learn."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32},
        "large": {"width": 128, "depth": 3, "summary_dim": 32},
    }

    width: PositiveInt = Field(64, description="Width of the hidden layers.")
    activation: Activation = Field("silu", description="Nonlinearity.")


class OfMembers(_Learned):
    """Options of networks for sets and series."""

    moment_features: PositiveInt = Field(
        8,
        description="Up to so many features (of a series, twice as many) are regressed on each "
        "other; of more only means and variances are pooled.",
    )


class _Attending(OfMembers):
    """Options of networks whose members look at each other."""

    SIZES: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"width": 32, "depth": 1},
        "large": {"width": 128, "depth": 3, "summary_dim": 32},
    }

    depth: Count = Field(2, description="Blocks of attention.")
    heads: Count = Field(4, description="Of the attention in each block.")
    seeds: Count = Field(2, description="Learned queries that pool what the blocks made.")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> _Attending:
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

    def build(self, dim: int) -> keras.Layer:
        """The built layer for members of `dim` features."""
        from abi_cli.nn.deep_set import DeepSet as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer


@part("summary network", "set_transformer", example="set_transformer: {inducing: 16}")
class SetTransformer(_Attending):
    """For sets whose members have to be compared: clusters, mixtures, outliers. Slower to train.

    Its work grows with the square of the number of members, unless they look at each other through
    inducing points.
    """

    reference: ClassVar[str] = "Lee et al. 2019, Set transformer, arXiv:1810.00825"

    inducing: int = Field(0, ge=0, description="Points through which members attend; 0 for none.")

    def build(self, dim: int) -> keras.Layer:
        """The built layer for members of `dim` features."""
        from abi_cli.nn.attention import SetTransformer as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer


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

    def build(self, dim: int) -> keras.Layer:
        """The built layer for steps of `dim` features."""
        from abi_cli.nn.recurrent import TimeSeries as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer


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

    def build(self, dim: int) -> keras.Layer:
        """The built layer for steps of `dim` features."""
        from abi_cli.nn.recurrent import Recurrent as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer


@part("summary network", "time_series_transformer", example="time_series_transformer: {depth: 3}")
class TimeSeriesTransformer(_Attending):
    """For series in which far steps depend on each other, or whose times are irregular.

    Steps know their place; irregular times are a variable that is concatenated with the others.
    """

    reference: ClassVar[str] = "Vaswani et al. 2017, Attention is all you need, arXiv:1706.03762"

    ordered: ClassVar[bool] = True

    time_dim: PositiveInt = Field(8, description="Length of the vector that says a step's place.")

    def build(self, dim: int) -> keras.Layer:
        """The built layer for steps of `dim` features."""
        from abi_cli.nn.attention import TimeSeriesTransformer as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, 1, dim))
        return layer


@part("summary network", "mlp", example="mlp: {depth: 3}")
class Perceptron(_Learned):
    """For data of a fixed length: vectors too long, or too bent, to be used as they are."""

    members: ClassVar[bool] = False

    depth: Count = Field(2, description="Residual layers.")

    def build(self, dim: int) -> keras.Layer:
        """The built layer for vectors of `dim` numbers."""
        from abi_cli.nn.mlp import Perceptron as Layer

        layer = Layer(**self.model_dump())
        layer.build((1, dim))
        return layer


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
    def _the_head_takes_a_vector(self) -> Fusion:
        if expected(self.head, SummaryNetwork).members:
            raise ValueError(
                f"Expected a head that takes vectors, such as mlp; got {self.head.name}"
            )
        return self

    def build(self, dim: Mapping[str, Shape]) -> keras.Layer:
        """The built layer for a group whose members have these shapes."""
        from abi_cli.nn.fusion import Fusion as Layer

        parts = {name: expected(part, SummaryNetwork) for name, part in self.networks.items()}
        head = expected(self.head, SummaryNetwork).model_copy(
            update={"summary_dim": self.summary_dim}
        )
        return Layer(
            members={name: part.build_for(dim[name]) for name, part in parts.items()},
            head=head.build(sum(part.summary_dim for part in parts.values())),
        )
