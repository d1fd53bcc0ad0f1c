"""Results of commands on the screen: a table for people, a document for programs."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from abi_cli.console.rehearsal import counted
from abi_cli.console.terminal import Console
from abi_cli.digits import duration, number
from abi_cli.harmless import cell, to_type
from abi_cli.training.trend import trend

if TYPE_CHECKING:
    from abi_cli.workflow import Description, Receipt, Started, Target
    from abi_cli.workflow.converting import Inspection
    from abi_cli.workflow.opened.reading import Densities
    from abi_cli.workflow.opened.refining import Refiner
    from abi_cli.workflow.simulating import Written


def _failed(failures: int) -> dict[str, str]:
    """The fact that simulations failed, and its meaning; nothing if none did."""
    if not failures:
        return {}
    meaning = "the prior is cut where they fail"
    return {"failed": f"{failures:,} more simulations, drawn again: {meaning}"}


def show_training(console: Console, receipt: Receipt) -> None:
    """Show the receipt of a training: run, weights, time of each part, loss, the next commands."""
    run, seconds = receipt.run, dict(receipt.seconds)
    if console.json:
        console.document(
            "training",
            {
                "run": str(run.path),
                "seed": run.manifest.seed,
                "backend": run.manifest.backend,
                "epochs": len(receipt.history),
                "simulations": receipt.simulations,
                "failures": receipt.failures,
                "weights": receipt.weights,
                "seconds": seconds,
                "last": receipt.history[-1],
            },
        )
        return
    total = seconds.pop("total")
    parts = ", ".join(f"{part} {duration(took)}" for part, took in seconds.items())
    console.facts(
        {
            "run": f"{run.path} (seed {run.manifest.seed}, {run.manifest.backend})",
            "learned": f"{receipt.weights:,} weights from {receipt.simulations:,} simulations",
            **_failed(receipt.failures),
            "time": f"{duration(total)}: {parts}",
            "loss": loss_sentence(receipt.history, receipt.loss_unit),
            **_next(receipt),
        },
        aside=True,
    )


def _next(receipt: Receipt) -> dict[str, str]:
    """The fact that names the commands to type next."""
    path = receipt.run.path
    commands = [
        to_type("abi", "diagnose", path),
        to_type("abi", "sample", path, "DATA.csv", "-o", "draws.csv"),
    ]
    if not receipt.has_draws:
        commands = [to_type("abi", "estimate", path, "DATA.csv", "-o", "estimates.csv")]
    if is_falling(receipt.history):
        epochs = max(10, len(receipt.history) // 2)
        longer = to_type("abi", "train", "--resume", path, "--extend", epochs)
        commands.append(f"{longer}    # the loss still falls")
    return {"next": "\n".join(commands)}


def _epochs(history: Sequence[Mapping[str, float]]) -> str:
    return "1 epoch" if len(history) == 1 else f"{len(history)} epochs"


def is_falling(history: Sequence[Mapping[str, float]]) -> bool:
    """True if a loss still falls at the end, so that longer training would lower it."""
    found = trend([row.get("val_loss", row["loss"]) for row in history])
    return found is not None and found.change < 0


def loss_sentence(history: Sequence[Mapping[str, float]], unit: str) -> str:
    """A sentence on the last loss, and on whether more training would lower it.

    Where there are validation data, their loss says so: that on simulations that are learned from
    again and again falls for ever.
    """
    last = history[-1]
    text = f"{last['loss']:.3f}"
    if "val_loss" in last:
        text += f", {last['val_loss']:.3f} on validation data"
    text = f"{text} {unit}".rstrip()
    found = trend([row.get("val_loss", row["loss"]) for row in history])
    if found is None:
        return f"{text} after {_epochs(history)}"
    return f"{text}, {found} over the last {found.epochs} of {len(history)} epochs"


def show_written(console: Console, written: Written, *, refiner: Refiner | None = None) -> None:
    """Show a receipt for a file, with what has refined the posteriors in it, if anything."""
    if console.json and written.path is not None:
        more = {} if refiner is None else {"refinement": refiner.documented()}
        content = {"path": str(written.path), "what": written.what, "seed": written.seed}
        console.document("written", content | more)
        return
    where = "standard output" if written.path is None else str(written.path)
    seed = "" if written.seed is None else f" (seed {written.seed})"
    console.note(f"wrote {written.what} to {where}{seed} in {duration(written.seconds)}")


def write_text(console: Console, text: str, target: Target, *, what: str) -> None:
    """Write text to a file, with a receipt that calls it `what`, or to standard output."""
    from abi_cli import placing

    if target.path is None:
        sys.stdout.write(text)
    else:
        target.claim()
        placing.write_text(target.path, text)
        console.note(f"wrote {what} to {target.path}")


def show_started(console: Console, started: Started) -> None:
    """Show the files of a first spec, what it was made of, and what to do with it."""
    if console.json:
        console.document(
            "started",
            {
                "spec": str(started.spec),
                "files": [str(file) for file in started.files],
                "columns": list(started.columns),
                "datasets": started.datasets,
                "members": list(started.sizes),
                "given": list(started.given),
                "label": started.label,
                "time": started.time,
                "names": list(started.names),
                "lacking": list(started.lacking),
            },
        )
        return
    fewest, most = started.sizes
    model = f"that of the template {started.template}"
    if started.columns:
        model = f"{started.drawn}; {fewest} to {most} rows a data set"
        model += f"; {', '.join(started.given)} given" if started.given else ""
        model += f"; steps in the order of {started.time}" if started.time else ""
        model += f"; data sets by {started.label}" if started.label else ""
        model += f"; {', '.join(started.names)} left out, as names" if started.names else ""
        lacking = ", ".join(started.lacking)
        model += f"; {lacking} left out, as values are missing" if lacking else ""
    console.facts(
        {
            "wrote": ", ".join(str(file) for file in started.files),
            "model": f"{model}: a place to begin",
            "next": to_type("abi", "check", started.spec),
            "": to_type("abi", "train", started.spec),
        },
        aside=True,
    )


def write_densities(console: Console, densities: Densities, target: Target) -> None:
    """Write one row per value asked about, as CSV or JSON."""
    values = [float(value) for value in densities.log_prob]
    if console.json:
        console.document("log-prob", {"dataset": list(densities.labels), "log_prob": values})
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("dataset", "log_prob"))
    rows.writerows(zip(map(cell, densities.labels), values, strict=True))
    write_text(console, text.getvalue(), target, what=f"{len(values):,} log densities")


def show_run(console: Console, description: Description) -> None:
    """Show what a run folder holds."""
    manifest = description.run.manifest
    if console.json:
        console.document("run", _run_document(description))
        return
    verdict = description.verdict
    console.facts(
        {
            "run": f"{description.run.path} ({manifest.name}, begun {manifest.created})",
            "command": " ".join(manifest.command),
            "seed": str(manifest.seed),
            "versions": ", ".join(f"{name} {text}" for name, text in manifest.versions.items()),
            "trained": f"{_epochs(description.history)} in "
            f"{duration(manifest.timings.get('total', 0.0))}"
            if manifest.trained
            else f"not to its end, {_epochs(description.history)} so far",
            **({"loss": loss_sentence(description.history, "")} if description.history else {}),
            "verdict": f"{verdict['outcome']}: {verdict['sentence']}" if verdict else "none yet",
            **{
                f"accepted {change.when}": f"other {', '.join(change.files)}"
                for change in manifest.accepted
            },
            **({"changed since": ", ".join(description.changed)} if description.changed else {}),
        }
    )
    console.heading("\nVariables, with the range seen in training")
    console.table(
        ("variable", "role", "shape", "min", "max"),
        [
            (
                variable.name,
                variable.role + counted(variable.length_of),
                ("members × " if variable.ragged else "") + str(variable.event),
                "" if variable.low is None else number(variable.low),
                "" if variable.high is None else number(variable.high),
            )
            for variable in description.layout.variables
        ],
    )
    console.heading("\nWhat the adapter learned from the pilot")
    console.table(
        ("step", "what", "values"),
        [
            (state.step, name, _values(values))
            for state in description.adapter
            for name, values in state.values.items()
        ],
    )
    console.heading("\nFiles")
    console.table(
        ("file", "KiB"),
        [(name, f"{size / 1024:.1f}") for name, size in description.files.items()],
    )


def show_file(console: Console, inspection: Inspection) -> None:
    """Show what a file of draws or data holds."""
    if console.json:
        found = asdict(inspection) | {"path": str(inspection.path)}
        console.document("file", found)
        return
    facts = {
        "file": f"{inspection.path} ({inspection.format}, {inspection.size / 1024:,.1f} KiB)",
        "holds": inspection.kind,
    }
    if inspection.datasets:
        facts["data sets"] = f"{inspection.datasets:,}"
    if inspection.draws:
        facts["draws"] = f"{inspection.draws:,} of each"
    if inspection.seed is not None:
        facts["seed"] = str(inspection.seed)
    console.facts(facts | inspection.provenance)
    if inspection.variables:
        console.text("")
        console.table(("variable", "shape"), list(inspection.variables.items()))


def _run_document(description: Description) -> dict[str, Any]:
    return {
        "path": str(description.run.path),
        **asdict(description.run.manifest),
        "layout": description.layout.to_config(),
        "spec": description.spec,
        "adapter": [asdict(state) for state in description.adapter],
        "history": description.history,
        "verdict": description.verdict,
        "files": description.files,
        "changed": list(description.changed),
    }


def _values(values: object) -> str:
    """The list in short."""
    if not isinstance(values, list):
        return str(values)
    shown = [number(value) if isinstance(value, float) else str(value) for value in values[:6]]
    return ", ".join(shown) + (", …" if len(values) > len(shown) else "")
