"""The one rule for every named part, and the canonical form in which nothing is abbreviated.

Wherever a spec takes a part, it may be written as

    coupling_flow                     its name
    coupling_flow: {depth: 6}         its name and its options
    as_set: [x, y]                    its name and its only required option

and is brought to the form in the middle: `{name: {option: value}}`. Overrides address that form,
errors are found in it, and a run saves it. Where parts are, the annotations of the models say:
`Annotated[Part, PartOf("step")]`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from abi_cli import registry
from abi_cli.registry import Part
from abi_cli.spec import elsewhere
from abi_cli.spec.calls import as_options
from abi_cli.spec.problems import Code, Path
from abi_cli.spec.reader import Entry, Node
from abi_cli.spec.section import option_names

REFUSAL = "abi"
"""The pydantic error type of our own validators' refusals."""

Models = dict[Path, type[BaseModel]]
"""Path → the model that describes the mapping there, for the names of its fields in errors."""


def refusal(
    code: Code, message: str, *, hint: str | None = None, at: Path = ()
) -> PydanticCustomError:
    """An error for a validator to raise that says as much as a `Problem` does.

    Arguments:
        code, message, hint: As in `Problem`.
        at: Where the mistake is, from the value that is being validated on.
    """
    context = {"code": code, "message": message, "hint": hint, "at": at}
    return PydanticCustomError(REFUSAL, "{message}", context)


@dataclass(frozen=True)
class PartOf:
    """Marks a field of a pydantic model as taking a named part.

    Arguments:
        kind: The kind of part, as in the registry.
        number: The part that a bare number stands for, if it may.
        listed: Whether that part takes a list, which holds the number alone.
        without: Parts of that kind which can't stand here, such as those that hold others.
    """

    kind: str
    number: str | None = None
    listed: bool = False
    without: tuple[str, ...] = ()

    def canonical(self, node: Node, path: Path, models: Models) -> Node:
        """The part as `{name: {options}}`; what can't be read as a part stays as it is."""
        value = node.value
        if isinstance(value, str):
            value = {value: Entry(node.position, Node({}, node.position))}
        elif self.number and isinstance(value, int | float) and not isinstance(value, bool):
            alone = Node((node,), node.position) if self.listed else node
            value = {self.number: Entry(node.position, alone)}
        if not isinstance(value, dict) or len(value) != 1:
            return node
        ((name, entry),) = value.items()
        part = self._find(name)
        if part is None:
            return Node(value, node.position)
        options, bare = entry.node, part.shorthand()
        if options.value is None:
            options = Node({}, entry.node.position)
        elif bare and not isinstance(options.value, dict):
            options = Node({bare: Entry(options.position, options)}, options.position)
        options = canonical(options, part, (*path, name), models)
        return Node({name: Entry(entry.position, options)}, node.position)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(Part.to_config),
        )

    def __get_pydantic_json_schema__(
        self,
        core: core_schema.CoreSchema,  # pydantic's signature
        handler: GetJsonSchemaHandler,
    ) -> JsonSchemaValue:
        parts = [registry.get(self.kind, name) for name in self._known()]
        bare = [p.name for p in parts if not any(f.is_required() for f in p.model_fields.values())]
        forms: list[JsonSchemaValue] = [_written_out(part) for part in parts]
        if bare:
            forms.append({"enum": bare})
        if self.number:
            forms.append({"type": "number"})
        return {"anyOf": forms}

    def _validate(self, value: Any) -> Part:
        if isinstance(value, Part) and value.kind == self.kind:
            return value
        if not isinstance(value, dict) or not value:
            hint = f"Write its name, or {{name: {{options}}}}. {self._title()}: {self._names()}"
            if self.kind == "distribution" and (between := _between(value)):
                hint = f"Write {between}, or another distribution: {self._names()}"
            raise refusal(Code.PART, f"Expected {_a(self.kind)}; got {describe(value)}", hint=hint)
        if len(value) > 1:
            raise self._crowded(value)
        (name,) = value
        part = self._find(name)
        if part is None:
            hint = elsewhere.part(name, self.kind, self._known(), title=self._title())
            raise refusal(Code.PART, f"unknown {self.kind} {name!r}", hint=hint, at=(name,))
        return _named(part).validate_python(value, strict=True)[name]

    def _known(self) -> tuple[str, ...]:
        """Names of the parts that can stand here."""
        names = registry.names(self.kind)
        return tuple(name for name in names if name not in self.without)

    def _find(self, name: str) -> type[Part] | None:
        return None if name in self.without else _find(self.kind, name)

    def _title(self) -> str:
        alternative = " (or a number)" if self.number and not self.listed else ""
        return f"{self.kind.capitalize()}s{alternative}"

    def _names(self) -> str:
        return ", ".join(self._known())

    def _crowded(self, value: dict[str, Any]) -> PydanticCustomError:
        """The refusal where several keys stand in place of one part."""
        known = [name for name in value if self._find(name)]
        if len(known) == 1:
            other = next(name for name in value if name not in known)
            part = self._find(known[0])
            options = option_names(part) if part else ()
            hint = f"Options of {known[0]}: {', '.join(options)}"
            whose = "stands beside"
            if other in options:
                hint = f"Options belong below the name: {known[0]}: {{{other}: …}}"
                whose = "is an option of"
            message = f"Expected one {self.kind} here; {other!r} {whose} {known[0]!r}"
            return refusal(Code.PART, message, hint=hint, at=(other,))
        names = ", ".join(value)
        hint = "Give each a place of its own (in a list, begin it with '- ')"
        named = [key for key, one in value.items() if isinstance(one, str) and self._find(one)]
        if self.kind == "distribution" and len(named) == 1:
            pairs = [(key, one) for key, one in value.items() if key != named[0]]
            hint = f"Write {as_options(value[named[0]], pairs)}"
        return refusal(
            Code.PART,
            f"Expected one {self.kind} here; got {len(value)}: {names}",
            hint=hint,
            at=(list(value)[1],),
        )


