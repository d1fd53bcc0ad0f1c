"""Posteriors in a few figures, on the terminal or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from abi_cli.console.reports import number
from abi_cli.console.terminal import Console

if TYPE_CHECKING:
    from abi_cli.data import Estimates, Summary

_SETS_SHOWN = 20


def show_summary(console: Console, summary: Summary) -> None:
    """Posteriors in a table, one row per data set and scalar."""
    _show_figures(
        console,
        "summary",
        ("mean", "sd", "mcse", "median", "5 %", "95 %"),
        list(summary.rows()),
        datasets=len(summary.labels),
    )


def show_estimates(console: Console, estimates: Estimates) -> None:
    """Point estimates in a table, one row per data set and scalar."""
    rows = [
        (label, element, dict(zip(estimates.names, map(float, values), strict=True)))
        for label, element, values in estimates.rows()
    ]
    _show_figures(console, "estimates", estimates.names, rows, datasets=len(estimates.labels))


def _show_figures(
    console: Console,
    schema: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, str, Mapping[str, float]]],
    *,
    datasets: int,
) -> None:
    """Label, scalar and its figures; of very many data sets the first, but in JSON."""
    if console.json:
        documented = [
            {"dataset": label, "parameter": element, **figures} for label, element, figures in rows
        ]
        console.document(schema, {"rows": documented})
        return
    table = []
    previous = None
    for label, element, figures in rows[: _SETS_SHOWN * (len(rows) // datasets)]:
        table.append(("" if label == previous else label, element, *map(number, figures.values())))
        previous = label
    console.table(("data set", "parameter", *columns), table)
    if datasets > _SETS_SHOWN:
        console.note(f"{_SETS_SHOWN} of {datasets:,} data sets are shown; --json has them all")
