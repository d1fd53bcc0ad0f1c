"""Overrides: `training.epochs=5`, `adapter.3.standardize.exclude=[N, x]`.

A path of field names, part names and list indices, `=`, and a value as YAML. They are applied to
the canonical tree, in which every part has its name and options, so a path means the same however
the file abbreviates. What they set is checked like the file, with problems that point into the
argument.
"""

from __future__ import annotations

from abi_cli.spec.problems import Code, InvalidSpecError, Path, Position, Problem, Source
from abi_cli.spec.reader import Document, Entry, Node, read_document
from abi_cli.spec.schema import Spec
from abi_cli.spec.shorthand import canonical, describe

OPTION = "-s"
"""Source of problems in overrides: the option that they come with."""


def override(document: Document, argument: str) -> Document:
    """The document with one override applied; one that can't be is added to its problems."""
    key, equals, _ = argument.partition("=")
    source = Source(OPTION, argument)
    words = key.split(".")
    try:
        if not equals or not all(word.strip() for word in words):
            raise _refusal(
                (),
                f"Expected FIELD=VALUE; got {argument!r}",
                "For example training.epochs=5, or adapter.0.as_set.keys=[x, y]",
                Position(source, 1, 1, max(1, len(key))),
            )
        read = read_document(source, start=len(key) + 1)
        value = read.root
        if not value.position.width:  # nothing stands behind the "=": show what is set to it
            value = Node(value.value, Position(source, 1, 1, len(key)))
        root = canonical(document.root, Spec, (), {})
        root = _set(root, (), _steps(words, source), value)
    except InvalidSpecError as error:
        return Document(document.source, document.root, (*document.problems, *error.problems))
    return Document(document.source, root, (*document.problems, *read.problems))


def _refusal(path: Path, message: str, hint: str | None, position: Position) -> InvalidSpecError:
    return InvalidSpecError([Problem(path, message, hint, Code.OVERRIDE, position)], name=OPTION)


def _steps(words: list[str], source: Source) -> list[tuple[str, Position]]:
    """Each word of a dotted path with its place in the argument."""
    steps, column = [], 1
    for word in words:
        steps.append((word.strip(), Position(source, 1, column, len(word))))
        column += len(word) + 1
    return steps


def _set(node: Node, path: Path, steps: list[tuple[str, Position]], value: Node) -> Node:
    """The tree with `value` at the end of `steps`; missing mappings are made on the way."""
    if not steps:
        return value
    (word, position), rest = steps[0], steps[1:]
    where = ".".join(map(str, path)) or "the spec"
    if isinstance(node.value, tuple):
        size = len(node.value)
        if not word.isdecimal() or int(word) >= size:
            raise _refusal(
                path,
                f"Expected an index of {where}; got {word!r}",
                f"It has {size} items: 0 to {size - 1}" if size else "It is empty",
                position,
            )
        index = int(word)
        items = list(node.value)
        items[index] = _set(items[index], (*path, index), rest, value)
        return Node(tuple(items), node.position)
    if node.value is not None and not isinstance(node.value, dict):
        raise _refusal(
            path,
            f"Expected a field or list above {word!r}; {where} is {describe(node.value)}",
            f"Set {where} itself",
            position,
        )
    entries = dict(node.value or {})
    old = entries.get(word, Entry(position, Node(None, position)))
    below = _set(old.node, (*path, word), rest, value)
    entries[word] = Entry(old.position if rest else position, below)
    return Node(entries, node.position)
