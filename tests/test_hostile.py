"""Files from strangers: what is damaged or means harm is refused, and nothing of it is executed."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from abi_cli.data import read_datasets, read_draws
from abi_cli.data.chains import read_independent
from abi_cli.errors import AbiError, DataError, RunError, SpecError
from abi_cli.spec import read_spec
from tests import hostile_files, hostile_models, mutations
from tests.cli import ANSCOMBE, SPECS, abi
from tests.data_examples import LINE

RUN = mutations.FROZEN / "coupling_flow"
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _nothing_is_executed(tmp_path, monkeypatch):
    """Payloads touch a file in the folder where they are executed."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("executed").exists()


@contextmanager
def refused(kind: type[AbiError], message: str) -> Iterator[None]:
    """In few words, soon, and in little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()  # not by the clock: other processes are none of its business
    with pytest.raises(kind) as error:
        yield
    assert time.process_time() - began < PATIENCE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # of KiB
    assert message in str(error.value)
    assert len(str(error.value)) < 1_500


@pytest.mark.parametrize("name", hostile_models.MODELS)
def test_a_hostile_model_is_refused(name, tmp_path):
    from abi_cli import backend

    backend.select()
    from abi_cli.run.archive import load_approximator

    content, message = hostile_models.MODELS[name]
    file = hostile_files.write(tmp_path, "model.keras", content)
    with refused(RunError, message):
        load_approximator(file)


@pytest.mark.parametrize("name", hostile_files.DATA)
def test_hostile_data_are_refused(name, tmp_path):
    suffix, content, message = hostile_files.DATA[name]
    file = hostile_files.write(tmp_path, f"data.{suffix}", content)
    with refused(DataError, message):
        read_datasets(file, LINE)


@pytest.mark.parametrize("name", hostile_files.DRAWS)
def test_hostile_draws_are_refused(name, tmp_path):
    suffix, content, message = hostile_files.DRAWS[name]
    file = hostile_files.write(tmp_path, f"draws.{suffix}", content)
    if message is None:
        assert read_draws(file).labels == ("a",)
        return
    for read in (read_draws, lambda file: read_independent([file], seed=1)):
        with refused(DataError, message):
            read(file)


@pytest.mark.parametrize("name", hostile_files.SPECS)
def test_a_hostile_spec_is_refused(name, tmp_path):
    content, message = hostile_files.SPECS[name]
    file = hostile_files.write(tmp_path, "spec.yaml", content)
    with refused(SpecError, message):
        read_spec(file)
    checked = abi("check", file)
    assert checked.exit_code == 3
    assert "\x1b" not in checked.stderr


@pytest.mark.parametrize("name", hostile_files.ESTIMATES)
def test_hostile_estimates_are_refused(name, tmp_path):
    suffix, content = hostile_files.ESTIMATES[name]
    result = abi("summary", hostile_files.write(tmp_path, f"estimates.{suffix}", content))
    assert result.exit_code == 4, result.output


QUICK = [name for name in mutations.FORMATS if name != "run"]


@pytest.mark.parametrize("name", QUICK)
def test_damaged_files_are_read_or_refused(name):
    outcome = mutations.sweep(name, 0, 50)
    assert not outcome.failures
    assert outcome.mutations == 50
    assert outcome.read
    assert outcome.refused > 10


def test_a_run_of_a_damaged_model_is_sampled_or_refused():
    outcome = mutations.sweep("run", 0, 8)
    assert not outcome.failures
    assert outcome.mutations == 8


@pytest.fixture
def run(tmp_path):
    """A run folder that tests may change."""
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def rehashed(run: Path) -> None:
    """Whoever can change files of a run can change its manifest."""
    from abi_cli.run.integrity import meaning

    manifest = json.loads((run / "manifest.json").read_text())
    for file in (run / "spec.yaml", *(run / "code").iterdir()):
        name = file.relative_to(run).as_posix()
        manifest["hashes"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest["hashes"] |= meaning((run / "spec.yaml").read_bytes())
    (run / "manifest.json").write_text(json.dumps(manifest))


COMMANDS = {
    "sample": ("sample", "run", ANSCOMBE, "-n", 3),
    "points": ("sample", "run", ANSCOMBE, "-n", 3, "--points", "mean"),
    "estimate": ("estimate", "run", ANSCOMBE, "-n", 3),
    "log-prob": ("log-prob", "run", ANSCOMBE, "--at", "at.csv"),
    "show": ("show", "run"),
    "summary": ("summary", "draws.csv"),
    "diagnose": ("diagnose", "--draws", "draws.csv", "--truth", "at.csv", "-o", "report"),
}
"""Those that execute nothing of a run or a data file."""


SETS = ("I", "II", "III", "IV")
AT = "dataset,beta[0],beta[1],sigma\n" + "".join(
    f"{label},{1 + i},{2 - i},{1 + i}\n" for i, label in enumerate(SETS)
)


@pytest.fixture
def trap(run):
    """A run whose code, and the files around it, would leave a mark if they were imported."""
    mark = "open('executed', 'w').close()\n"
    (run / "code" / "regression.py").write_text(mark)
    for name in ("regression.py", "numpy.py", "keras.py", "sitecustomize.py", "run/numpy.py"):
        (run.parent / name).write_text(mark)
    draws = "dataset,draw,beta[0],beta[1],sigma\n" + "".join(
        f"{label},{draw},{draw + 1.5},{0.1 * draw},{1 + draw}\n"
        for label in SETS
        for draw in range(30)
    )
    (run.parent / "draws.csv").write_text(draws)
    (run.parent / "at.csv").write_text(AT)
    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_execute_nothing_of_a_run(name, trap):
    rehashed(trap)
    result = abi(*COMMANDS[name])
    assert result.exit_code == 0, result.output
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["sample", "estimate", "log-prob"])
def test_parts_of_a_runs_own_are_not_executed_without_trust(name, trap):
    spec = trap / "spec.yaml"
    spec.write_text(f"use: [code/regression.py]\n{spec.read_text()}")
    rehashed(trap)
    result = abi(*COMMANDS[name])
    assert result.exit_code == 3
    assert "which is not executed here" in result.stderr
    assert not Path("executed").exists()
    assert abi("show", "run").exit_code == 0


CHANGES = {
    "model.keras": (("sample", "estimate", "log-prob", "show"), "not the file that training wrote"),
    "spec.yaml": (("sample", "estimate", "log-prob"), "is not the spec that this run was trained"),
    "code/regression.py": (("diagnose run",), "is not the code that this run was trained with"),
}
"""File of a run → the commands that need it, and what they say when it was changed."""


@pytest.mark.parametrize("how", ["truncated", "edited", "swapped"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_named(name, how, run):
    file = run / name
    content = file.read_bytes()
    other = mutations.FROZEN / "spline" / name
    file.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "edited": content + b"\n",
            "swapped": other.read_bytes() + b"\n" * name.endswith(".py"),
        }[how]
        if name != "spec.yaml" or how != "edited"
        else content.replace(b"epochs: 1", b"epochs: 9")
    )
    (run.parent / "at.csv").write_text(AT)
    commands, message = CHANGES[name]
    for command in commands:
        arguments = COMMANDS.get(command, ("diagnose", "run", "--datasets", 2, "-n", 2, "-j", 0))
        result = abi(*arguments)
        assert result.exit_code == 6, result.output
        assert message in result.stderr
        assert "hint: " in result.stderr
    if name != "model.keras":
        assert f"changed since  {name}" in abi("show", "run").stdout


def test_data_may_be_changed_in_a_run(run):
    spec = run / "spec.yaml"
    document = yaml.safe_load(spec.read_text())
    document["data"]["columns"] = {"x": "dose"}
    spec.write_text(yaml.safe_dump(document))
    Path("data.csv").write_text(ANSCOMBE.read_text().replace("x,y", "dose,y"))
    result = abi("sample", "run", "data.csv", "-n", 2)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("name", ["x", "sigma"])
def test_a_manifest_of_another_model_is_refused(name, run):
    file = run / "manifest.json"
    file.write_text(file.read_text().replace(f'"{name}"', '"z"'))
    data = ANSCOMBE.read_text().replace("x,y", "z,y" if name == "x" else "x,y")
    Path("data.csv").write_text(data)
    result = abi("sample", "run", "data.csv", "-n", 2)
    assert result.exit_code == 6
    assert "has learned other variables" in result.stderr


ESCAPES = "\x1b[31m\x1b]0;owned\x07red\x9b1m‮\rI"


def test_labels_with_escapes_are_shown_harmlessly(tmp_path):
    file = tmp_path / "draws.jsonl"
    entry = {"dataset": ESCAPES, "mu": [1.0, 2.0, 3.0], f"{ESCAPES}2": [1.0, 2.0, 4.0]}
    file.write_text(json.dumps(entry) + "\n")
    for arguments in (("summary", file), ("summary", file, "--format", "markdown")):
        shown = abi(*arguments)
        assert shown.exit_code == 0
        assert not set("\x1b\x07\x9b‮\r") & set(shown.output)
        assert "\\x1b[31m" in shown.stdout.replace("\\\\", "\\")
    (tmp_path / "data.jsonl").write_text(json.dumps({"dataset": ESCAPES, "x": [], "y": []}) + "\n")
    refused = abi("sample", RUN, tmp_path / "data.jsonl")
    assert refused.exit_code == 4
    assert not set("\x1b\x07\x9b‮\r") & set(refused.output)


FORMULAS = (
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "'=1",
    "''-x",
    "＝1",
    "-1.5",
    "'I'",
    "I",
)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_label_that_is_a_formula_is_marked_and_comes_back(suffix, tmp_path):
    from abi_cli.data import write_simulations
    from tests.data_examples import some

    file = tmp_path / f"data.{suffix}"
    write_simulations(file, some(LINE, [2] * len(FORMULAS)), LINE, labels=FORMULAS)
    cells = [
        line.split("\t" if suffix == "tsv" else ",")[0] for line in file.read_text().split("\n")
    ]
    marked = {cell.strip('"')[0] for cell in cells[1:-1]}
    assert marked == {"'", "-", "I"}
    assert [cell for cell in cells if cell.startswith("-")] == ["-1.5"] * 2
    assert tuple(read_datasets(file, LINE).labels) == FORMULAS


def test_every_csv_marks_formulas(tmp_path):
    label = "=1+1"
    data = {"dataset": label, "x": [1.0, 2.0, 3.0], "y": [1.0, 2.5, 3.0]}
    (tmp_path / "data.jsonl").write_text(json.dumps(data) + "\n")
    (tmp_path / "at.jsonl").write_text(json.dumps({"dataset": label, "beta": [1, 2], "sigma": 1}))
    tables = {
        "draws": ("sample", RUN, "data.jsonl", "-n", 3),
        "long": ("sample", RUN, "data.jsonl", "-n", 3, "--long"),
        "points": ("sample", RUN, "data.jsonl", "-n", 3, "--points", "mean"),
        "log-prob": ("log-prob", RUN, "data.jsonl", "--at", "at.jsonl"),
    }
    for name, arguments in tables.items():
        result = abi(*arguments)
        assert result.exit_code == 0, result.stderr
        rows = result.stdout.splitlines()[1:]
        assert rows
        assert all(row.startswith("'=1+1,") for row in rows), name
        (tmp_path / f"{name}.csv").write_text(result.stdout)
    for name in ("draws", "points"):
        shown = abi("summary", f"{name}.csv", "--json")
        assert {row["dataset"] for row in json.loads(shown.stdout)["rows"]} == {label}
        assert abi("summary", f"{name}.csv", "--format", "csv").stdout.count("'=1+1") == 3


def test_names_in_files_of_draws_are_text_in_the_report():
    image, script = "<img src=x onerror=alert(1)>", "<script>alert(2)</script>"
    lines = [f"{image}{n},{draw},{draw + n}" for n in range(4) for draw in range(30)]
    Path("draws.csv").write_text("\n".join([f"dataset,draw,{script}", *lines]))
    truths = [f"{image}{n},{10 + n}" for n in range(4)]
    Path("truth.csv").write_text("\n".join([f"dataset,{script}", *truths]))
    result = abi("diagnose", "--draws", "draws.csv", "--truth", "truth.csv", "-o", "report")
    assert result.exit_code == 0, result.output
    report = Path("report/report.html").read_text()
    assert not [word for word in ("<img src=x", "<script") if word in report]
    assert "&lt;script&gt;" in report


def test_markdown_and_latex_are_escaped(tmp_path):
    label = "[a](http://x)|<script>\\input{x}`$&_*~\nb"
    entry = {"dataset": label, "mu": [1.0, 2.0, 3.0]}
    (tmp_path / "draws.jsonl").write_text(json.dumps(entry) + "\n")
    markdown = abi("summary", "draws.jsonl", "--format", "markdown").stdout
    assert len(markdown.splitlines()) == 3
    assert "<script>" not in markdown
    assert "](" not in markdown
    assert "\\|&lt;script&gt;" in markdown
    latex = abi("summary", "draws.jsonl", "--format", "latex").stdout
    assert "\\input" not in latex
    assert "\n{}[a](http://x)|<script>\\textbackslash{}input\\{x\\}`\\$\\&\\_*" in latex


def test_a_sample_of_damaged_files_goes_through_the_whole_command(tmp_path):
    codes = set()
    for name in ("CSV", "JSONL", "NPZ", "netCDF"):
        fmt = mutations.FORMATS[name]
        draws = fmt.contents()[2]
        for seed in range(5):
            damaged = fmt.damage(draws, np.random.default_rng([seed, 9]))
            file = hostile_files.write(tmp_path, f"draws.{fmt.suffix}", damaged)
            result = abi("summary", file)
            assert result.exit_code in (0, 4), (name, seed, result.output)
            assert "Traceback" not in result.output
            codes.add(result.exit_code)
        sets = fmt.contents()[0]
        damaged = fmt.damage(sets, np.random.default_rng([1, 9]))
        file = hostile_files.write(tmp_path, f"data.{fmt.suffix}", damaged)
        assert abi("sample", RUN, file, "-n", 2).exit_code in (0, 4), name
    assert codes == {0, 4}
    for seed in range(3):
        text = mutations.FORMATS["YAML"].damage(
            (SPECS / "conjugate.yaml").read_bytes(), np.random.default_rng([seed, 9])
        )
        shutil.copy(SPECS / "conjugate.py", tmp_path)
        checked = abi("check", hostile_files.write(tmp_path, "spec.yaml", text))
        assert checked.exit_code in (0, 1, 3, 4, 5), checked.output


@pytest.mark.soak
def test_two_thousand_damaged_files_of_each_format(capsys):
    lines = [f"{'format':12} mutations   read  refused  failed  worst s  worst MiB"]
    failures = []
    for name in mutations.FORMATS:
        outcome = mutations.sweep(name, 0, 200 if name == "run" else 2_000)
        failures += outcome.failures
        lines.append(
            f"{name:12} {outcome.mutations:9,} {outcome.read:6,} {outcome.refused:8,} "
            f"{len(outcome.failures):7} {outcome.seconds:8.2f} {outcome.mebibytes:10.0f}"
        )
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not failures
