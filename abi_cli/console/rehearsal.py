"""A rehearsal on the screen: files executed, variables, the way to the networks, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from abi_cli.console.terminal import Console
from abi_cli.digits import duration, number, plural

if TYPE_CHECKING:
    from abi_cli.workflow import Check
    from abi_cli.workflow.checking.observing import Observed
    from abi_cli.workflow.checking.rehearsing import View
    from abi_cli.workflow.checking.trying import Built

_NUMBERS = ("mean", "sd", "min", "max")

_MOST_ELEMENTS = 12
"""Elements of a variable that a table shows one by one; of more, the `_FIRST_ELEMENTS`."""

_FIRST_ELEMENTS = 4


def _cells(view: View) -> tuple[str, ...]:
    return tuple(map(number, _figures(view)))


def _rows(views: Sequence[View], roles: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Rows of a table of elements; of a long variable its first ones and what the others span."""
    rows: list[tuple[str, ...]] = []
    for variable, group in groupby(views, lambda view: view.name.partition("[")[0]):
        elements = list(group)
        shown = len(elements) if len(elements) <= _MOST_ELEMENTS else _FIRST_ELEMENTS
        rows += [(view.name, roles[view.name], *_cells(view)) for view in elements[:shown]]
        if rest := elements[shown:]:
            spans = (
                (min(column), max(column)) for column in zip(*map(_figures, rest), strict=True)
            )
            spanned = [f"{number(low)} to {number(high)}" for low, high in spans]
            rows.append((f"{len(rest):,} more of {variable}", roles[rest[0].name], *spanned))
    return rows


def _figures(view: View) -> tuple[float, ...]:
    return view.mean, view.sd, view.low, view.high


def show_check(console: Console, check: Check) -> None:
    """Show a rehearsal: files executed, variables, their way through the adapter, findings."""
    if console.json:
        found = asdict(check)
        console.document("check", {**found, "layout": check.layout.to_config()})
        return
    console.facts(
        {
            "spec": check.name,
            **({"executed": ", ".join(check.files)} if check.files else {}),
            **check.sources,
            "simulated" if check.data is None else "read": f"{check.rows:,} data sets"
            + (f" of {check.data}" if check.data else "")
            + f" in {duration(check.seconds)}",
        }
    )
    console.heading("\nWhat the model generates")
    roles = {
        element: variable.role + counted(variable.length_of)
        for variable in check.layout.variables
        for element in variable.elements()
    }
    console.table(
        ("variable", "role", *_NUMBERS),
        [
            *_rows(check.ranges, roles),
            *_rows(check.quantities, dict.fromkeys((v.name for v in check.quantities), "quantity")),
        ],
    )
    if check.observed is not None:
        _show_observed(console, check.observed)
    console.heading("\nThe way to the networks")
    rows = []
    for step in check.steps:
        title = step.title
        for view in step.variables:
            gaps = f"{view.missing:.1%}" if view.missing else ""
            rows.append((title, view.name, view.shape, view.dtype, *_cells(view), gaps))
            title = ""
        if step.dropped and not step.variables:
            rows.append((title, f"without {', '.join(step.dropped)}", *[""] * 7))
    columns = ("step", "variable", "shape", "type", *_NUMBERS, "missing")
    shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    console.table(columns[:shown], [row[:shown] for row in rows])
    console.text("")
    if check.built is not None:
        _show_built(console, check.built)
    for finding in check.findings:
        if finding.shown:
            console.text(f"{finding.severity}: {finding.shown}")
            continue
        console.text(f"{finding.severity}: {finding.message}")
        if finding.hint:
            console.text(f"  {finding.hint}")
    if not check.errors:
        console.text(
            f"ok: it {'simulates' if check.data is None else 'reads'}, adapts, does without the "
            "parameters as inference must, and comes back"
        )


def _show_observed(console: Console, observed: Observed) -> None:
    """Show real data beside simulated ones."""
    sets = f"{observed.datasets:,} {plural('data set', observed.datasets)}"
    console.heading(f"\n{sets} in {observed.file}, beside those simulated")
    columns = ("variable", "members", "min", "max", "simulated min", "simulated max", "outside")
    console.table(
        columns,
        [
            (
                one.name,
                one.members,
                *map(number, (one.low, one.high, one.simulated_low, one.simulated_high)),
                f"{one.outside:.1%}",
            )
            for one in observed.elements
        ],
    )


def show_findings(console: Console, check: Check) -> None:
    """Write findings of a rehearsal as editors read them, each `file:line:column: code message`."""
    for finding in check.findings:
        where = f"{finding.place}: {finding.code}" if finding.code else f"{finding.severity}:"
        console.text(f"{where} {finding.message}")


def _show_built(console: Console, built: Built) -> None:
    """Show the networks, and what to expect of training them."""

    def shape(sizes: Sequence[int | None]) -> str:
        return "(" + ", ".join("any" if size is None else str(size) for size in sizes) + ")"

    seconds = built.seconds
    total = seconds["compiling"] + max(seconds["simulating"], seconds["learning"])
    parts = ", ".join(f"{part} {duration(took)}" for part, took in seconds.items())
    console.heading("The networks")
    console.facts(
        {
            **{name: shape(sizes) for name, sizes in built.inputs.items()},
            **{name: f"{count:,} numbers" for name, count in built.weights.items()},
            "training": f"about {duration(total)} on {built.backend} here ({parts})",
            "memory": f"{built.memory / 1e9:.1f} GB",
        }
    )
    console.text("")


def counted(observables: Sequence[str]) -> str:
    """The end of a variable's role that names the observables whose members it counts."""
    return f", counts {', '.join(observables)}" if observables else ""
