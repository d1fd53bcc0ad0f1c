"""Names of a spec: in files, the same for every command that reads one; for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

from abi_cli.data import Naming
from abi_cli.data.meanings import Missing
from abi_cli.spec import Spec
from abi_cli.variables import Layout


def naming_of(spec: Spec) -> Naming:
    """The names in files, by `data:` and the times of series, for their readers."""
    named = spec.data
    return Naming(
        dataset=named.dataset,
        columns=named.columns,
        categories=named.categories,
        missing=Missing.of(named.missing),
        prepare=named.prepare,
        times=spec.times(),
    )


def titles_of(spec: Spec, layout: Layout) -> dict[str, str]:
    """Name of a parameter's element → its label; those without one are left out."""
    from abi_cli.diagnostics import element_labels  # with much that few commands need

    titles: dict[str, str] = {}
    for variable in layout.of("parameter"):
        section = (spec.parameters or {}).get(variable.name)
        if section is not None and section.labels:
            labels = element_labels(variable.name, variable.event, section.labels)
            titles |= zip(variable.elements(), labels, strict=True)
    return titles


LABELS = "labels"
"""Attribute of titles in files of draws, in formats that take attributes."""


def told_labels(titles: Mapping[str, str]) -> dict[str, str]:
    """The attribute with titles; none where there are none."""
    return {LABELS: json.dumps(titles, ensure_ascii=False)} if titles else {}


def labels_in(provenance: Mapping[str, str]) -> dict[str, str]:
    """The titles in a file of draws; none where it has no such attribute, or a foreign one."""
    try:
        found = json.loads(provenance.get(LABELS, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: title for name, title in found.items() if isinstance(title, str)}
