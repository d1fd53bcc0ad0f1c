"""Banks of simulations on the screen: receipts, lists, faults, and a single row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from abi_cli.console.terminal import Console
from abi_cli.digits import duration, number, weight
from abi_cli.errors import CheckFailed
from abi_cli.harmless import to_type
from abi_cli.variables import Ragged

if TYPE_CHECKING:
    from abi_cli.workflow.banking import Filled
    from abi_cli.workflow.banks import BankLook, Merged, Verified
    from abi_cli.workflow.simulating import Replayed


def show_filled(console: Console, filled: Filled) -> None:
    """Show what a bank has now, or what it would take to fill it."""
    if console.json:
        console.document("bank", asdict(filled) | {"path": str(filled.path)})
        return
    if filled.dry:
        workers = max(filled.workers, 1)
        by = f"{workers} processes" if workers > 1 else "one process"
        console.facts(
            {
                "would make": f"{filled.missing:,} data sets of {', '.join(filled.names)}"
                + (f"; {filled.rows:,} are there" if filled.rows else ""),
                "time": f"about {duration(filled.seconds)} on {by}",
                "size": f"about {weight(filled.bytes)}",
            }
        )
        return
    more = f", {filled.missing:,} are missing" if filled.missing else ""
    console.facts(
        {
            "bank": f"{filled.path} (seed {filled.seed})",
            "made": f"{filled.made:,} data sets of {', '.join(filled.names)} in "
            f"{duration(filled.seconds)}",
            "holds": f"{filled.rows:,} data sets, {weight(filled.bytes)}{more}",
            **_failed(filled.failures, filled.where),
            "next": to_type("abi", "train", "SPEC", "--data", f"{filled.path}/"),
        },
        aside=True,
    )


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _failed(failures: int, where: str) -> dict[str, str]:
    if not failures:
        return {}
    return {
        "failed": f"{failures:,} more draws, which were made again: the prior is cut where they "
        f"fail; {where}"
    }


def show_banks(console: Console, looks: Sequence[BankLook]) -> None:
    """Show what banks hold."""
    if console.json:
        console.document("banks", {"banks": [_document(look) for look in looks]})
        return
    for look in looks:
        record = look.bank.record
        console.facts(
            {
                "bank": f"{look.bank.path} ({record.name}, seed {record.seed}, begun "
                f"{record.created})",
                "holds": f"{look.bank.rows:,} of {record.rows:,} data sets in "
                f"{_several(len(look.bank.pieces), 'shard')}, {weight(look.bytes)}",
                "variables": ", ".join(f"{v.name} ({v.role})" for v in record.layout.variables),
                "versions": ", ".join(f"{name} {text}" for name, text in record.versions.items()),
                "command": " ".join(record.command),
                **_failed(look.failures, look.where),
                **{f"row {failure.row}": failure.message for failure in look.shown},
            }
        )


def _document(look: BankLook) -> dict[str, Any]:
    return {
        "path": str(look.bank.path),
        "name": look.bank.record.name,
        "seed": look.bank.record.seed,
        "asked": look.bank.record.rows,
        "rows": look.bank.rows,
        "shards": len(look.bank.pieces),
        "bytes": look.bytes,
        "missing": [list(span) for span in look.missing],
        "failures": look.failures,
        "where": look.where,
        "shown": [failure.document() for failure in look.shown],
    }


def show_verified(console: Console, verified: Verified) -> None:
    """Show whether a bank is whole.

    Errors:
        CheckFailed: The bank is not whole.
    """
    missing = sum(stop - start for start, stop in verified.missing)
    if console.json:
        console.document("verified", asdict(verified) | {"path": str(verified.path)})
    else:
        console.facts(
            {
                "bank": str(verified.path),
                "whole": f"{verified.rows:,} data sets",
                **({"missing": f"{missing:,} data sets"} if missing else {}),
                **({"damaged": "\n".join(verified.faults)} if verified.faults else {}),
            }
        )
    if verified.faults or missing:
        raise CheckFailed(f"{verified.path} is not whole")


def show_merged(console: Console, merged: Merged) -> None:
    """Show what a merger made."""
    missing = sum(stop - start for start, stop in merged.missing)
    if console.json:
        facts = {"path": str(merged.bank.path), "taken": merged.taken, "rows": merged.bank.rows}
        console.document("merged", facts | {"missing": [list(span) for span in merged.missing]})
        return
    more = f"; {missing:,} are missing" if missing else ""
    console.note(
        f"took {merged.taken:,} data sets into {merged.bank.path}, which has {merged.bank.rows:,} "
        f"of {merged.bank.record.rows:,} now{more}"
    )


def show_replayed(console: Console, replayed: Replayed) -> None:
    """Show the variables of a row."""
    values = {
        name: (value.values if isinstance(value, Ragged) else value[0])
        for name, value in replayed.values.items()
    }
    if console.json:
        plain = {name: value.tolist() for name, value in values.items()}
        console.document("row", {"row": replayed.row, "seed": replayed.seed, "values": plain})
        return
    console.text(f"row {replayed.row} of seed {replayed.seed}")
    console.table(
        ("variable", "role", "shape", "values"),
        [
            (
                v.name,
                v.role,
                str(values[v.name].shape),
                ", ".join(number(float(x)) for x in values[v.name].ravel()[:6])
                + (", …" if values[v.name].size > 6 else ""),
            )
            for v in replayed.layout.variables
        ],
    )
