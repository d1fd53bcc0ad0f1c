"""The peer on the panel: BayesFlow, on the simulations that abi learns from.

    python -m tests.bench.panel_peer quadratic dose
    python -m tests.bench.panel_peer --epochs 2            # a rehearsal
    python -m tests.bench.panel_peer --compare             # only what was measured before

For each model this module writes the simulations that `abi train --seed 1` would see, and the data
sets of `panel_oracle`, as arrays that need no abi to be read; `peer_panel.py` trains on them in the
peer's environment and writes means, sds and log densities of its posteriors; then the same figures
as those of `panel.py` are printed.

Sets and series of unequal size are padded with zeros, with a mask, and √N is told beside them.
Cells that are missing are zero, with a column that says which.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout, Ragged, take
from abi_cli.workflow.request import Model, completed, read_model
from tests.bench.measure import REPOSITORY, environment, find_python, run
from tests.bench.panel import Reference
from tests.bench.panel_models import ASIDE, CHOOSING
from tests.bench.panel_oracle import BOUNDS, SPECS, datasets_of

PEER = Path(__file__).with_name("peer_panel.py")
EPOCH = 128 * 64
"""Simulations of an epoch, as in the defaults."""
PART = 10
"""Epochs of a file."""


def longest_of(name: str) -> int:
    """The largest size that a model's sets or series can have; 0 where all have the same."""
    meta = yaml.safe_load((SPECS / f"{name}.yaml").read_text())["model"].get("meta")
    if meta is None:
        return 0
    (distribution,) = meta.values()
    (options,) = distribution.values()
    return options["high"] - 1


def arrays_of(layout: Layout, rows: Datasets, longest: int) -> dict[str, np.ndarray]:
    """Data sets as the peer takes them.

    Gives each parameter by its name, `(dataset, *event)`; `conditions (dataset, number)`; `members
    (dataset, member, column)`; `mask (dataset, member)`, 1 where there is a member. The last three
    are left out where there is nothing to say.

    Arguments:
        longest: Members to pad to; 0 where all data sets have the same number.
    """
    arrays = {v.name: _columns(rows[v.name]) for v in layout.of("parameter")}
    fixed, columns = [], []
    for variable in layout.of("context", "given", "observable"):
        value = rows[variable.name]
        if not isinstance(value, Ragged):
            numbers = _columns(value)
            fixed.append(np.sqrt(numbers) if variable.length_of else numbers)
            continue
        there = np.arange(longest or value.row_size[0]) < value.row_size[:, None]
        event = value.values.reshape(len(value.values), -1)
        padded = np.zeros((*there.shape, event.shape[1]))
        padded[there] = np.nan_to_num(event, nan=0.0)
        columns.append(padded)
        if variable.missing:
            seen = np.zeros_like(padded)
            seen[there] = np.isfinite(event)
            columns.append(seen)
        if longest:
            arrays["mask"] = there
    if fixed:
        arrays["conditions"] = np.concatenate(fixed, axis=1)
    if columns:
        arrays["members"] = np.concatenate(columns, axis=2)
    return {n: np.asarray(a, np.float32) for n, a in arrays.items()}


def _columns(value: np.ndarray) -> np.ndarray:
    return np.reshape(value, (len(value), -1))


def description_of(model: Model, layout: Layout, epochs: int) -> dict[str, Any]:
    """What the peer has to know besides the arrays."""
    supports = model.need_simulator().supports
    parameters: dict[str, Any] = {}
    for variable in layout.of("parameter"):
        support = supports.get(variable.name)
        if support is not None and support.kind == "simplex":
            parameters[variable.name] = "simplex"
        elif support is not None:
            parameters[variable.name] = (support.lower, support.upper)
        else:
            parameters[variable.name] = BOUNDS.get(variable.name, (None, None))
    ragged = [variable.name for variable in layout.variables if variable.ragged]
    series = not model.spec.series().isdisjoint(ragged)
    return {
        "parameters": parameters,
        "kind": ("series" if series else "set") if ragged else None,
        "steps": epochs * EPOCH // 64,
    }


def write(name: str, folder: Path, *, epochs: int | None = None, jobs: int = 1) -> None:
    """Write `description.json`, `data.npz` and `simulations-*.npz` of a model.

    Arguments:
        epochs: Of training; None for as many as abi's defaults take.
        jobs: Processes that simulate.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, rows = datasets_of(name)
    layout = model.layout(rows)
    if epochs is None:
        pilot = model.need_simulator().simulate(seed=1, purpose=Purpose.PILOT, start=0, stop=1_024)
        epochs = completed(model, pilot).spec.training.epochs
    kept = take(rows, Reference.read(name).row)
    np.savez(folder / "data.npz", **arrays_of(layout, kept, longest_of(name)))
    text = json.dumps(description_of(model, layout, epochs))
    (folder / "description.json").write_text(text)
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(partial(_write_part, name, folder, epochs), range(0, epochs, PART)))


def _write_part(name: str, folder: Path, epochs: int, first: int) -> None:
    model = read_model(SPECS / f"{name}.yaml")
    simulator = model.need_simulator()
    start, stop = first * EPOCH, min(first + PART, epochs) * EPOCH
    rows = simulator.simulate(seed=1, purpose=Purpose.TRAIN, start=start, stop=stop)
    arrays = arrays_of(model.layout(rows), rows, longest_of(name))
    np.savez(folder / f"simulations-{first:04}.npz", **arrays)


def compare(name: str, folder: Path) -> list[str]:
    """Cells of a row, of what `peer_panel.py` has written."""
    reference = Reference.read(name)
    with np.load(folder / "posteriors.npz") as found:
        error = (found["mean"] - reference.mean) / reference.sd
        close = reference.closeness(error, found["sd"] / reference.sd, found["log_q"])
        return [f"{int(found['steps']) * 64:,}", *close.cells()]


HEADER = (
    "| model | simulations | KL per parameter | err, median | err, 90 % | sd ratio | 5 to 95 % "
    "| held |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)


def main() -> None:
    """Print a row for each model, as each is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=[*CHOOSING, *ASIDE])
    parser.add_argument("--epochs", type=int, help="as abi's defaults have it, if not given")
    parser.add_argument("--jobs", type=int, default=1, help="processes that simulate")
    parser.add_argument("--compare", action="store_true", help="only what was measured before")
    parser.add_argument("--runs", type=Path, default=REPOSITORY / "build" / "panel-peer")
    options = parser.parse_args()
    if not options.compare:
        found = find_python((3, 12))
        if found is None:
            sys.exit("BayesFlow 2.1 needs Python 3.12 or 3.13, which is not there; install one")
        python = environment(REPOSITORY / ".venv-peer-jax", found, ["bayesflow==2.1.*", "jax"])
    print(HEADER, flush=True)
    for name in options.models:
        folder = options.runs / name
        if not options.compare:
            shutil.rmtree(folder, ignore_errors=True)
            write(name, folder, epochs=options.epochs, jobs=options.jobs)
            run([python, PEER, folder], env={"KERAS_BACKEND": "jax"})
            for file in folder.glob("simulations-*.npz"):
                file.unlink()
        print("|", " | ".join([name, *compare(name, folder)]), "|", flush=True)


if __name__ == "__main__":
    main()
