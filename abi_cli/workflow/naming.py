"""Names of a spec: in files, the same for every command that reads one; for people."""

from __future__ import annotations

import json
from collections.abc import Mapping

from abi_cli.data import Naming
from abi_cli.data.meanings import Missing
from abi_cli.spec import Spec
from abi_cli.variables import Layout


def naming_of(spec: Spec) -> Naming:
    """What `data:` and the times of series say, for the readers of files."""
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
"""What files of draws have titles under, in formats that take such attributes."""


def told_labels(titles: Mapping[str, str]) -> dict[str, str]:
    """The attribute with titles; none where there are none."""
    return {LABELS: json.dumps(titles, ensure_ascii=False)} if titles else {}


def labels_in(provenance: Mapping[str, str]) -> dict[str, str]:
    """The titles that a file of draws has: none where it has no such attribute, or another's."""
    try:
        found = json.loads(provenance.get(LABELS, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: title for name, title in found.items() if isinstance(title, str)}