@dataclass(frozen=True)
class OneOf:
    """Marks a field that has several forms, and says by what is written which of them is meant.

    Arguments:
        choose: A plain value → the type that it is read as. It raises a `refusal` for what is none.
    """

    choose: Callable[[Any], Any]

    def canonical(self, node: Node, path: Path, models: Models) -> Node:
        """The node as its form has it; what is of no form stays as it is."""
        try:
            form = self.choose(node.plain())
        except PydanticCustomError:
            return node
        return canonical(node, form, path, models)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._validate, handler(source))

    def _validate(self, value: Any, _every: Any) -> Any:
        if isinstance(value, BaseModel):
            return value
        return _of_form(self.choose(value)).validate_python(value, strict=True)


@cache
def _of_form(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _written_out(part: type[Part]) -> JsonSchemaValue:
    """JSON Schema of `{name: {options}}`, with the bare value and nothing where those may stand."""
    options = part.model_json_schema()
    options.pop("title", None)
    help_text = inspect.getdoc(part) or ""
    options["description"] = help_text.splitlines()[0] if help_text else ""
    forms = [options]
    if bare := part.shorthand():
        forms.append(options["properties"][bare])
    elif not options.get("required"):
        forms.append({"type": "null"})
    return {
        "type": "object",
        "description": options["description"],
        "properties": {part.name: {"anyOf": forms} if len(forms) > 1 else options},
        "required": [part.name],
        "additionalProperties": False,
    }


@cache
def _named(part: type[Part]) -> TypeAdapter[dict[str, Part]]:
    """Validates `{name: {options}}`, so that the name is in the path of every error."""
    return TypeAdapter(dict[str, part])  # type: ignore[valid-type]  # a class made at run time


def _find(kind: str, name: str) -> type[Part] | None:
    try:
        return registry.get(kind, name)
    except registry.UnknownPart:
        return None


def _between(value: Any) -> str | None:
    """Two numbers as the distribution between them; None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = value
    if type(low) is int and type(high) is int:
        return f"integers: {{low: {low}, high: {high + 1}}} for {low} to {high}"
    if all(type(bound) in (int, float) for bound in value):
        return f"uniform: {{low: {low}, high: {high}}}"
    return None


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def describe(value: Any) -> str:
    """A value in words, short, for the end of `Expected …; got …`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else f"the text {value[:37] + '…'!r}"
    if isinstance(value, dict):
        return f"a mapping of {', '.join(list(value)[:4])}" if value else "an empty mapping"
    if isinstance(value, tuple | list):
        return "a list" if value else "an empty list"
    return f"{value}"


def canonical(node: Node, annotation: Any, path: Path, models: Models) -> Node:
    """Write out every abbreviation below a node; twice is the same as once.

    Arguments:
        node: A value of a spec.
        annotation: The type that the schema gives it: a model, or what a field is annotated with.
        path: Where it is.
        models: Is filled with the models met, by path.
    """
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *marks = arguments
        return _marked(node, base, marks, path, models)
    if origin in (Union, UnionType):
        if node.value is None and NoneType in arguments:
            return node
        for argument in arguments:
            node = canonical(node, argument, path, models)
        return node
    if origin is tuple and isinstance(node.value, tuple):
        items = (
            canonical(item, arguments[0], (*path, index), models)
            for index, item in enumerate(node.value)
        )
        return Node(tuple(items), node.position)
    if origin is dict and isinstance(node.value, dict):
        return Node(
            {
                key: Entry(
                    entry.position, canonical(entry.node, arguments[1], (*path, key), models)
                )
                for key, entry in node.value.items()
            },
            node.position,
        )
    if origin is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _fields(node, annotation, path, models)
    return node


def _marked(node: Node, annotation: Any, marks: list[Any], path: Path, models: Models) -> Node:
    for mark in marks:
        if isinstance(mark, PartOf | OneOf):
            return mark.canonical(node, path, models)
    return canonical(node, annotation, path, models)


def _fields(node: Node, model: type[BaseModel], path: Path, models: Models) -> Node:
    models[path] = model
    if node.value is None:  # a section whose fields are all commented out has them all at default
        return Node({}, node.position)
    if not isinstance(node.value, dict):
        return node
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    entries = dict(node.value)
    for key, entry in node.value.items():
        if key in fields:
            field, here = fields[key], (*path, key)
            below = _marked(entry.node, field.annotation, field.metadata, here, models)
            entries[key] = Entry(entry.position, below)
    return Node(entries, node.position)
