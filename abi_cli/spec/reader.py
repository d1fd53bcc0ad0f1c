"""Reader of YAML text, to a tree in which every key and value knows where it was written.

PyYAML does the parsing, in the dialect of `dialect.py`. What YAML allows but a spec must not (a key
twice, keys that are not text, tags) is a problem with its place; the rest of the file is read on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from abi_cli.spec import dialect
from abi_cli.spec.dialect import Scalar
from abi_cli.spec.problems import Code, InvalidSpecError, Path, Position, Problem, Source

DEEPEST = 40
"""Deepest nesting of collections: PyYAML composes recursively, and no spec comes near."""

MOST_NODES = 20_000
"""Most keys and values of a spec, aliases expanded: a few anchors can stand for billions."""


@dataclass(frozen=True)
class Entry:
    """A key of a mapping, where it was written, and its value."""

    position: Position
    node: Node


Content = Scalar | tuple["Node", ...] | dict[str, Entry]


@dataclass(frozen=True)
class Node:
    """A value and where it was written: a scalar, a tuple of nodes or a mapping of entries."""

    value: Content
    position: Position

    def plain(self) -> Any:
        """The value without positions: scalars, tuples and dicts."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, tuple):
            return tuple(item.plain() for item in self.value)
        return self.value

    def child(self, key: str | int) -> Node | None:
        """The node under a key or index, if there is one."""
        if isinstance(self.value, dict) and isinstance(key, str) and key in self.value:
            return self.value[key].node
        if isinstance(self.value, tuple) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def below(self, path: Path) -> Node | None:
        """The node at a path from here, if there is one."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node is not None else None
        return node

    def find(self, word: str) -> Path | None:
        """The path from here to the first value that is this text, if there is one."""
        if self.value == word:
            return ()
        items: Iterable[tuple[str | int, Node]] = ()
        if isinstance(self.value, dict):
            items = ((key, entry.node) for key, entry in self.value.items())
        elif isinstance(self.value, tuple):
            items = enumerate(self.value)
        for key, node in items:
            found = node.find(word)
            if found is not None:
                return (key, *found)
        return None


@dataclass(frozen=True)
class Document:
    """A spec as it was written.

    Arguments:
        source: The text, and the name of where it is from.
        root: The tree.
        problems: What was wrong with it as YAML.
    """

    source: Source
    root: Node
    problems: tuple[Problem, ...] = ()

    @property
    def tree(self) -> Any:
        """The plain tree."""
        return self.root.plain()

    def value_position(self, path: Path) -> Position:
        """Position of the value at `path`, or of its nearest ancestor if there is none."""
        return self._positions(path)[1]

    def key_position(self, path: Path) -> Position:
        """Position of the key of the value at `path`.

        Items of lists have no key, so it is the value; for the root it is the whole source.
        """
        return self._positions(path)[0]

    def _positions(self, path: Path) -> tuple[Position, Position]:
        node = self.root
        key, value = Position(self.source), node.position
        for step in path:
            below = node.child(step)
            if below is None:
                break
            value = below.position
            entries = node.value
            key = entries[step].position if isinstance(entries, dict) and step in entries else value
            node = below
        return key, value


def read_document(source: Source, *, start: int = 0) -> Document:
    """Read YAML text.

    Arguments:
        source: The text.
        start: Where in it the YAML starts, on the first line; positions count from its beginning.

    Errors:
        InvalidSpecError: It is not YAML at all, or more than any spec is.
    """
    text = " " * start + source.text[start:]
    try:
        composed = _compose(text)
    except yaml.MarkedYAMLError as error:
        raise InvalidSpecError([_syntax_problem(source, error)], name=source.name) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        problem = Problem(
            (),
            f"Expected printable text; got the character U+{error.character:04X}",
            "Save the file as UTF-8 text, without control characters",
            Code.SYNTAX,
            Position(source, line, column, 1),
        )
        raise InvalidSpecError([problem], name=source.name) from None
    if composed is None:
        return Document(source, Node(None, Position(source)))
    builder = _Builder(source)
    root = builder.build(composed, (), ())
    return Document(source, root, tuple(builder.problems))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = dialect.RESOLVERS
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST and parent is not None:
            complaint = f"more than {DEEPEST} levels of nesting"
            raise yaml.composer.ComposerError(None, None, complaint, parent.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
    except (ValueError, OverflowError) as error:
        # PyYAML leaves to Python what it didn't think of: "\UFFFFFFFF" is no character.
        raise yaml.scanner.ScannerError(None, None, str(error), loader.get_mark()) from None
    finally:
        loader.dispose()
    return node


_COMPLAINTS = (
    ("character '\\t'", "a tab where only spaces may be", "Indent with spaces"),
    (
        "mapping values are not allowed",
        "a second ': ' on one line, or a line indented further than its key allows",
        "Write one key to a line; put text that has ': ' in it in quotes",
    ),
    (
        "cannot start any token",
        "text can't begin with this character",
        "Put the text in quotes",
    ),
    (
        "could not find expected ':'",
        "a key without a value",
        "Write KEY: VALUE, with a space after the colon",
    ),
    (
        "but got '<stream end>'",
        "the bracket that opens on line {opened} is not closed",
        "Close the bracket",
    ),
    (
        "but found '<stream end>'",
        "the bracket that opens on line {opened} is not closed",
        "Close the bracket",
    ),
    (
        "expected ',' or",
        "neither a comma nor the end of the bracket that opens on line {opened}",
        "Close the bracket, and put commas between its items",
    ),
    (
        "unexpected end of stream",
        "the quote that opens on line {opened} is not closed",
        "Close the quote",
    ),
    (
        "expected <block end>",
        "this line is not indented like those above that it belongs to",
        "Indent all keys of a mapping, or all dashes of a list, alike",
    ),
    ("undefined alias", "an alias without its anchor", "Put text that begins with * in quotes"),
    ("another document", "a second spec begins here", "Keep one spec to a file"),
)
"""PyYAML's complaints in words for people: words of the complaint, what it means, the remedy."""


