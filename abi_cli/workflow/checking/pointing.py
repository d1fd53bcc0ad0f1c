"""Mistakes that show only when a model runs, with their place in the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from abi_cli import registry
from abi_cli.adapter.step import AdapterError, Step
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.streams import Purpose
from abi_cli.spec import Code, InvalidSpecError, Problem, Spec, nearest
from abi_cli.spec.problems import Path
from abi_cli.variables import Layout, Role
from abi_cli.workflow.request import Model

_CODES = {
    "adapter": Code.STEP,
    "model": Code.MODEL,
    "parameters": Code.MODEL,
    "context": Code.MODEL,
    "observables": Code.MODEL,
    "data": Code.MODEL,
    "missing": Code.MODEL,
    "networks": Code.NETWORK,
    "training": Code.TRAINING,
}
"""First field of a place → the kind of problem."""

_DRAWN_BY: dict[Role, str] = {
    "context": "meta",
    "given": "given",
    "parameter": "prior",
    "nuisance": "prior",
    "observable": "likelihood",
}

_NAMED_UNDER: dict[Role, str] = {
    "context": "context",
    "parameter": "parameters",
    "observable": "observables",
}
"""Sections that name the variables of stored simulations, where there is no model."""


@contextmanager
def pointing(model: Model, layout: Layout | None = None) -> Iterator[None]:
    """A context in which refusals name their place in the spec that was written.

    Arguments:
        layout: The variables of the model, if they are known: then the message says where those
            that it is about come from.
    """
    try:
        yield
    except InvalidSpecError:
        raise
    except SpecError as error:
        raise pointed(error, model, layout) from None


def pointed(error: SpecError, model: Model, layout: Layout | None = None) -> SpecError:
    """The error at its place in the file; unchanged where its place is none of a spec."""
    document = model.document
    path = tuple(int(word) if word.isdigit() else word for word in (error.place or "").split("."))
    if path[0] not in _CODES:
        return error
    node = document.root.below(path)  # None in what is derived or by default
    word = error.variable if isinstance(error, AdapterError) else None
    found = node.find(word) if word is not None and node is not None else None
    if found is not None:
        path = (*path, *found)
    step = path[1] if path[0] == "adapter" and len(path) > 1 else 0
    origins = error.origins if isinstance(error, AdapterError) else ()
    problem = Problem(
        path,
        error.message if node is not None else f"{error.place}: {error.message}",
        error.hint,
        _CODES[str(path[0])],
        document.value_position(path) if found is not None else document.key_position(path),
        notes=tuple(_origin(name, model, layout, int(step)) for name in origins if layout),
    )
    return InvalidSpecError([problem], name=document.source.name)


def refuse_unknown_names(spec: Spec, layout: Layout) -> None:
    """Refuse names of variables that the model doesn't have.

    Errors:
        SpecError: There is one, or a context is not the number of members that the spec says it is,
            or what may be missing is nothing that data have.
    """
    data = spec.data
    named: dict[str, Mapping[str, object]] = {
        "context": spec.context,
        "observables": spec.observables or {},
        "missing": spec.missing,
        "data.columns": data.columns,
        "data.categories": data.categories,
        "data.prepare": data.prepare,
    }
    known = [variable.name for variable in layout.variables]
    for section, names in named.items():
        for name in names:
            if name not in layout:
                near = nearest(name, known)
                hint = f"Did you mean {near}?" if near else None
                if section == "data.columns":
                    hint = _of_columns(spec, name, known) or hint
                raise SpecError(
                    f"Expected variables of the model, {', '.join(known)}; got {name}",
                    hint=hint,
                    place=f"{section}.{name}",
                )
    for name in spec.missing:
        if layout[name].role not in ("given", "observable"):
            raise SpecError(
                f"Expected a variable that data have, to be missing in some; got {name}, "
                f"{layout[name].role}",
                place=f"missing.{name}",
            )
    for place, name in enumerate(spec.model.noise_free if spec.model else ()):
        observables = [variable.name for variable in layout.of("observable")]
        if name not in observables:
            raise SpecError(
                f"Expected data that the likelihood draws, {', '.join(observables)}; got {name}",
                place=f"model.noise_free.{place}",
            )
    for name, section_of in spec.context.items():
        for observable in section_of.length_of:
            if observable not in layout[name].length_of:
                counted = ", ".join(layout[name].length_of) or "none"
                raise SpecError(
                    f"Expected {name} to be the number of members of {observable} in every data "
                    f"set; it is that of {counted}",
                    place=f"context.{name}.length_of",
                )


@contextmanager
def telling_of_names(model: Model, *, seed: int) -> Iterator[None]:
    """A context that looks again where simulations fail: the spec may name undrawn variables.

    A set under a wrong name, say, leaves the right one to be taken for a fixed shape.

    Errors:
        InvalidSpecError: It does; pointed at.
    """
    try:
        yield
    except UserFunctionError:
        refuse_names_of_nothing(model, seed=seed)
        raise


def refuse_names_of_nothing(model: Model, *, seed: int) -> None:
    """Refuse sets and series that the model does not draw, judging by one chunk.

    Errors:
        InvalidSpecError: There is one; pointed at.
    """
    simulator = replace(model.need_simulator(), repeats=False)
    unit = simulator.unit
    try:
        known = [*simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=unit)]
    except UserFunctionError:
        return
    with pointing(model):
        for name in model.spec.observables or {}:
            if name not in known:
                raise _unknown(name, known, f"observables.{name}")
        made = set(known)
        for number, part in enumerate(model.spec.adapter or ()):
            step = registry.expected(part, Step)
            if getattr(step, "marks_ragged", False):
                for name in getattr(step, "keys", ()):
                    if name not in made:
                        raise _unknown(name, known, f"adapter.{number}.{part.name}")
            made |= set(step.flow({}))


def _of_columns(spec: Spec, name: str, known: Sequence[str]) -> str | None:
    """The advice on a name of `data: {columns}` that no variable has; None where nobody knows."""
    column = spec.data.columns[name]
    own = column[0] if len(column) == 1 else "…"
    for observable, section in (spec.observables or {}).items():
        if section.time == name:
            return f"Name the file's column itself: observables: {{{observable}: {{time: {own}}}}}"
    if len(column) == 1 and column[0] in known:
        return f"The model's name comes first: {{{column[0]}: {name}}}."
    return None


def _unknown(name: str, known: Sequence[str], place: str) -> AdapterError:
    near = nearest(name, known)
    return AdapterError(
        f"Expected variables of the model, {', '.join(known)}; got {name}",
        hint=f"Did you mean {near}?" if near else None,
        place=place,
        variable=name,
    )


def _origin(name: str, model: Model, layout: Layout | None, step: int) -> str:
    """A sentence on the source of a variable that reaches a step, and its place."""
    path = _written(name, model, step)
    if path is not None:
        return f"{name} is made by {path[2]} ({model.document.key_position(path)})"
    if model.spec.model is None:
        role = layout[name].role if layout is not None and name in layout else "parameter"
        under = _NAMED_UNDER[role]
        return f"{name} is named under {under} ({model.document.key_position((under, name))})"
    section = _DRAWN_BY[layout[name].role] if layout is not None and name in layout else "prior"
    declared: Path = ("model", section, name)
    at = declared if model.document.root.below(declared) else declared[:2]
    return f"{name} is drawn by {section} ({model.document.key_position(at)})"


def _written(name: str, model: Model, before: int) -> Path | None:
    """The place of the last step before one that made a variable out of others."""
    steps = (model.spec.adapter or ())[:before]
    for number, part in reversed(list(enumerate(steps))):
        step = registry.expected(part, Step)
        if name in step.flow({}) and name not in step.flow({})[name]:
            return ("adapter", number, step.name)
    return None
