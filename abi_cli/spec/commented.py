"""YAML of a `Spec` that explains itself: every field is there, with a comment on its use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from abi_cli.registry import Part
from abi_cli.spec.dump import one_line
from abi_cli.spec.schema import Spec

WIDEST = 100
"""Columns that a line with its comment may have; longer comments stand above their line."""


def commented_spec(spec: Spec) -> str:
    """The spec as YAML with every default spelled out and a comment on each field.

    Reading it back gives an equal spec: `parse_spec(commented_spec(spec), …) == spec`.
    """
    return "\n".join(_fields(spec, "")) + "\n"


def _fields(model: BaseModel, indent: str) -> Iterator[str]:
    """The fields of a section, or the options of a part."""
    for name, field in type(model).model_fields.items():
        if field.exclude:  # an abbreviation, which the fields beside it spell out
            continue
        yield from _entry(
            f"{indent}{field.alias or name}:", getattr(model, name), field.description or ""
        )


def _entry(key: str, value: Any, comment: str) -> Iterator[str]:
    """A key with its value, which may go on over several lines.

    Arguments:
        key: With its indent and colon.
    """
    below = " " * (len(key) - len(key.lstrip()) + 2)
    if isinstance(value, Part):
        yield from _remark(key, comment)
        yield from _part(below, value)
    elif isinstance(value, BaseModel):
        yield from _remark(key, comment)
        yield from _fields(value, below)
    elif isinstance(value, Mapping) and value:
        yield from _remark(key, comment)
        for name, item in value.items():
            if isinstance(item, Part):
                yield f"{below}{one_line(name)}:"
                yield from _part(f"{below}  ", item)
            else:
                yield f"{below}{one_line(name)}: {one_line(_plain(item))}"
    elif isinstance(value, tuple) and value and isinstance(value[0], Part):
        yield from _remark(key, comment)
        for item in value:
            yield from _part(f"{below}- ", item)
    else:
        yield from _remark(f"{key} {one_line(_plain(value))}", comment)


def _part(lead: str, part: Part) -> Iterator[str]:
    """A named part, after `lead`: the indent, with a dash in a list."""
    summary = (type(part).__doc__ or "").strip().splitlines()[0]
    if not type(part).model_fields:
        yield from _remark(f"{lead}{part.name}: {{}}", summary)
        return
    yield from _remark(f"{lead}{part.name}:", summary)
    yield from _fields(part, " " * (len(lead) + 2))


def _plain(value: Any) -> Any:
    """A value as plain JSON values."""
    if isinstance(value, Part):
        return value.to_config()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _remark(line: str, comment: str) -> Iterator[str]:
    """The line with its comment behind it or, where that is too long, above."""
    if not comment:
        yield line
    elif len(line) + len(comment) + 4 <= WIDEST:
        yield f"{line}  # {comment}"
    else:
        indent = line[: len(line) - len(line.lstrip(" "))]
        yield f"{indent}# {comment}"
        yield line