def _syntax_problem(source: Source, error: yaml.MarkedYAMLError) -> Problem:
    complaint = error.problem or error.context or "can't be read"
    mark = error.problem_mark or error.context_mark
    opened = error.context_mark.line + 1 if error.context_mark else 1
    message, remedy = f"Expected YAML; {complaint}", None
    for words, meaning, advice in _COMPLAINTS:
        if words in complaint:
            message, remedy = f"not YAML: {meaning.format(opened=opened)}", advice
            break
    position = Position(source, mark.line + 1, mark.column + 1, 1) if mark else Position(source)
    return Problem((), message, remedy, Code.SYNTAX, position)


class _Builder:
    """A builder of our nodes from PyYAML's, which expands aliases and collects problems."""

    def __init__(self, source: Source):
        self.source = source
        self.problems: list[Problem] = []
        self._count = 0

    def build(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> Node:
        self._count += 1
        position = self._position(node)
        if node in above:
            raise self._fatal(path, "an anchor contains an alias of itself", position)
        if self._count > MOST_NODES:
            message = f"more than {MOST_NODES:,} values: too many for a spec"
            raise self._fatal(path, message, position)
        if isinstance(node, yaml.MappingNode) and node.tag == dialect.PREFIX + "map":
            return Node(self._entries(node, path, (*above, node)), position)
        if isinstance(node, yaml.SequenceNode) and node.tag == dialect.PREFIX + "seq":
            items = (
                self.build(item, (*path, index), (*above, node))
                for index, item in enumerate(node.value)
            )
            return Node(tuple(items), position)
        return Node(self._scalar(node, path, position), position)

    def _entries(
        self, mapping: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]
    ) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, value in mapping.value:
            position = self._position(key)
            if not isinstance(key, yaml.ScalarNode) or key.tag != dialect.PREFIX + "str":
                hint = f"Quote it: '{key.value}'" if isinstance(key, yaml.ScalarNode) else None
                self._note(path, Code.KEY, "Expected text as a key", hint, position)
                continue
            if _has_surrogate(key.value):
                self._note(path, Code.KEY, _SURROGATE, None, position)
                continue
            name = key.value
            here = (*path, name)
            if name in entries:
                first = entries[name].position
                message = f"{name!r} is given twice; the first time on line {first.line}"
                self._note(here, Code.KEY, message, "Remove one of the two", position)
                continue
            node = self.build(value, here, above)
            if node.value is None and value.start_mark.index == value.end_mark.index:
                node = Node(None, position)  # nothing is written there that could be shown
            entries[name] = Entry(position, node)
        return entries

    def _scalar(self, node: yaml.Node, path: Path, position: Position) -> Scalar:
        if not isinstance(node, yaml.ScalarNode) or not dialect.is_scalar(node.tag, node.value):
            tag = node.tag.replace(dialect.PREFIX, "!!")
            message = f"Expected a value without a tag; got {tag!r}"
            hint = "Remove the tag, or put text that begins with ! in quotes"
            self._note(path, Code.SYNTAX, message, hint, position)
        elif _has_surrogate(node.value):
            self._note(path, Code.SYNTAX, _SURROGATE, None, position)
        else:
            try:
                return dialect.scalar(node.tag, node.value)
            except ValueError:
                message = f"Expected a number; got one of {len(node.value):,} digits"
                self._note(path, Code.VALUE, message, None, position)
        return None

    def _position(self, node: yaml.Node) -> Position:
        start, end = node.start_mark, node.end_mark
        last = end.column
        if end.line > start.line:
            last = len(self.source.line(start.line + 1).rstrip())
        width = max(1, last - start.column)
        return Position(self.source, start.line + 1, start.column + 1, width)

    def _note(
        self, path: Path, code: Code, message: str, hint: str | None, position: Position
    ) -> None:
        self.problems.append(Problem(path, message, hint, code, position))

    def _fatal(self, path: Path, message: str, position: Position) -> InvalidSpecError:
        self._note(path, Code.SYNTAX, message, None, position)
        return InvalidSpecError(self.problems, name=self.source.name)


_SURROGATE = "Expected text; got half of a surrogate pair"


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
