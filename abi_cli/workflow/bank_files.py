"""The model and code that the rows of a bank follow from, as files that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from abi_cli.bank.records import MODEL
from abi_cli.spec import Source, dump_spec
from abi_cli.spec.dump import one_line
from abi_cli.spec.reader import read_document
from abi_cli.workflow.copies import Copies
from abi_cli.workflow.request import Model

_DRAWING = ("meta", "given", "prior", "likelihood")
"""Fields of a spec's model that decide the rows."""


def files_of(model: Model, seed: int, context: Mapping[str, float]) -> dict[str, bytes]:
    """The text of model.yaml and the code, by their names in a bank.

    Arguments:
        context: Context variables that are held fixed, and at what.
    """
    copies = Copies.of(model)
    said = {
        "seed": seed,
        "context": dict(context),
        "rows drawn together": model.need_simulator().unit,
        "model": _section(model, copies),
        "sets and series": sorted(model.spec.ragged()),
        "series": sorted(model.spec.series()),
        "missing": dict(model.spec.missing),
    }
    return {MODEL: "".join(_lines(said)).encode(), **copies.contents()}


def _section(model: Model, copies: Copies) -> dict[str, Any]:
    """The fields of `model:` that say how variables are drawn, by the names of the copies."""
    section = model.spec.model
    moved = model.spec.model_copy(update={"model": section and copies.section(section)})
    tree: Any = read_document(Source(MODEL, dump_spec(moved))).tree
    return {name: tree["model"][name] for name in _DRAWING}


def _lines(said: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Lines, one for each thing that may differ."""
    for name, value in said.items():
        if isinstance(value, Mapping) and len(value) > 1 and len(indent) < 4:
            yield f"{indent}{name}:\n"
            yield from _lines(value, f"{indent}  ")
        else:
            plain = list(value) if isinstance(value, tuple) else value
            yield f"{indent}{name}: {one_line(plain)}\n"
