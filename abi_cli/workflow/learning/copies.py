"""The code of a spec where a run or a bank keeps it, and the spec that names the copies.

Of a bank's they are files that can be compared: its rows follow from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abi_cli import run
from abi_cli.bank.records import MODEL
from abi_cli.registry import Part
from abi_cli.spec import DesignSection, ModelSection, Source, dump_spec
from abi_cli.spec.dump import one_line
from abi_cli.spec.reader import read_document
from abi_cli.workflow.request import Model

_SOURCES = ("meta", "given", "prior", "likelihood", "log_likelihood", "log_prior", "quantities")
"""Fields of a spec's model that name functions or files."""


@dataclass(frozen=True)
class Copies:
    """Copies of files, by their names in the folder that keeps them.

    Arguments:
        names: File → its name in the folder that keeps it.
        base: The folder that the spec's functions are relative to.
    """

    names: Mapping[Path, str]
    base: Path

    @classmethod
    def of(cls, model: Model) -> Copies:
        """The modules of a model, and its design."""
        design = model.design()
        kept = [*model.files(), *([design] if design else [])]
        return cls({file: _place(file, model.base) for file in kept}, model.base)

    def contents(self) -> dict[str, bytes]:
        """Contents of the files, by their new names."""
        return {name: file.read_bytes() for file, name in self.names.items()}

    def moved(self, reference: str) -> str:
        """A function by the name of its copy, if it is copied."""
        module, _, function = reference.rpartition(":")
        file = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
        copy = self.names.get((self.base / file).resolve())
        return f"{copy}:{function}" if copy else reference

    def moved_all(self, source: str | DesignSection | Mapping[str, str | Part]) -> object:
        """The source of variables by the names of the copies."""
        if isinstance(source, str):
            return self.moved(source)
        if isinstance(source, DesignSection):
            copy = self.names[(self.base / source.file).resolve()]
            return source.model_copy(update={"file": copy})
        return {
            name: self.moved(one) if isinstance(one, str) else one for name, one in source.items()
        }

    def section(self, section: ModelSection) -> ModelSection:
        """The section `model:` by the names of the copies."""
        moved = {
            role: self.moved_all(source)
            for role in _SOURCES
            if (source := getattr(section, role)) is not None
        }
        return section.model_copy(update=moved)


def _place(file: Path, base: Path) -> str:
    """The name of a module's copy: in code/, as it stands below the spec's folder.

    A run that is trained again keeps its code/ as it is; a module from elsewhere keeps its name.
    """
    if not file.is_relative_to(base):
        return f"{run.CODE}/{file.name}"
    inside = file.relative_to(base).as_posix()
    again = (base / run.MANIFEST).is_file() and inside.startswith(f"{run.CODE}/")
    return inside if again else f"{run.CODE}/{inside}"


_DRAWING = ("meta", "given", "prior", "likelihood")
"""Fields of a spec's model that decide the rows."""


def files_of(model: Model, seed: int, context: Mapping[str, float]) -> dict[str, bytes]:
    """The text of model.yaml and the code, by their names in a bank.

    Arguments:
        context: Context variables that are held fixed, and at what.
    """
    copies = Copies.of(model)
    said = {
        "seed": seed,
        "context": dict(context),
        "rows drawn together": model.need_simulator().unit,
        "model": _section(model, copies),
        "sets and series": sorted(model.spec.ragged()),
        "series": sorted(model.spec.series()),
        "missing": dict(model.spec.missing),
    }
    return {MODEL: "".join(_lines(said)).encode(), **copies.contents()}


def _section(model: Model, copies: Copies) -> dict[str, Any]:
    """The fields of `model:` that say how variables are drawn, by the names of the copies."""
    section = model.spec.model
    moved = model.spec.model_copy(update={"model": section and copies.section(section)})
    tree: Any = read_document(Source(MODEL, dump_spec(moved))).tree
    return {name: tree["model"][name] for name in _DRAWING}


def _lines(said: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Lines, one for each thing that may differ."""
    for name, value in said.items():
        if isinstance(value, Mapping) and len(value) > 1 and len(indent) < 4:
            yield f"{indent}{name}:\n"
            yield from _lines(value, f"{indent}  ")
        else:
            plain = list(value) if isinstance(value, tuple) else value
            yield f"{indent}{name}: {one_line(plain)}\n"
