"""The code of a spec where a run or a bank keeps it, and the spec that names the copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from abi_cli import run
from abi_cli.registry import Part
from abi_cli.spec import DesignSection, ModelSection
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
