"""What a person sees who gave a command bad input, to the letter.

`python -m tests.test_cli_errors` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli import SMALL, SPECS, abi

GOLDEN = Path(__file__).parent / "golden" / "cli_errors.txt"

HEADER = "dataset,x,y\n"
DATA = HEADER + "I,0.1,1\nI,0.2,2\nI,0.3,3\nI,0.4,4\nI,0.5,5\n"
PRIOR = SPECS.joinpath("regression.py").read_text()
SPEC = SPECS.joinpath("regression.yaml").read_text()

FILES = {
    "good.csv": DATA,
    "missing_column.csv": DATA.replace("dataset,x,y", "dataset,x,Y"),
    "text.csv": DATA.replace("0.3", "0.3 cm"),
    "comma.csv": DATA.replace("0.3", '"0,3"'),
    "nan.csv": DATA.replace("0.3", "NA"),
    "empty_cell.csv": DATA.replace("0.3", ""),
    "empty.csv": "",
    "header.csv": HEADER,
    "empty_set.jsonl": '{"dataset": "I", "x": [1], "y": [1]}\n{"dataset": 2, "x": [], "y": []}\n',
    "lengths.jsonl": '{"dataset": "I", "x": [1, 2, 3], "y": [1, 2]}\n',
    "short.csv": HEADER + "A,0.1,1\nA,0.2,2\n",
    "unused.csv": DATA.replace("\n", ",9\n").replace("y,9", "y,z"),
    "subjects.csv": "subject,x,y\n" + "".join(f"{s},0.{i},{i}\n" for s in "AB" for i in range(5)),
    "factor.csv": DATA.replace("0.1", "low").replace("0.2", "high").replace("0.3", "low"),
    "logical.csv": HEADER + "I,TRUE,1\nI,FALSE,2\n",
    "dates.csv": HEADER + "I,2024-01-31,1\nI,2024-02-01,2\n",
    "lines.jsonl": '{"x": 0.1, "y": 1}\n{"x": 0.2, "y": 2}\n',
    "written_table.csv": "x,y\n1,0.1,1\n2,0.2,2\n",
    "wide.csv": "dataset,x1,x2,y\nI,0.1,0.2,3\n",
    "three.csv": "dataset,beta[1],beta[2],beta[3],sigma\nI,1,2,3,4\n",
    "stan.yaml": SPEC.replace("regression.py", "model.py").replace(
        "prior: model.py:prior",
        "prior: {beta: normal(0, 5), sigma: gamma(2, 0.1)}",
    ),
    "sizes.yaml": SPEC.replace("regression.py", "model.py").replace(
        "prior: model.py:prior",
        "prior: model.py:prior\n  given: {z: {normal: {size: [N, 3]}}}",
    ),
    "nothing.yaml": SPEC.replace("regression.py", "model.py").replace(
        "as_set: [x, y]", "as_set: [x, z]"
    ),
    "theta.csv": "dataset,beta[0],beta[1],sigma\nII,1,2,3\n",
    "notes.txt": "not a spec\n",
    "spec.yaml": SPEC.replace("regression.py", "model.py"),
    "model.py": PRIOR,
    "misspelt.yaml": SPEC.replace("regression.py:prior", "model.py:pryor").replace(
        "regression.py", "model.py"
    ),
    "no_file.yaml": SPEC.replace("regression.py", "modl.py"),
    "raises.py": PRIOR.replace("    intercept, slope = beta", "    intercept, slope = beta[:1]"),
    "raises.yaml": SPEC.replace("regression.py", "raises.py"),
    "nan.py": PRIOR.replace(
        'return {"x": x, "y": y}', 'return {"x": x, "y": y / 0 * (sigma < 9)}'
    ).replace("import numpy as np", "import numpy as np\n\nnp.seterr(all='ignore')"),
    "nan.yaml": SPEC.replace("regression.py", "nan.py"),
    "list.py": PRIOR.replace('return {"x": x, "y": y}', "return x, y"),
    "list.yaml": SPEC.replace("regression.py", "list.py"),
    "shape.yaml": SPEC.replace("regression.py", "model.py").replace("  - as_set: [x, y]\n", ""),
    "argument.py": PRIOR.replace("likelihood(beta, sigma, N)", "likelihood(beta, sgima, N)"),
    "argument.yaml": SPEC.replace("regression.py", "argument.py"),
    "lost.yaml": SPEC.replace("regression.py", "model.py").replace("[beta, sigma]", "[beta]"),
    "beside.yaml": SPEC.replace("regression.py", "model.py").replace(
        "[x, y], into", "[x, N], into"
    ),
    "folded.yaml": SPEC.replace("regression.py", "model.py").replace(
        "constrain: {keys: sigma, lower: 0}", "sqrt: sigma"
    ),
    "declared.yaml": SPEC.replace("regression.py", "model.py").replace(
        "prior: model.py:prior",
        "prior: {beta: {normal: {size: 2}}, tau: {normal: {loc: -9}}, sigma: {gamma: tau}}",
    ),
    "support.yaml": SPEC.replace("regression.py", "model.py").replace("lower: 0", "lower: 1"),
}
"""What lies in the folder that the commands are called in, beside `run`, a trained run."""

CALLS = {
    "no such data": ("sample", "run", "goood.csv"),
    "missing column": ("sample", "run", "missing_column.csv"),
    "text in a number column": ("sample", "run", "text.csv"),
    "comma in a number": ("sample", "run", "comma.csv"),
    "missing value": ("sample", "run", "nan.csv"),
    "empty cell": ("sample", "run", "empty_cell.csv"),
    "empty file": ("sample", "run", "empty.csv"),
    "header only": ("sample", "run", "header.csv"),
    "empty data set": ("sample", "run", "empty_set.jsonl"),
    "lengths that differ": ("sample", "run", "lengths.jsonl"),
    "data of no known format": ("sample", "run", "notes.txt"),
    "output of no known format": ("sample", "run", "good.csv", "-o", "draws.dat"),
    "output that is taken": ("sample", "run", "good.csv", "-o", "theta.csv"),
    "output into a folder that is not there": ("sample", "run", "good.csv", "-o", "no/draws.csv"),
    "a label of another name": ("sample", "run", "subjects.csv"),
    "a factor": ("sample", "run", "factor.csv"),
    "TRUE and FALSE": ("sample", "run", "logical.csv"),
    "dates": ("sample", "run", "dates.csv"),
    "rows of a table as lines of JSON": ("sample", "run", "lines.jsonl"),
    "row names without a header": ("sample", "run", "written_table.csv"),
    "a table that is wide in part": ("sample", "run", "wide.csv"),
    "too many elements": ("log-prob", "run", "good.csv", "--at", "three.csv"),
    "distributions as calls": ("check", "stan.yaml"),
    "a size with a variable in a list": ("check", "sizes.yaml"),
    "a set of what nothing draws": ("check", "nothing.yaml"),
    "a label that the data lack": ("log-prob", "run", "good.csv", "--at", "theta.csv"),
    "no such run": ("sample", "rnu", "good.csv"),
    "a folder that is no run": ("sample", ".", "good.csv"),
    "a spec instead of a run": ("sample", "spec.yaml", "good.csv"),
    "the model instead of the run": ("sample", "run/model.keras", "good.csv"),
    "a run that was not trained to its end": ("sample", "unfinished", "good.csv"),
    "a damaged run": ("sample", "damaged", "good.csv"),
    "no draws": ("summary", "good.csv"),
    "no such spec": ("check", "spce.yaml"),
    "not a spec": ("check", "notes.txt"),
    "a bad override": ("train", "spec.yaml", "-s", "training.epoch=3"),
    "a function that is not there": ("train", "misspelt.yaml"),
    "a file that is not there": ("train", "no_file.yaml"),
    "a function that raises": ("train", "raises.yaml"),
    "a function that returns NaN": ("train", "nan.yaml"),
    "a function that returns no dict": ("train", "list.yaml"),
    "an argument that nothing gives": ("train", "argument.yaml"),
    "a shape that varies": ("check", "shape.yaml"),
    "a draw outside the support": ("train", "support.yaml"),
    "a check that is not passed": ("check", "support.yaml"),
    "a step on a variable that nothing makes": (
        "train",
        "spec.yaml",
        "-s",
        "adapter.2.constrain.keys=sgma",
    ),
    "a parameter that is lost": ("train", "lost.yaml"),
    "a set beside a number": ("train", "beside.yaml"),
    "a parameter through a square root": ("train", "folded.yaml"),
    "sets without a summary network": ("train", "spec.yaml", "-s", "networks.summary=null"),
    "a callback without what it watches": (
        "train",
        "spec.yaml",
        "-s",
        "training.callbacks=[early_stopping]",
    ),
    "a parameter that the prior lacks": (
        "train",
        "spec.yaml",
        "-s",
        "parameters={bta: {}}",
    ),
    "a declared draw that fails": ("train", "declared.yaml"),
    "a run that is there already": ("train", "spec.yaml", "-o", "run"),
    "a folder of somebody else's": ("train", "spec.yaml", "-o", ".", "--force"),
    "a context that is none": ("simulate", "spec.yaml", "--context", "n=3"),
}


def _lay_out(folder: Path, run: Path) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for name in ("run", "unfinished", "damaged"):
        shutil.copytree(run, folder / name)
        shutil.rmtree(folder / name / "diagnostics", ignore_errors=True)
    manifest = folder / "unfinished" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"trained": true', '"trained": false'))
    model = folder / "damaged" / "model.keras"
    model.write_bytes(model.read_bytes()[:-100])


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def transcript(name: str) -> str:
    """What a call prints, its exit code, and whether it left anything behind."""
    before = _everything(Path())
    result = abi(*CALLS[name], "--progress", "none")
    lines = [f"=== {name}", f"$ abi {' '.join(CALLS[name])}", result.stderr.rstrip()]
    if result.stdout and CALLS[name][0] != "check":
        lines.append(f"standard output: {result.stdout!r}")
    if _everything(Path()) != before:
        lines.append("files were changed")
    text = "\n".join([*lines, f"exit code {result.exit_code}", ""])
    return text.replace(str(Path.cwd()), "FOLDER")


@pytest.fixture(scope="module")
def laid_out(small_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad_input")
    _lay_out(folder, small_run)
    with _inside(folder):
        yield


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("laid_out")
def test_bad_input_is_met_as_the_transcript_says(name):
    sections = GOLDEN.read_text().split("\n=== ")
    expected = {text.removeprefix("=== ").partition("\n")[0]: text for text in sections}
    assert (
        transcript(name).removeprefix("=== ").strip() == expected[name].removeprefix("=== ").strip()
    )


def test_the_transcript_has_no_crash_and_nothing_half_written():
    text = GOLDEN.read_text()
    for word in ("Traceback", "bug in abi", "files were changed", "standard output:"):
        assert word not in text


@pytest.mark.usefixtures("laid_out")
def test_what_may_not_be_meant_is_a_warning():
    for name, words in (("short.csv", "N = 2, trained on 5 to 14"), ("unused.csv", "no use for")):
        result = abi("sample", "run", name, "-n", 2, "--format", "csv", "--progress", "none")
        assert result.exit_code == 0
        assert words in result.stderr
        quiet = abi("sample", "run", name, "-n", 2, "--format", "csv", "-q")
        assert quiet.stderr == ""


@pytest.mark.usefixtures("laid_out")
def test_a_traceback_is_shown_on_request():
    result = abi("sample", "run", "empty.csv", "--traceback")
    assert "Traceback" in result.output or "DataError" in result.output
    assert result.exit_code == 4


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, _inside(Path(scratch)):
        abi("train", SPECS / "regression.yaml", "-o", "small", *SMALL)
        Path("folder").mkdir()
        _lay_out(Path("folder"), Path("small").resolve())
        with _inside(Path("folder")):
            GOLDEN.write_text("\n".join(map(transcript, CALLS)))
