"""First specs: a template that is written, an abbreviated spec that is written out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from abi_cli import placing
from abi_cli.data.looking import Look, Shown, looked_at
from abi_cli.errors import OutputError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.streams import Purpose
from abi_cli.spec import commented_spec, json_schema
from abi_cli.spec.problems import suggestion
from abi_cli.variables import count
from abi_cli.workflow.first_models import first_model
from abi_cli.workflow.learning.stored import stored_simulations
from abi_cli.workflow.request import completed, read_model

_FEWEST, _MOST = 5, 50
"""Members of a data set where there are no data to decide it."""
_LARGEST_NAME = 40
_WIDEST = 100
SCHEMA = "spec.schema.json"
_TEMPLATES = files("abi_cli.workflow") / "templates"
_USUAL = "means"


@dataclass(frozen=True)
class Started:
    """Files that `init` wrote.

    Arguments:
        spec: The spec among the `files`.
        columns: The observables taken from a table, or those of the usual template.
        drawn: What they are drawn from, in words.
        datasets: How many data sets the table holds; None without one.
        sizes: The fewest and the most members that the model draws.
        template: What it began with.
        given: Columns that come with the data.
        label: The column that names the data sets, if there is one.
        time: The column of dates that steps of series are put in order by, if there is one.
        names: Columns of names, which were left out.
        lacking: Columns that were left out because they lack values.
    """

    spec: Path
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    drawn: str
    datasets: int | None
    sizes: tuple[int, int]
    template: str
    given: tuple[str, ...] = ()
    label: str | None = None
    time: str | None = None
    names: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def init(
    folder: Path,
    *,
    table: Path | None = None,
    outcome: str | None = None,
    template: str = _USUAL,
    force: bool = False,
) -> Started:
    """Write a commented spec and model that train as they are: a place to begin.

    Arguments:
        folder: Is made where it isn't there; its name becomes the model's.
        table: CSV or TSV whose columns become the observables of the template `means`, each from a
            distribution of its kind: names and scale, and the sizes of its data sets, are taken
            over.
        outcome: The column of it that is regressed on the others.
        template: One of `templates()`.

    Errors:
        DataError: The table can't be read, or a column's name can't be a variable's.
        OutputError: A file is there already and `force` is off.
    """
    from jinja2 import Environment, StrictUndefined

    if template not in templates():
        raise UsageError(
            f"Expected a template; got {template!r}",
            hint=suggestion(template, templates(), title="Templates"),
        )
    if table is not None and template != _USUAL:
        raise UsageError(
            f"Expected --from or --template {template}; got both",
            hint=f"From a table the template {_USUAL} is filled in.",
        )
    if outcome is not None and table is None:
        raise UsageError(
            f"Expected --from FILE with --outcome {outcome}",
            hint="The outcome is one of its columns; the others come with the data.",
        )
    name = re.sub(r"\W", "_", folder.resolve().name)[:_LARGEST_NAME]
    if not re.match(r"[^\W\d]", name):
        raise UsageError(
            f"Expected a folder whose name can be a model's; got {folder.resolve().name!r}",
            hint="Let it begin with a letter.",
        )
    seen = Look(None, None, (Shown("x", 0.0, 1.0),), (), (_FEWEST, _MOST), 1)
    if table is not None:
        seen = looked_at(table, outcome=outcome)
    environment = Environment(  # noqa: S701  # what it makes is no HTML
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["signature"] = _signature
    environment.filters["quoted"] = partial(json.dumps, ensure_ascii=False)
    model = first_model(seen, outcome=outcome is not None)
    values = {"name": name, "seen": seen, "model": model}
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
        columns=tuple(column.name for column in seen.drawn) if template == _USUAL else (),
        drawn=model.said,
        datasets=None if table is None else seen.datasets,
        sizes=seen.sizes,
        template=template,
        given=tuple(column.name for column in seen.given),
        label=seen.label,
        time=seen.time,
        names=seen.names,
        lacking=seen.lacking,
    )


def _signature(name: str, arguments: Sequence[str]) -> str:
    """The first line of a function, or three where it is too long for one."""
    taken = ", ".join(arguments)
    line = f"def {name}({taken}):"
    return line if len(line) <= _WIDEST else f"def {name}(\n    {taken},\n):"


def templates() -> tuple[str, ...]:
    """The names of what `init` can begin with."""
    return tuple(sorted(entry.name for entry in _TEMPLATES.iterdir() if entry.is_dir()))


def schema() -> str:
    """The JSON Schema of specs, as text."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def fill(
    source: Path,
    *,
    data: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    listener: Listener = SILENT,
) -> str:
    """The complete spec: every default and what is derived, with a comment on each field.

    Where something is to be derived, a few data sets are simulated, which executes the user's
    functions.

    Arguments:
        data: Stored simulations, to derive it from instead.

    Errors:
        SpecError, DataError, UserFunctionError: As they say.
    """
    model = read_model(source, overrides=overrides)
    written = (
        model.spec.adapter is not None and "statistics" in model.spec.networks.model_fields_set
    )
    if not written and (model.spec.adapter is None or model.simulator is not None):
        seed = model.spec.seed if seed is None else seed
        stored = None
        if data is not None:
            stored = stored_simulations(data, model, seed=seed, listener=listener)
            rows = stored
        else:
            simulator = model.need_simulator()
            stop = max(64, 4 * simulator.unit)
            rows = simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=stop)
        prior = model.prior(model.layout(rows), seed=seed, stored=stored)
        number = None if stored is None else count(stored)
        model = completed(model, rows, prior, stored=number)
    return commented_spec(model.spec)
