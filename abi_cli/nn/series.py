"""Summary networks that read a series step by step.

`Recurrent` is a stack of gated recurrent layers (GRU: Cho et al. 2014, arXiv:1406.1078; LSTM:
Hochreiter & Schmidhuber 1997), read in both directions. `TimeSeries` puts a convolution before it
and a recurrent layer that skips steps beside it, for what comes around (LSTNet: Lai et al. 2018,
arXiv:1703.07015). Padding is masked: a state passes through it unchanged.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from abi_cli.networks import parts_summary as words
from abi_cli.nn.summary import StepsLayer


class _Reading(StepsLayer):
    """The recurrent layers that both networks share."""

    options: words.Recurrent | words.TimeSeries

    def reader(self, inputs: int, *, sequences: bool = False) -> tuple[list[Any], int]:
        """Built recurrent layers, one for each direction, and the length of what they give."""
        kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[self.options.cell]
        made = []
        for backwards in (False, True) if self.options.bidirectional else (False,):
            layer = kind(
                self.options.width,
                return_sequences=sequences,
                go_backwards=backwards,
                dtype=self.dtype_policy,
            )
            layer.build((None, None, inputs))
            made.append(layer)
        return made, self.options.width * len(made)

    def read(self, layers: list[Any], x: Any, mask: Any) -> Any:
        """Both directions together: last states `(batch, …)`, or sequences `(batch, time, …)`."""
        seen = ops.cast(mask, "bool")
        read = [layer(x, mask=seen) for layer in layers]
        if len(read[0].shape) == 3:  # backwards the sequence comes out in the order it was read
            read = [read[0], *(ops.flip(sequence, axis=1) for sequence in read[1:])]
            return ops.concatenate(read, axis=-1) * mask[:, :, None]
        return ops.concatenate(read, axis=-1)


class Recurrent(_Reading):
    """Series `(batch, time, dim)` with a mask `(batch, time)` to summaries `(batch, summary_dim)`.

    The last states of the last recurrent layer are the encoding.
    """

    options: words.Recurrent

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for steps of `input_shape[-1]` features."""
        dim = inputs = input_shape[-1] or 0
        self.readers = []
        for number in range(self.options.depth):
            layers, inputs = self.reader(inputs, sequences=number + 1 < self.options.depth)
            self.readers += layers
        return inputs, self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """The last states, `(batch, width)` for each direction."""
        h, directions = x, len(self.readers) // self.options.depth
        for first in range(0, len(self.readers), directions):
            h = self.read(self.readers[first : first + directions], h, mask)
        return h


class TimeSeries(_Reading):
    """Series `(batch, time, dim)` with a mask `(batch, time)` to summaries."""

    options: words.TimeSeries

    def build_encoder(self, input_shape: tuple[int | None, ...]) -> tuple[int, int]:
        """Weights for steps of `input_shape[-1]` features."""
        dim = input_shape[-1] or 0
        self.convolution = keras.layers.Conv1D(
            self.options.width,
            self.options.kernel,
            padding="same",
            activation=self.options.activation,
            dtype=self.dtype_policy,
        )
        self.convolution.build((None, None, dim))
        self.all_steps, encoding = self.reader(self.options.width)
        self.some_steps, further = self.reader(self.options.width)
        return encoding + further, self.moments_of(dim)

    def encode(self, x: Any, mask: Any) -> Any:
        """The last states of both readings."""
        h = self.convolution(x) * mask[:, :, None]
        every = slice(None, None, self.options.skip)
        return ops.concatenate(
            [
                self.read(self.all_steps, h, mask),
                self.read(self.some_steps, h[:, every], mask[:, every]),
            ],
            axis=-1,
        )
