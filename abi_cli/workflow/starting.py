"""From nothing to a spec: a first one written, an abbreviated one written out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from abi_cli import placing
from abi_cli.data.files import Source
from abi_cli.data.tables import Table, read_table
from abi_cli.errors import DataError, OutputError, UsageError
from abi_cli.listener import Listener
from abi_cli.model.streams import Purpose
from abi_cli.spec import commented_spec, json_schema, refuse_variable_name
from abi_cli.workflow.request import completed, read_model
from abi_cli.workflow.stored import stored_simulations

_FEWEST, _MOST = 5, 50
"""Members of a data set where no data tell."""
_LARGEST_NAME = 40
SCHEMA = "spec.schema.json"
_TEMPLATES = files("abi_cli.workflow") / "templates"
_USUAL = "means"


@dataclass(frozen=True)
class Started:
    """What `init` wrote.

    Arguments:
        spec: The spec among the `files`.
        columns: The observables taken from a table, or those of the usual template.
        datasets: How many data sets the table holds; None without one.
        sizes: The fewest and the most members that the model draws.
        template: What it began with.
    """

    spec: Path
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    datasets: int | None
    sizes: tuple[int, int]
    template: str


@dataclass(frozen=True)
class _Column:
    """An observable, and the scale of its values in numbers that a person would write."""

    name: str
    centre: float
    spread: float

    @property
    def half(self) -> float:
        """Half of the spread."""
        return self.spread / 2


def init(
    folder: Path, *, table: Path | None = None, template: str = _USUAL, force: bool = False
) -> Started:
    """Write a commented spec and model that train as they are: a place to begin.

    Arguments:
        folder: Is made where it isn't there; its name becomes the model's.
        table: CSV or TSV whose columns become the observables of the template `means`, which takes
            each for normal with unknown mean and sd: their names and scale, and the sizes of its
            data sets, are taken over.
        template: One of `templates()`.

    Errors:
        DataError: The table can't be read, or a column's name can't be a variable's.
        OutputError: A file is there already and `force` is off.
    """
    from jinja2 import Environment, StrictUndefined

    if template not in templates():
        raise UsageError(f"Expected a template ({', '.join(templates())}); got {template!r}")
    if table is not None and template != _USUAL:
        raise UsageError(
            f"Expected --from or --template {template}; got both",
            hint=f"From a table the template {_USUAL} is filled in.",
        )
    name = re.sub(r"\W", "_", folder.resolve().name)[:_LARGEST_NAME]
    if not re.match(r"[^\W\d]", name):
        raise UsageError(
            f"Expected a folder whose name can be a model's; got {folder.resolve().name!r}",
            hint="Let it begin with a letter.",
        )
    columns: tuple[_Column, ...] = (_Column("x", 0.0, 1.0),)
    sizes, datasets = (_FEWEST, _MOST), None
    if table is not None:
        columns, sizes, datasets = _like(table)
    environment = Environment(  # noqa: S701  # what it makes is no HTML
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    values = {"name": name, "columns": columns, "fewest": sizes[0], "most": sizes[1]}
    texts = {
        f"{name}.{kind}": environment.from_string(
            (_TEMPLATES / template / file).read_text(encoding="utf-8")
        ).render(values)
        for kind, file in (("yaml", "spec.yaml.j2"), ("py", "model.py.j2"))
    }
    texts[SCHEMA] = schema()
    with placing.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    places = {folder / file: text for file, text in texts.items()}
    for place in places:
        if place.exists() and not force:
            raise OutputError(
                f"{place} is there already",
                hint=f"Name another folder, or let --force move it to {place.name}.bak.",
            )
    for place, text in places.items():
        with placing.writing(place):
            placing.back_up(place)
        with placing.replacing(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return Started(
        spec=folder / f"{name}.yaml",
        files=tuple(places),
        columns=tuple(column.name for column in columns) if template == _USUAL else (),
        datasets=datasets,
        sizes=sizes,
        template=template,
    )


def templates() -> tuple[str, ...]:
    """The names of what `init` can begin with."""
    return tuple(sorted(entry.name for entry in _TEMPLATES.iterdir() if entry.is_dir()))


def _like(path: Path) -> tuple[tuple[_Column, ...], tuple[int, int], int]:
    """The columns of a table, sizes of data sets that cover its own, and how many it holds."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    table = read_table(Source(path), _all_columns, delimiter=delimiter)
    if not table.columns:
        raise DataError(
            "expected columns of data; got none beside the labels of the data sets",
            place=str(path),
        )
    row_size = np.bincount(table.codes)
    fewest, most = int(row_size.min()), int(row_size.max())
    if fewest == most:  # the next data set will have another size
        fewest, most = (most + 1) // 2, 2 * most
    columns = tuple(_column(name, values, table) for name, values in table.columns.items())
    return columns, (fewest, most), len(row_size)


def _all_columns(header: Sequence[str]) -> Sequence[str]:
    return [name for name in header if name != "dataset"]


def _column(name: str, values: np.ndarray, table: Table) -> _Column:
    reason = refuse_variable_name(name)
    if reason:
        raise DataError(reason, place=f"{table.source}, row 1", hint="Rename the column.")
    mean = values.mean()
    sd = 0.0 if values.min() == values.max() else values.std()  # which rounding may leave off zero
    centre = 0.0 if abs(mean) < 0.01 * sd else _short(mean)
    return _Column(name, centre, _short(sd) or 1.0)


def _short(value: float) -> float:
    """With two digits, as a person would write it."""
    return float(f"{value:.2g}")


def schema() -> str:
    """The JSON Schema of specs, as text."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def fill(
    source: Path,
    *,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    listener: Listener | None = None,
) -> str:
    """The complete spec: every default and what is derived, with a comment on each field.

    Where the adapter is to be derived, a few data sets are simulated, which executes the user's
    functions.

    Arguments:
        data: Stored simulations, to derive it from instead.

    Errors:
        SpecError, DataError, UserFunctionError: As they say.
    """
    model = read_model(source, overrides=overrides)
    if model.spec.adapter is None:
        seed = model.spec.seed if seed is None else seed
        if data is not None:
            rows = stored_simulations(data, model, seed=seed, listener=listener or Listener())
        else:
            simulator = model.need_simulator()
            stop = max(64, 4 * simulator.unit)
            rows = simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=stop)
        model = completed(model, rows)
    return commented_spec(model.spec)
