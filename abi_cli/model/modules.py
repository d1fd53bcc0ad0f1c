"""A person's own Python files, imported without getting in anybody's way.

A model's functions live in files beside the spec, which may import one another by their plain
names (`import helpers`), as they could if they were run as scripts. Two specs may both have a
`helpers.py`, and one may be called `queue.py` like a module that others need. So the modules of
each folder are in `sys.modules` only while its code runs.

A file's module is called like the file, so that processes which that code starts can import it, and
find what they are to call. There the folder is the last place where modules are looked for; here
the files beside the spec come first, but for names of the standard library, which are never theirs.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import os
import re
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from abi_cli import underway
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.harmless import described
from abi_cli.model import children
from abi_cli.registry import Part, enlist

PACKAGE = Path(__file__).parents[1]


class _Beside:
    """A finder of modules that prefers those beside the spec to installed ones of the same names.

    Arguments:
        folders: Where to look; may grow.
    """

    def __init__(self, folders: Sequence[str]):
        self._folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, _target: object = None
    ) -> ModuleSpec | None:
        """The spec of a module beside the spec, for `importlib.abc.MetaPathFinder`."""
        if path is not None or fullname in sys.stdlib_module_names:
            return None
        spec = PathFinder.find_spec(fullname, [*self._folders])
        # A mere folder is a package only where nothing else has its name.
        return None if spec is None or spec.loader is None else spec


class UserModules:
    """The modules loaded from one folder.

    Arguments:
        base_dir: The folder that references are relative to, absolute.
    """

    def __init__(self, base_dir: Path) -> None:
        self.base_dir = base_dir
        self._modules: dict[str, ModuleType] = {}
        self._loaded: dict[str, ModuleType] = {}
        self._search = [str(base_dir)]
        self._beside = _Beside(self._search)
        self._stamps: dict[Path, tuple[int, int] | None] = {}
        self._threads: list[int] = []

    def load(self, reference: str) -> ModuleType:
        """The module `file.py` (relative to the folder) or `package.module`, executed once.

        Errors:
            SpecError: There is no such module.
            UserFunctionError: Its own code raised while it was imported.
        """
        if reference in self._loaded:
            return self._loaded[reference]
        with self.at_hand():
            importlib.invalidate_caches()
            try:
                if reference.endswith(".py"):
                    module = self._load_file(self.base_dir / reference)
                else:
                    module = self._load_dotted(reference)
            except (SpecError, UserFunctionError, KeyboardInterrupt):
                raise
            except BaseException as error:
                stopped = isinstance(error, underway.Stopped)
                raise UserFunctionError(
                    f"importing {reference} {error if stopped else f'raised {described(error)}'}",
                    place=reference,
                    frames=own_frames(error, self.base_dir),
                ) from error
        self._loaded[reference] = module
        self._stamps = {path: _stamp(path) for path in self.files()}
        return module

    def _load_file(self, path: Path) -> ModuleType:
        if not path.is_file():
            raise _no_file(path, self.base_dir)
        self._extend_search(path.parent)
        name = self._name(path)
        if name in self._modules:  # a file before this one has imported it
            return self._modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise SpecError(f"expected a Python file; got {path.name}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look for the module that they are defined in
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        self._modules[name] = module
        return module

    def _name(self, path: Path) -> str:
        """The module's own name, or another if the standard library or a package has that one."""
        name = path.stem
        if name in self._modules:
            free = _file(self._modules[name]) == path
        else:
            free = name not in (*sys.modules, *sys.stdlib_module_names) and _found(name) == path
        return name if free else "_user_" + re.sub(r"\W", "_", os.path.relpath(path, self.base_dir))

    def _load_dotted(self, name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, but one that it imports isn't
            raise SpecError(
                f"expected a module that can be imported; got {name}: there is no {error.name}",
                hint=f"A file beside the spec is written with its ending: {name}.py:function. "
                "A package must be installed where abi is.",
            ) from None

    def _extend_search(self, folder: Path) -> None:
        """Files import what is in their own folder, and in those around it up to the spec's."""
        folders = [folder]
        if folder.is_relative_to(self.base_dir):
            while folders[-1] != self.base_dir:
                folders.append(folders[-1].parent)
        new = [str(folder) for folder in folders if str(folder) not in self._search]
        self._search[:0] = new
        self._append_to_path()

    def _append_to_path(self) -> None:
        """A context in which processes that the code starts take over the search path."""
        sys.path += [folder for folder in self._search if folder not in sys.path]

    def still_at_hand(self) -> AbstractContextManager[None]:
        """A context as `at_hand`, entered once only: nested calls do nothing, which saves 1 ms."""
        return nullcontext() if threading.get_ident() in self._threads else self.at_hand()

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """The folder's modules can be imported by name, and what they print goes to stderr."""
        self._threads.append(threading.get_ident())
        before = set(sys.modules)
        hidden = {name: sys.modules[name] for name in self._modules.keys() & before}
        sys.modules.update(self._modules)
        path = [*sys.path]
        self._append_to_path()
        sys.meta_path.insert(0, self._beside)
        children.prepare()
        no_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # no litter
        try:
            with redirect_stdout(sys.stderr), underway.at_hand():  # stdout is for data
                yield
        finally:
            self._threads.pop()
            sys.dont_write_bytecode = no_bytecode
            sys.meta_path.remove(self._beside)
            for folder in self._search:
                if folder not in path and folder in sys.path:
                    sys.path.remove(folder)
            for name in sys.modules.keys() - before:
                if name.partition(".")[0] not in before and self._owns(name, sys.modules[name]):
                    self._modules[name] = sys.modules[name]
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def _owns(self, name: str, module: ModuleType) -> bool:
        """True if a module was found through the search path: `helpers`, or `package.part`."""
        for folder in self._search:
            place = Path(folder, *name.split("."))
            path = _file(module)
            if path is None:
                if str(place) in getattr(module, "__path__", ()):  # a package without __init__.py
                    return True
            elif path == place / "__init__.py" or (
                path.parent == place.parent and path.name.partition(".")[0] == place.name
            ):
                return True
        return False

    def files(self) -> tuple[Path, ...]:
        """The files that were loaded, sorted."""
        paths = map(_file, self._modules.values())
        return tuple(sorted(path for path in paths if path is not None))

    def files_of(self, references: Collection[str]) -> tuple[Path, ...]:
        """The files that some references need, loaded by now or imported later, sorted.

        Files that others alone need, those of other specs of the folder, are left out. What nobody
        is known to need, as where a name is put together while code runs, is kept.
        """
        own = self._needed(self._loaded.keys() & set(references))
        others = self._needed(self._loaded.keys() - set(references))
        return tuple(sorted(own | (set(self.files()) - others)))

    def _needed(self, references: Collection[str]) -> set[Path]:
        """Files of the folder that the code of some imports, and that the code of these does."""
        waiting = {self._loaded[reference].__name__ for reference in references}
        found: dict[str, Path | None] = {}
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = path = self._place(name)
                waiting |= set() if path is None else _imported(name, path)
        return {path for path in found.values() if path is not None}

    def _place(self, name: str) -> Path | None:
        """The file of a module of the folder, if it is one."""
        if name in self._modules:
            return _file(self._modules[name])
        if name.partition(".")[0] in sys.stdlib_module_names:
            return None
        places = [Path(folder, *name.split(".")) for folder in self._search]
        files = [f for p in places for f in (p / "__init__.py", p.with_name(f"{p.name}.py"))]
        return next((file for file in files if file.is_file()), None)

    def changed(self) -> bool:
        """True if a file was changed since it was loaded."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())


def load_parts(base_dir: Path, reference: str) -> None:
    """Let the parts that a person's module defines be found, in processes that need them, too.

    Arguments:
        base_dir: The folder that the reference is relative to, absolute.
        reference: `file.py` or `package.module`.

    Errors:
        SpecError: There is no such module, or it defines no part.
        UserFunctionError: Its own code raised while it was imported.
    """
    refresh(base_dir)
    module = user_modules(base_dir).load(reference)
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Part)
        and value.__module__ == module.__name__
        and "kind" in vars(value)
    ]
    if not own:
        raise SpecError(
            f"expected parts in {reference}; it defines none",
            hint='Decorate them: @part("step", "my_step"), from abi_cli.registry.',
            place="use",
        )
    for cls in own:
        enlist(cls, partial(load_parts, base_dir, reference))


_known: dict[Path, UserModules] = {}


def user_modules(base_dir: Path) -> UserModules:
    """The modules of a folder (absolute), as they were loaded in this process."""
    if base_dir not in _known:
        _known[base_dir] = UserModules(base_dir)
    return _known[base_dir]


def refresh(base_dir: Path) -> None:
    """Forget the modules of a folder (absolute) if one of its files was changed since."""
    if base_dir in _known and _known[base_dir].changed():
        del _known[base_dir]


def own_frames(error: BaseException, base_dir: Path) -> tuple[str, ...]:
    """The frames of a traceback that lie in a folder; where none does, all but ours."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not Path(frame.filename).is_relative_to(PACKAGE) and "<frozen" not in frame.filename
    ]
    own = [frame for frame in frames if _is_own(Path(frame.filename), base_dir)]
    lines = [
        f"{_shown(frame.filename, base_dir)}:{frame.lineno} in {frame.name}\n    {frame.line}"
        for frame in own or frames
    ]
    if isinstance(error, SyntaxError) and error.filename is not None:  # has no frame of its own
        text = (error.text or "").strip()
        lines.append(f"{_shown(error.filename, base_dir)}:{error.lineno}\n    {text}")
    return tuple(lines)


