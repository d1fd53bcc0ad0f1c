"""Whether the working tree trains and draws what another commit does, to the last bit.

    python -m tests.same_as COMMIT [NAME ...] [--backends tensorflow,jax] [--keep FOLDER]

The spec of every frozen run (`tests/test_frozen.py`), or of those that are named, has all options
written out, so that changes of defaults make no difference. By the code of the commit and by that
of the working tree, each is trained for two epochs, from the start and once more stopped after the
first block and resumed; then draws of the frozen data sets are written in every format. Compared
are weights, of both trainings, and draws. What differs is printed, and the exit code is 1. What a
commit makes is kept in FOLDER, and taken from there the next time.

Not a test: it takes half an hour on two cores, and machines differ in the last bits.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
FROZEN = Path(__file__).parent / "frozen"

FORMATS = ("csv", "tsv", "jsonl", "json", "npz", "nc", "parquet")
TRAINED = "training.epochs=2"
STOPPED = 75
"""The exit code of a training that ended early."""


def work(made: Path) -> None:
    """Train and draw what the folders in `made` hold the specs of, by the code that is imported."""
    from typer.testing import CliRunner

    from abi_cli.cli import app

    os.environ["COLUMNS"] = "200"

    def abi(*words: object, code: int = 0) -> None:
        result = CliRunner().invoke(app, [*map(str, words), "-q"], prog_name="abi")
        if result.exit_code != code:
            raise SystemExit(f"abi {' '.join(map(str, words))}\n{result.stderr}{result.exception}")

    for folder in sorted(made.iterdir()):
        os.chdir(folder)
        train = ("train", "spec/spec.yaml", "-s", TRAINED, "-j", 0)
        abi(*train, "-o", "run")
        abi(*train, "-o", "resumed", "--max-time", "1s", code=STOPPED)
        abi("train", "--resume", "resumed", "-j", 0)
        (data,) = folder.glob("data.*")
        spec = yaml.safe_load(Path("spec/spec.yaml").read_text(encoding="utf-8"))
        point = "point" in spec["networks"]["inference"]
        for kind in FORMATS:
            if point and kind in ("npz", "nc"):
                continue
            asked = ("estimate",) if point else ("sample", "-n", 5)
            abi(*asked, "run", data.name, "-o", f"draws.{kind}")
            print(folder.name, kind, flush=True)


def contents(file: Path) -> dict[str, bytes]:
    """What must be equal of a file: arrays by name where it is of HDF5, else its bytes."""
    if file.suffix == ".keras":
        import zipfile

        with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as stream:
            return dict(_arrays(h5py.File(stream)))
    return dict(_arrays(h5py.File(file))) if file.suffix == ".nc" else {"": file.read_bytes()}


def _arrays(file: h5py.File) -> Iterator[tuple[str, bytes]]:
    names: list[str] = []
    file.visit(names.append)
    for name in names:
        if isinstance(file[name], h5py.Dataset):
            yield name, np.asarray(file[name][()]).tobytes()


def prepared(made: Path, names: list[str]) -> None:
    """A folder for each frozen run, with its spec, its code and its data sets."""
    for manifest in sorted(FROZEN.glob("*/*/manifest.json")):
        run = manifest.parent
        if names and run.name not in names:
            continue
        folder = made / run.name
        shutil.copytree(run / "code", folder / "spec" / "code")
        shutil.copy(run / "spec.yaml", folder / "spec")
        data = next(run.parent.glob(f"{run.name}-data.*"), ROOT / "specs/data/anscombe.csv")
        shutil.copy(data, folder / f"data{data.suffix}")


def made_by(tree: Path, backend: str, made: Path, names: list[str]) -> None:
    """Let the code of a tree do the work in a folder of its own."""
    prepared(made, names)
    environment = {**os.environ, "PYTHONPATH": str(tree), "KERAS_BACKEND": backend}
    words = (sys.executable, str(Path(__file__).resolve()), "--work", str(made))
    subprocess.run(words, env=environment, cwd=tree, check=True)


def made_before(commit: str, backend: str, made: Path, names: list[str]) -> None:
    """Let the code of a commit do it, in a worktree that is removed again."""
    git = ("git", "-C", str(ROOT), "worktree")
    with TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        subprocess.run((*git, "add", "--quiet", "--detach", str(tree), commit), check=True)
        try:
            made_by(tree, backend, made, names)
        finally:
            subprocess.run((*git, "remove", "--force", str(tree)), check=True)


def differences(one: Path, other: Path) -> Iterator[str]:
    """What differs between two folders that hold the same work."""
    for folder in sorted(path for path in one.iterdir() if (other / path.name).exists()):
        files = [f"{run}/model.keras" for run in ("run", "resumed")]
        files += sorted(path.name for path in folder.glob("draws.*"))
        for name in files:
            before, after = contents(folder / name), contents(other / folder.name / name)
            for key in sorted({*before, *after}):
                if before.get(key) != after.get(key):
                    yield f"{folder.name}/{name} {key}".rstrip()
        straight, again = (contents(folder / file) for file in files[:2])
        if straight != again:
            yield f"{folder.name}: resumed weights are not those of a training in one go"


def main() -> None:
    """Compare the working tree with a commit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("commit")
    parser.add_argument("names", nargs="*", help="of frozen runs; all without any")
    parser.add_argument("--backends", default="tensorflow,jax")
    parser.add_argument("--keep", type=Path, help="where what the commit makes is, or will be")
    chosen = parser.parse_args()
    found = []
    with TemporaryDirectory() as place:
        kept = chosen.keep or Path(place)
        for backend in chosen.backends.split(","):
            before, now = kept / f"{backend}-{chosen.commit}", Path(place) / f"{backend}-now"
            if not before.exists():
                made_before(chosen.commit, backend, before, chosen.names)
            made_by(ROOT, backend, now, chosen.names)
            found += [f"{backend}: {said}" for said in differences(before, now)]
    print("\n".join(found) or f"the same as {chosen.commit}")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(Path(sys.argv[2]))
    else:
        main()
