"""Optimizers, learning-rate schedules and callbacks that a spec can name.

A schedule is a peak rate and a shape in NumPy: the rates of a block travel with its data, relative
to the optimizer's own rate, so that callbacks may lower that one whatever the schedule.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from abi_cli.registry import Part, part

if TYPE_CHECKING:
    import keras


class Optimizer(Part):
    """A rule by which weights follow gradients."""

    @abstractmethod
    def build(self, learning_rate: float) -> keras.Optimizer:
        """The Keras optimizer of one vector of weights."""

    @abstractmethod
    def clip(self, gradients: list[Any]) -> list[Any]:
        """The gradient of each array of weights, clipped."""


@part("optimizer", "adam", example="adam: {clipnorm: 1.0}")
class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) with clipped gradients."""

    beta_1: float = Field(0.9, ge=0, lt=1, description="Decay of the mean of gradients.")
    beta_2: float = Field(0.999, ge=0, lt=1, description="Decay of the mean of their squares.")
    epsilon: PositiveFloat = Field(1e-7, description="Added to the root mean square.")
    clipnorm: PositiveFloat | None = Field(
        None, description="Largest norm of the gradient of one weight array."
    )
    global_clipnorm: PositiveFloat | None = Field(
        1.0, description="Largest norm of the whole gradient; none where clipnorm is given."
    )

    @model_validator(mode="before")
    @classmethod
    def _one_norm(cls, options: Any) -> Any:
        if isinstance(options, dict) and options.get("clipnorm") is not None:
            if options.get("global_clipnorm") is not None:
                raise ValueError("Expected clipnorm or global_clipnorm; got both")
            return {**options, "global_clipnorm": None}
        return options

    def build(self, learning_rate: float) -> keras.Optimizer:
        """The Keras optimizer of one vector of weights."""
        import keras

        return keras.optimizers.Adam(
            learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            global_clipnorm=self.global_clipnorm,
        )

    def clip(self, gradients: list[Any]) -> list[Any]:
        """Each gradient's norm at most `clipnorm`; the whole gradient's is the optimizer's work."""
        from keras import ops

        if self.clipnorm is None:
            return gradients
        norms = [ops.sqrt(ops.sum(ops.square(g))) for g in gradients]
        return [
            g * (self.clipnorm / ops.maximum(norm, self.clipnorm))
            for g, norm in zip(gradients, norms, strict=True)
        ]


class Schedule(Part):
    """The course of the learning rate over the training."""

    @property
    @abstractmethod
    def peak(self) -> float:
        """The largest rate."""

    @abstractmethod
    def relative(self, step: np.ndarray, total: int) -> np.ndarray:
        """Rate at these steps of `total`, divided by the peak: `(step,)`."""


@part("schedule", "constant", example="5e-4")
class Constant(Schedule):
    """The same rate at every step; a bare number means this."""

    learning_rate: PositiveFloat = Field(description="The rate.")

    @property
    def peak(self) -> float:
        """The rate."""
        return self.learning_rate

    def relative(self, step: np.ndarray, total: int) -> np.ndarray:  # noqa: ARG002  # the contract
        """Ones: the rate is constant."""
        return np.ones(len(step))


def _half_cosine(progress: np.ndarray, last: float) -> np.ndarray:
    return last + (1 - last) * 0.5 * (1 + np.cos(np.pi * np.clip(progress, 0, 1)))


@part(
    "schedule", "cosine_decay", example="cosine_decay: {initial_learning_rate: 5e-4, alpha: 1e-6}"
)
class CosineDecay(Schedule):
    """From the first step on down along half a cosine (Loshchilov & Hutter 2017, arXiv:1608.03983).

    At step t of T the rate is initial (alpha + (1 − alpha) (1 + cos π t / T) / 2).
    """

    initial_learning_rate: PositiveFloat = Field(description="The first rate.")
    alpha: float = Field(0.0, ge=0, le=1, description="The last rate, as a share of the first.")

    @property
    def peak(self) -> float:
        """The first rate."""
        return self.initial_learning_rate

    def relative(self, step: np.ndarray, total: int) -> np.ndarray:
        """Half a cosine from 1 to alpha."""
        return _half_cosine(step / total, self.alpha)


@part("schedule", "warmup_cosine", example="warmup_cosine: {peak_learning_rate: 1e-3}")
class WarmupCosine(Schedule):
    """A linear rise to the peak, then down along half a cosine: our default.

    Most of the gain comes in the last third of the decay, which has to reach almost zero; the rise
    keeps the first steps, before Adam knows the gradients' scale, safe. At a peak of 2e-3 the mean
    KL from the exact posteriors is 0.015 on `specs/regression.yaml` and 0.046 on
    `specs/conjugate.yaml`; 5e-3 gives 0.015 on the first and diverges on the second.
    """

    peak_learning_rate: PositiveFloat = Field(2e-3, description="The largest rate.")
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps that the rise takes.")
    alpha: float = Field(1e-3, ge=0, le=1, description="The last rate, as a share of the largest.")

    @property
    def peak(self) -> float:
        """The largest rate."""
        return self.peak_learning_rate

    def relative(self, step: np.ndarray, total: int) -> np.ndarray:
        """A rise to 1, then half a cosine to alpha."""
        rise = self.warmup * total
        decay = _half_cosine((step - rise) / (total - rise), self.alpha)
        return np.where(step < rise, (step + 1) / max(rise, 1.0), decay)


class Callback(Part):
    """Something that watches the training and may act on it.

    Attributes:
        state: Attributes of the Keras callback that change while it watches: numbers, or lists of
            arrays. A training that is resumed restores them.
    """

    state: ClassVar[tuple[str, ...]] = ()

    monitor: str = Field("val_loss", description="The column of history.csv that it watches.")

    @abstractmethod
    def build(self) -> keras.callbacks.Callback:
        """The Keras callback."""

    def extended(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The callback's state at the end of a training, made ready for more epochs."""
        return dict(attributes)


@part("callback", "early_stopping", example="early_stopping: {patience: 5}")
class EarlyStopping(Callback):
    """Stop when the monitored loss has stopped improving; keep the best weights."""

    state = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    min_delta: NonNegativeFloat = Field(0.0, description="What counts as an improvement.")
    patience: NonNegativeInt = Field(5, description="Epochs to wait for one.")
    restore_best_weights: bool = Field(True, description="Whether to go back to the best epoch.")

    def build(self) -> keras.callbacks.Callback:
        """The Keras callback."""
        import keras

        return keras.callbacks.EarlyStopping(mode="min", **self.model_dump())

    def extended(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The state with the best weights kept, and new patience."""
        return {**attributes, "wait": 0, "stopped_epoch": 0}


@part(
    "callback", "reduce_lr_on_plateau", example="reduce_lr_on_plateau: {factor: 0.5, patience: 3}"
)
class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when the monitored loss stops improving."""

    state = ("wait", "best", "cooldown_counter")

    factor: float = Field(0.5, gt=0, lt=1, description="What the rate is multiplied by.")
    patience: PositiveInt = Field(3, description="Epochs without improvement.")
    min_delta: NonNegativeFloat = Field(1e-4, description="What counts as an improvement.")
    cooldown: NonNegativeInt = Field(0, description="Epochs to wait after a reduction.")
    min_lr: NonNegativeFloat = Field(0.0, description="The lowest rate.")

    def build(self) -> keras.callbacks.Callback:
        """The Keras callback."""
        import keras

        return keras.callbacks.ReduceLROnPlateau(mode="min", **self.model_dump())
