"""Judging draws of any tool against the values that the data were simulated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from abi_cli.data import Asked, Loaded, read_described, read_shapes
from abi_cli.data.chains import Independent, read_independent
from abi_cli.diagnostics import Inputs, Provenance
from abi_cli.diagnostics import diagnose as measure
from abi_cli.errors import DataError
from abi_cli.listener import SILENT, Listener
from abi_cli.placing import replacing
from abi_cli.variables import Datasets, Ragged, array_of, take
from abi_cli.workflow.diagnosing import Diagnosis
from abi_cli.workflow.request import USUAL_PLACE, Target

ENOUGH = 100
"""Fewest effective draws of each data set for a verdict."""


def judge(
    draws: Sequence[Path],
    truth: Path,
    *,
    data: Path | None = None,
    seed: int = 1,
    shown: str | None = None,
    pdf: bool = False,
    target: Target = USUAL_PLACE,
    listener: Listener = SILENT,
) -> Diagnosis:
    """Rank true values among draws, whatever made these.

    Arguments:
        draws: One file with a posterior for each data set, or several.
        truth: A table with each data set's name under `dataset`, and the parameters.
        data: The data sets, in any format and of any model; may be the same file.
        seed: Seed of the randomization within ties.
        shown: Name of the data set whose posterior is shown; the first one by default.
        pdf: Write figures as PDF, too.
        target: A folder; by default STEM-diagnostics, named after the first file of draws.

    Errors:
        DataError: A file can't be read, or they don't fit together.
        OutputError: The folder is taken, or can't be written.
    """
    place = target.path or Path(f"{draws[0].stem}-diagnostics")
    replace(target, path=place).claim()
    read = read_independent(draws, seed=seed)
    labels = read.draws.labels
    if shown is not None and shown not in labels:
        raise DataError(f"Expected --show to name a data set; got {shown!r}", place=str(draws[0]))
    truths = _truths(truth, read, listener)
    known = {} if data is None else _data(data, read, truths)
    notes = []
    if not known:
        notes.append(
            "Nothing is known of the data here, so that posteriors which ignore them, such as the "
            "prior, can't be told from right ones: --data FILE shows them."
        )
    if read.how:
        notes.append(f"Draws were {read.how}, as many as those of data set {read.worst} are worth.")
    unsure = None
    if read.effective < ENOUGH:
        unsure = (
            f"Draws of data set {read.worst} are worth {read.effective} independent ones: with "
            f"fewer than {ENOUGH} nothing can be told. Run its chains longer, or leave it out."
        )
    with replacing(place) as folder:
        metrics = measure(
            Inputs(
                estimates={name: read.draws.values[name] for name in truths},
                truths=truths,
                prior=truths,
                data=known,
                context={
                    f"members of {name}": value.row_size
                    for name, value in known.items()
                    if isinstance(value, Ragged)
                },
                shown=0 if shown is None else labels.index(shown),
                shown_label=shown or labels[0],
                seed=seed,
                notes=notes,
                unsure=unsure,
                source=Provenance(
                    f"Posteriors of {draws[0].name}",
                    facts={
                        "draws": ", ".join(map(str, draws)),
                        "true values": str(truth),
                        **({} if data is None else {"data": str(data)}),
                        "draws of each data set": f"{read.made:,}",
                        "seed of diagnosis": str(seed),
                    },
                ),
            ),
            folder,
            listener=listener,
            pdf=pdf,
        )
    return Diagnosis(metrics, place)


def _truths(file: Path, read: Independent, listener: Listener) -> dict[str, np.ndarray]:
    """Parameter → true values `(dataset, *event)`, in the order of the draws."""
    labels = read.draws.labels
    there = read_shapes(file, Asked())
    named = [name for name in read.draws.values if name in there]
    if not named:
        raise DataError(
            f"expected true values of {', '.join(read.draws.values)}; got {', '.join(there)}",
            place=str(file),
        )
    for name in read.draws.values:
        if name not in there:
            listener.note(f"{name} is left out: {file} has no true values of it")
    values = _in_order(read_described(file, once=named, alone=True), labels, file)
    truths = {}
    for name in named:
        value, shape = array_of(values[name]), read.draws.values[name].shape[2:]
        if value.shape[1:] != shape:
            raise DataError(
                f"expected true values of {name} of shape {shape}, as its draws have; "
                f"got {value.shape[1:]}",
                place=str(file),
            )
        truths[name] = value
    return truths


def _data(file: Path, read: Independent, truths: Mapping[str, np.ndarray]) -> Datasets:
    """Values of the data sets besides their parameters, in the order of the draws."""
    values = _in_order(read_described(file, once=tuple(truths)), read.draws.labels, file)
    known = {name: value for name, value in values.items() if name not in read.draws.values}
    if not known:
        raise DataError(
            "expected data; got nothing but parameters",
            place=str(file),
            hint="Give what the posteriors were conditioned on, or leave --data out.",
        )
    return known


def _in_order(loaded: Loaded, labels: Sequence[str], file: Path) -> Datasets:
    """Values of the data sets `labels`, which must be all that the file has.

    Errors:
        DataError: Some are not there, or there are others.
    """
    position = {label: at for at, label in enumerate(loaded.labels)}
    expected = f"expected the {len(labels)} data sets of the draws"
    if absent := [label for label in labels if label not in position]:
        raise DataError(f"{expected}; got none called {absent[0]}", place=str(file))
    if strange := sorted(position.keys() - set(labels)):
        raise DataError(f"{expected}; got {strange[0]}, too", place=str(file))
    return take(loaded.datasets, np.array([position[label] for label in labels]))
