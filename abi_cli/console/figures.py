"""Posteriors in a few figures, on the terminal or as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from abi_cli.console.reports import write_text
from abi_cli.console.terminal import Console, document_text
from abi_cli.digits import number
from abi_cli.errors import UsageError
from abi_cli.harmless import cell, shown
from abi_cli.workflow.request import Target

if TYPE_CHECKING:
    from abi_cli.data import Statistics
    from abi_cli.diagnostics.predictive import Check
    from abi_cli.workflow.calibration.calibrating import Checked
    from abi_cli.workflow.opened.refining import Refiner

_SETS_SHOWN = 20


def show_summary(
    console: Console,
    summary: Statistics,
    *,
    format: str | None = None,
    target: Target | None = None,
    refiner: Refiner | None = None,
) -> None:
    """Show posteriors in a table, one row per data set and scalar.

    Arguments:
        format: csv, json, markdown or latex; None for a table for people.
        target: A file for it; None for standard output.
        refiner: What has refined the posteriors, if anything.
    """
    rows = list(summary.rows())
    titled = [(label, _titled(name, summary.titles), own) for label, name, own in rows]
    if format is None and target is not None and target.path is not None:
        format = _BY_EXTENSION.get(target.path.suffix.lower())
        if format is None:
            known = ", ".join(_BY_EXTENSION)
            raise UsageError(
                f"expected one of the extensions {known}; got {target.path.suffix or 'none'!r}",
                place=str(target.path),
                hint="Or say --format csv, json, markdown or latex.",
            )
    if format is None:
        columns = [_title(name) for name in summary.names]
        shown_rows = rows if console.json else titled
        sets = len(summary.labels)
        _show_figures(console, "summary", columns, shown_rows, datasets=sets, refiner=refiner)
        return
    text = _WRITERS[format](summary.names, titled if format in _FOR_PEOPLE else rows)
    where = Target() if target is None else target
    write_text(console, text, where, what=f"{len(rows):,} rows")


_FOR_PEOPLE = ("markdown", "latex")


def _titled(name: str, titles: Mapping[str, str]) -> str:
    """The label of a scalar, with its own name beside that."""
    title = titles.get(name, name)
    return name if title == name else f"{title} ({name})"


_BY_EXTENSION = {".csv": "csv", ".json": "json", ".md": "markdown", ".tex": "latex"}

Row = tuple[str, str, Mapping[str, float]]
"""A label, a scalar's name, and its statistics."""


def _title(name: str) -> str:
    """The title of a statistic for people: `q2.5` is the quantile of 2.5 %."""
    if name.startswith("q"):
        return f"{name[1:]} %"
    share, _, end = name.removeprefix("hdi").partition("_")
    return f"HDI {share} % {end}" if name.startswith("hdi") else name


def _csv(names: Sequence[str], rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["dataset", "parameter", *names])
    writer.writerows(
        [cell(label), cell(element), *map(repr, own.values())] for label, element, own in rows
    )
    return text.getvalue()


def _json(_names: Sequence[str], rows: Sequence[Row]) -> str:
    return document_text("summary", {"rows": _documented(rows)})


def _markdown(names: Sequence[str], rows: Sequence[Row]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_in_markdown, cells)) + " |\n"

    head = line(["data set", "parameter", *map(_title, names)])
    marks = "| --- | --- |" + " ---: |" * len(names) + "\n"
    return head + marks + "".join(line(cells) for cells in _cells(rows))


