"""YAML of a `Spec` as a person might have written it: complete, with short parts on one line."""

from __future__ import annotations

import io
import sys

import yaml

from abi_cli.spec import dialect
from abi_cli.spec.schema import Spec

WIDEST = 96
"""Columns that a collection on one line may reach; a wider one is spread over several."""


def dump_spec(spec: Spec) -> str:
    """The spec as YAML, every default spelled out, no part abbreviated.

    Reading it back gives an equal spec: `parse_spec(dump_spec(spec), …) == spec`.
    """
    stream = io.StringIO()
    dumper = _Dumper(stream, sort_keys=False, allow_unicode=True, width=sys.maxsize)
    root = dumper.represent_data(spec.model_dump(mode="json", by_alias=True))
    _lay_out(root, column=0, indent=0, one_line=False)
    for _key, section in root.value:
        _lay_out(section, column=0, indent=2, one_line=False)
    dumper.open()
    dumper.serialize(root)
    dumper.close()
    return stream.getvalue()


def one_line(value: object) -> str:
    """Plain JSON values as YAML on one line."""
    text = yaml.dump(
        value,
        Dumper=_Dumper,
        default_flow_style=True,
        allow_unicode=True,
        sort_keys=False,
        width=sys.maxsize,
    )
    return text.removesuffix("\n...\n").rstrip("\n")


class _Dumper(yaml.SafeDumper):
    """A writer of the dialect that `reader` reads, with quotes where that needs them."""

    yaml_implicit_resolvers = dialect.RESOLVERS

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  PyYAML's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        # PyYAML doesn't indent the dashes of a list below its key; people do.
        super().increase_indent(flow, False)

    def _represent_number(self, value: float) -> yaml.ScalarNode:
        # PyYAML would write 1e-06 as 1.0e-06, for readers that know only YAML 1.1.
        return self.represent_scalar(dialect.PREFIX + "float", repr(value))

    def _represent_text(self, text: str) -> yaml.ScalarNode:
        # Outside double quotes PyYAML folds some line breaks, such as U+0085, into others.
        style = None if text.isprintable() else '"'
        return self.represent_scalar(dialect.PREFIX + "str", text, style=style)


_Dumper.add_representer(str, _Dumper._represent_text)
_Dumper.add_representer(float, _Dumper._represent_number)


def _lay_out(node: yaml.Node, *, column: int, indent: int, one_line: bool = True) -> None:
    """Choose for every collection whether it stands on one line.

    Arguments:
        node: Of the tree to write.
        column: Where it would begin on the line of its key or dash.
        indent: Where its keys or dashes would begin on lines of their own.
        one_line: Whether it may stand on one line at all (an empty one always does).
    """
    if not isinstance(node, yaml.CollectionNode):
        return
    node.flow_style = not node.value or (one_line and column + _width(node) <= WIDEST)
    if node.flow_style:
        for child in _children(node):
            _lay_out(child, column=0, indent=0)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _lay_out(value, column=indent + len(key.value) + 2, indent=indent + 2)
    else:
        for item in node.value:  # a step reads best as `- name: {options}`
            is_part = isinstance(item, yaml.MappingNode)
            _lay_out(item, column=indent + 2, indent=indent + 2, one_line=not is_part)


def _children(node: yaml.CollectionNode) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value)


def _width(node: yaml.Node) -> int:
    """Columns of a node on one line, if no text needs quotes."""
    if isinstance(node, yaml.CollectionNode):
        return sum(_width(child) + 2 for child in _children(node)) if node.value else 2
    return len(node.value)