def _is_own(path: Path, base_dir: Path) -> bool:
    return path.is_relative_to(base_dir) and "site-packages" not in path.parts


def _shown(filename: str, base_dir: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(base_dir)) if path.is_relative_to(base_dir) else filename


def _file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file)


def _imported(name: str, path: Path) -> set[str]:
    """Names of what the code of a module imports, anywhere in it, and of the packages around."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = {name}
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # compiled code; or it would not be imported
        return set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            place = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            found |= {place, *(f"{place}.{alias.name}" for alias in node.names)}
    parts = [one.split(".") for one in found]
    return {".".join(part[:depth]) for part in parts for depth in range(1, len(part) + 1)}


def _found(name: str) -> Path | None:
    """The file that a process would import under this name which this one starts."""
    finders = [finder for finder in sys.meta_path if not isinstance(finder, _Beside)]
    found = (finder.find_spec(name, None) for finder in finders)
    spec = next((spec for spec in found if spec is not None), None)
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _no_file(path: Path, base_dir: Path) -> SpecError:
    names = sorted(file.name for file in path.parent.glob("*.py"))
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"Did you mean {near[0]}?" if near else "Paths are relative to the spec's folder."
    return SpecError(
        f"expected the file {_shown(str(path), base_dir)} in {base_dir}; there is none", hint=hint
    )
