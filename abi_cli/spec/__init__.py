"""The spec: YAML in, one checked and frozen value out, and back.

    text → Document (tree with places) → overrides → references → canonical form → Spec

Whatever is wrong on that way is an `InvalidSpecError` that lists every problem with its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from abi_cli.errors import SpecError
from abi_cli.spec.commented import commented_spec
from abi_cli.spec.dump import dump_spec
from abi_cli.spec.durations import seconds
from abi_cli.spec.fields import RESERVED_NAMES, is_module_reference, refuse_variable_name
from abi_cli.spec.json_schema import json_schema
from abi_cli.spec.model_section import DesignSection, ModelSection
from abi_cli.spec.noise_section import NoiseSection
from abi_cli.spec.overrides import override
from abi_cli.spec.problems import Code, InvalidSpecError, Position, Problem, Source, nearest
from abi_cli.spec.reader import Document, read_document
from abi_cli.spec.references import resolved
from abi_cli.spec.schema import (
    DataSection,
    DiagnosticsSection,
    NetworksSection,
    ObservableSection,
    ParameterSection,
    Spec,
    TrainingSection,
)
from abi_cli.spec.section import Section
from abi_cli.spec.shorthand import PartOf
from abi_cli.spec.validate import validate

__all__ = [
    "RESERVED_NAMES",
    "Code",
    "DataSection",
    "DesignSection",
    "DiagnosticsSection",
    "Document",
    "InvalidSpecError",
    "ModelSection",
    "NetworksSection",
    "NoiseSection",
    "ObservableSection",
    "ParameterSection",
    "PartOf",
    "Position",
    "Problem",
    "Section",
    "Source",
    "Spec",
    "TrainingSection",
    "commented_spec",
    "dump_spec",
    "json_schema",
    "nearest",
    "parse_document",
    "parse_spec",
    "read_source",
    "read_spec",
    "refuse_variable_name",
    "seconds",
    "validate",
]

LARGEST = 200_000
"""Bytes of a spec; what is larger is a data file given by mistake, slow to read as YAML."""


def read_spec(
    path: Path, *, overrides: Sequence[str] = (), load: Callable[[str], object] | None = None
) -> Spec:
    """Read a spec from a file.

    Arguments:
        path: The file; `-` is standard input.
        overrides: Such as `training.epochs=5`, applied in order.
        load: As in `parse_document`.

    Errors:
        SpecError: There is no such file, or it is no text.
        InvalidSpecError: With every problem of the file and the overrides.
    """
    source = read_source(path)
    return parse_document(source.text, source=source.name, overrides=overrides, load=load)[0]


def read_source(path: Path) -> Source:
    """The text of a spec as it was written, with the name that problems call it by.

    Errors:
        SpecError: There is no such file, or it is no text.
    """
    name = "<standard input>" if path == Path("-") else str(path)
    try:
        content = sys.stdin.buffer.read(LARGEST + 1) if path == Path("-") else _head(path)
    except FileNotFoundError:
        raise SpecError("there is no such file", place=name, hint=_neighbour(path)) from None
    except OSError as error:
        message = f"can't be read: {error.strerror}"
        raise SpecError(message, place=name, hint=_neighbour(path)) from None
    if len(content) > LARGEST:
        raise SpecError(
            f"Expected a spec; got more than {LARGEST // 1000} kB",
            place=name,
            hint="Is it a data file?",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"Expected UTF-8 text; got the byte 0x{content[error.start]:02x} on line {line}",
            place=name,
            hint="Is it a YAML file? If so, save it as UTF-8",
        ) from None
    return Source(name, text)


def parse_spec(text: str, *, source: str = "spec", overrides: Sequence[str] = ()) -> Spec:
    """Make a spec of YAML text; see `parse_document`."""
    return parse_document(text, source=source, overrides=overrides)[0]


def parse_document(
    text: str,
    *,
    source: str = "spec",
    overrides: Sequence[str] = (),
    load: Callable[[str], object] | None = None,
) -> tuple[Spec, Document]:
    """Make a spec of YAML text, and a document that knows where each value of it was written.

    Arguments:
        text: The YAML.
        source: What problems call it: the name of the file that it was read from.
        overrides: Such as `training.epochs=5`, applied in order.
        load: Defines the parts of a module that the spec uses; without it such a spec is refused.

    Errors:
        InvalidSpecError: With every problem of the text and the overrides.
    """
    document = read_document(Source(source, text))
    for argument in overrides:
        document = override(document, argument)
    document = resolved(document)
    used = document.root.child("use")
    for number, node in enumerate(used.value if used and isinstance(used.value, tuple) else ()):
        if not isinstance(node.value, str) or not is_module_reference(node.value):
            continue  # to be refused
        if load is not None:
            load(node.value)
        else:
            problem = Problem(
                ("use", number),
                f"this spec defines parts of its own in {node.value}, which is not executed here",
                "Read that file; if you trust it, add --trust-code",
                Code.CODE,
                node.position,
            )
            raise InvalidSpecError([problem], name=document.source.name)
    return validate(document)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST + 1)


def _neighbour(path: Path) -> str | None:
    """The YAML file in the folder (or in the path, if it is one) that looks most like the path."""
    folder = path if path.is_dir() else path.parent
    there = [str(file) for pattern in ("*.yaml", "*.yml") for file in folder.glob(pattern)]
    found = nearest(str(path), there)
    return f"Did you mean {found}?" if found else None