def _in_markdown(text: str) -> str:
    """The text as Markdown shows it: no HTML, no link, no other cell."""
    marks = {mark: f"\\{mark}" for mark in "\\|`*~"}
    marks |= {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": " "}
    escaped = "".join(marks.get(letter, letter) for letter in shown(text))
    return escaped.replace("](", "]\\(")


def _latex(names: Sequence[str], rows: Sequence[Row]) -> str:
    """A tabular with the rules of the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        # What begins with these would be an option of the line break before it.
        guard = "{}" if cells[0].startswith(("[", "*")) else ""
        return guard + " & ".join(map(_escaped, cells)) + " \\\\\n"

    head = line(["data set", "parameter", *map(_title, names)])
    body = "".join(line(cells) for cells in _cells(rows))
    begin = f"\\begin{{tabular}}{{ll{'r' * len(names)}}}\n\\toprule\n"
    return f"{begin}{head}\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n"


def _escaped(text: str) -> str:
    """The text as LaTeX prints it; a minus sign is one in mathematics."""
    marks = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    marks |= {mark: f"\\{mark}" for mark in "&%$#_{}"} | {"−": "$-$", "\n": " "}
    return "".join(marks.get(letter, letter) for letter in shown(text))


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    return [[label, element, *map(number, own.values())] for label, element, own in rows]


_WRITERS = {"csv": _csv, "json": _json, "markdown": _markdown, "latex": _latex}


def _documented(rows: Sequence[Row], what: str = "parameter") -> list[dict[str, Any]]:
    return [{"dataset": label, what: element, **own} for label, element, own in rows]


def show_estimates(
    console: Console, estimates: Statistics, *, refiner: Refiner | None = None
) -> None:
    """Show point estimates in a table, one row per data set and scalar."""
    rows = [
        (label, element if console.json else _titled(element, estimates.titles), own)
        for label, element, own in estimates.rows()
    ]
    sets = len(estimates.labels)
    _show_figures(console, "estimates", estimates.names, rows, datasets=sets, refiner=refiner)


def show_checks(console: Console, checks: Sequence[Check]) -> None:
    """Show statistics of data and of replicated data, one row per data set and statistic."""
    rows = [
        (
            check.label,
            check.name,
            {
                "observed": check.observed,
                "q5": check.low,
                "median": check.median,
                "q95": check.high,
                "p": check.p,
            },
        )
        for check in checks
    ]
    columns = ("observed", "5 %", "median", "95 %", "p")
    datasets = len({check.label for check in checks})
    _show_figures(console, "predictive", columns, rows, datasets=datasets, what="statistic")


def show_checked(console: Console, checked: Checked) -> None:
    """Show calibrated checks: statistics of data and of replicates, what is usual, and a verdict.

    A table has the usual statistics, and those that are strange, which are marked.
    """
    shown = [c for c in checked.checks if console.json or c.marked or c.name.startswith(_USUAL)]
    if console.json:
        rows = [
            {"dataset": c.label, "statistic": c.name, **_of_check(c), "marked": c.marked}
            for c in shown
        ]
        console.document("predictive", {"rows": rows, "verdict": list(checked.verdict)})
        return
    first = list(dict.fromkeys(check.label for check in shown))[:_SETS_SHOWN]
    table: list[tuple[str, ...]] = []
    previous = None
    for check in shown:
        if check.label in first:
            figures = ["" if v is None else number(v) for v in _of_check(check).values()]
            figures.append("✗" if check.marked else "")
            table.append(("" if check.label == previous else check.label, check.name, *figures))
            previous = check.label
    columns = ("observed", "5 %", "median", "95 %", "p", "calibrated p", "")
    console.table(("data set", "statistic", *columns), table)
    left = len(checked.verdict) - _SETS_SHOWN
    more = [f"and so are {left:,} more; --json has them all"] if left > 0 else []
    console.text("\n".join(["", *checked.verdict[:_SETS_SHOWN], *more]))


_USUAL = ("mean of", "sd of")
"""Beginnings of the names of statistics that a table shows in any case."""


def _of_check(check: Check) -> dict[str, float | None]:
    return {
        "observed": check.observed,
        "q5": check.low,
        "median": check.median,
        "q95": check.high,
        "p": check.p,
        "calibrated": check.calibrated,
    }


def _show_figures(
    console: Console,
    schema: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    datasets: int,
    what: str = "parameter",
    refiner: Refiner | None = None,
) -> None:
    """Show rows of label, scalar and figures; of very many data sets the first, but all in JSON."""
    if console.json:
        more = {} if refiner is None else {"refinement": refiner.documented()}
        console.document(schema, {"rows": _documented(rows, what), **more})
        return
    first = list(dict.fromkeys(label for label, _, _ in rows))[:_SETS_SHOWN]
    table = []
    previous = None
    for label, element, figures in rows:
        if label not in first:
            break
        table.append(("" if label == previous else label, element, *map(number, figures.values())))
        previous = label
    console.table(("data set", what, *columns), table)
    if datasets > _SETS_SHOWN:
        console.note(f"{_SETS_SHOWN} of {datasets:,} data sets are shown; --json has them all")
