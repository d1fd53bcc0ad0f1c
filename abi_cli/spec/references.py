"""`${vars.name}`: a value that is written once, under `vars:`, and used in several places.

    vars: {width: 64}
    networks:
      summary: {deep_set: {width: "${vars.width}"}}
      inference: {coupling_flow: {width: "${vars.width}"}}

A value that is a reference and nothing else becomes the variable's, whatever its type; within a
text, the reference becomes the variable's text. Nothing is computed. Overrides come first, so
`-s vars.width=128` changes every place; a run's spec has the values, and no `vars` any more.
"""

from __future__ import annotations

import re
from dataclasses import replace

from abi_cli.spec.problems import Code, Path, Problem, suggestion
from abi_cli.spec.reader import Document, Entry, Node
from abi_cli.spec.shorthand import describe

VARS = "vars"
_REFERENCE = re.compile(r"\$\{\s*vars\.([^}]*?)\s*\}")


def resolved(document: Document) -> Document:
    """The document with every reference replaced and without `vars`.

    What can't be replaced is added to its problems.
    """
    entries = document.root.value
    if not isinstance(entries, dict):
        return document
    rest = {key: entry for key, entry in entries.items() if key != VARS}
    variables: dict[str, Node] = {}
    problems: list[Problem] = []
    if VARS in entries:
        node = entries[VARS].node
        if isinstance(node.value, dict):
            variables = {name: entry.node for name, entry in node.value.items()}
        elif node.value is not None:
            message = f"Expected a mapping of names to values; got {describe(node.value)}"
            problems.append(
                Problem((VARS,), message, "vars: {width: 64}", Code.VALUE, node.position)
            )
    resolve = _Resolver(variables, problems)
    for name, node in variables.items():
        if _REFERENCE.search(str(node.plain())):
            resolve.refuse(
                (VARS, name), node, "Expected a value; got a reference", "Write the value itself"
            )
    root = resolve(Node(rest, document.root.position), ())
    return replace(document, root=root, problems=(*document.problems, *problems))


class _Resolver:
    """Replaces references below a node.

    Arguments:
        variables: What they refer to.
        problems: Is added to.
    """

    def __init__(self, variables: dict[str, Node], problems: list[Problem]):
        self._variables, self._problems = variables, problems

    def __call__(self, node: Node, path: Path) -> Node:
        value = node.value
        if isinstance(value, dict):
            return replace(
                node,
                value={
                    key: Entry(entry.position, self(entry.node, (*path, key)))
                    for key, entry in value.items()
                },
            )
        if isinstance(value, tuple):
            items = (self(item, (*path, index)) for index, item in enumerate(value))
            return replace(node, value=tuple(items))
        if not isinstance(value, str) or not _REFERENCE.search(value):
            return node
        whole = _REFERENCE.fullmatch(value)
        if whole:
            found = self._find(whole[1], node, path)
            return node if found is None else _moved(found, node)
        return replace(node, value=_REFERENCE.sub(lambda m: self._text(m, node, path), value))

    def _find(self, name: str, node: Node, path: Path) -> Node | None:
        if name not in self._variables:
            hint = (
                suggestion(name, tuple(self._variables), title="Variables")
                if self._variables
                else f"Write it at the top: vars: {{{name or 'name'}: …}}"
            )
            self.refuse(path, node, f"unknown variable {name!r}", hint)
            return None
        return self._variables[name]

    def _text(self, match: re.Match[str], node: Node, path: Path) -> str:
        found = self._find(match[1], node, path)
        if found is None:
            return match[0]
        if isinstance(found.value, dict | tuple):
            self.refuse(
                path,
                node,
                f"Expected text or a number within a text; {match[1]} is {describe(found.value)}",
                "Let the reference be the whole value",
            )
            return match[0]
        return str(found.value)

    def refuse(self, path: Path, node: Node, message: str, hint: str) -> None:
        """Add a problem with the value at `path`."""
        self._problems.append(Problem(path, message, hint, Code.VALUE, node.position))


def _moved(found: Node, to: Node) -> Node:
    """A variable's value where it is used: problems with it point there."""
    value = found.value
    if isinstance(value, dict):
        return Node(
            {key: Entry(to.position, _moved(entry.node, to)) for key, entry in value.items()},
            to.position,
        )
    if isinstance(value, tuple):
        return Node(tuple(_moved(item, to) for item in value), to.position)
    return Node(value, to.position)
