"""The length of a training whose spec doesn't say it."""

from __future__ import annotations

from collections.abc import Collection

from abi_cli import registry
from abi_cli.spec import TrainingSection
from abi_cli.training.fitting import divided
from abi_cli.variables import Datasets, Ragged, count

SMALL = 100
"""Numbers of a data set, on average, up to which it is small."""

EPOCHS_OF_SMALL = 200
"""Epochs for small data sets, whose steps are so fast that twice as many are affordable: the KL per
parameter of `psychometric` fell from 0.056 to 0.042 nats, and its training took 2 minutes instead
of 1; that of `dose` fell from 0.050 to 0.033 by three times as many."""

LARGE = 500
"""Numbers of a data set, on average, beyond which it is large."""

EPOCHS_OF_LARGE = 50
"""Epochs for large data sets, whose steps are so slow that half as many must do: `mixture`, of
1,000 numbers, was level after 50 and had a KL per parameter of 0.02 nats."""


def derived_training(
    section: TrainingSection, rows: Datasets, names: Collection[str]
) -> TrainingSection:
    """The section with the number of epochs, where the spec leaves it out.

    Arguments:
        rows: Data sets.
        names: Variables that networks read.
    """
    numbers = sum(_numbers(rows, name) for name in names)
    if "epochs" in section.model_fields_set or SMALL < numbers <= LARGE:
        return section
    epochs = EPOCHS_OF_SMALL if numbers <= SMALL else EPOCHS_OF_LARGE
    return section.model_copy(update={"epochs": epochs})


FEWEST_BATCHES = 4
"""Batches of an epoch that few stored simulations are divided into, at least."""


def fitting_few(section: TrainingSection, stored: int) -> TrainingSection:
    """The section with batches of a size that stored simulations fill, where it leaves that out.

    Arguments:
        stored: Their number. Too few to fill four batches of one are left to be refused.
    """
    learned, size = divided(stored)[0], section.batch_size
    if "batch_size" in section.model_fields_set or learned < FEWEST_BATCHES:
        return section
    while learned < FEWEST_BATCHES * size:
        size //= 2
    return (
        section if size == section.batch_size else section.model_copy(update={"batch_size": size})
    )


PATIENCE = 5
"""Divisor of the epochs that gives the patience with stored simulations, at least `LEAST_PATIENCE`:
the loss on those held out may rise for a while before the learning rate has fallen."""

LEAST_PATIENCE = 10


def stopping_in_time(section: TrainingSection) -> TrainingSection:
    """The section of a training from stored simulations, which keeps the best weights.

    What the spec says under `callbacks:` goes before that.
    """
    if "callbacks" in section.model_fields_set:
        return section
    patience = max(LEAST_PATIENCE, section.epochs // PATIENCE)
    stopping = registry.get("callback", "early_stopping").model_validate({"patience": patience})
    return section.model_copy(update={"callbacks": (stopping,)})


def _numbers(rows: Datasets, name: str) -> float:
    """Number of numbers of a variable in a data set, on average."""
    value = rows[name]
    size = value.values.size if isinstance(value, Ragged) else value.size
    return size / count(rows)
