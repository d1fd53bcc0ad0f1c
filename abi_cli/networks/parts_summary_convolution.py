"""The summary network that convolves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from abi_cli.networks.network import Count, Shape
from abi_cli.networks.parts_summary import OfMembers
from abi_cli.registry import part

if TYPE_CHECKING:
    import keras


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

    def misfit(self, shape: tuple[int | None, ...]) -> str | None:
        """Why data of this shape can't be taken."""
        if shape[0] is None:
            return "axes: 2 is for images, not for series" if self.axes == 2 else None
        if len(shape) == 2 and self.axes is None:
            first, second = shape
            return (
                f"axes: 1 for a signal of {second} channels or axes: 2 for an image of "
                f"{first} × {second} has to be said"
            )
        axes = self._axes(shape)
        if len(shape) in (axes, axes + 1):
            return None
        kind = "signals have 1 axis" if axes == 1 else "images have 2 axes"
        return f"{kind}, or {axes + 1} with channels"

    def _axes(self, shape: tuple[int | None, ...]) -> int:
        return self.axes or (1 if len(shape) == 1 else 2)

    def build(self, dim: Shape) -> keras.Layer:
        """The built layer for data of a shape, `(None, features)` for series."""
        from abi_cli.nn.convolution import GridConvolution, SeriesConvolution

        options = self.model_dump(exclude={"axes", "moment_features"})
        layer: keras.Layer
        if dim[0] is None:
            layer = SeriesConvolution(moment_features=self.moment_features, **options)
            layer.build((1, 1, dim[-1]))
        else:
            layer = GridConvolution(axes=self._axes(dim), **options)
            layer.build((1, *dim))
        return layer
