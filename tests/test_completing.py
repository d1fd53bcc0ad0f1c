"""What shells offer at the press of a key, without loading a backend."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli import SPECS

CODE = (
    "import sys\nfrom abi_cli.cli.app import app\nfrom abi_cli import cli\n"
    "try:\n    app(prog_name='abi')\n"
    "finally:\n"
    "    heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib', 'pandas'}\n"
    "    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completing")
    for name in ("base", "spline"):
        (folder / "runs" / name).mkdir(parents=True)
        (folder / "runs" / name / "manifest.json").write_text("{}")
    (folder / "runs" / "other").mkdir()
    (folder / "model.yaml").write_bytes((SPECS / "regression.yaml").read_bytes())
    (folder / "data.csv").write_text("x,y\n")
    return folder


def bash(folder, line):
    """What bash would offer at the end of a line."""
    variables = {
        "_ABI_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    return offered(folder, variables)


def offered(folder, variables):
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
    )
    assert result.stderr == ""
    return result.stdout.split("\n")[:-1]


OFFERED = {
    "abi sa": ["sample"],
    "abi sample ": ["runs/base", "runs/spline", "runs/"],
    "abi sample runs/b": ["runs/base", "runs/base/"],
    "abi sample runs/base da": ["data.csv"],
    "abi sample runs/base x=da": ["x=data.csv"],
    "abi train mo": ["model.yaml"],
    "abi train model.yaml -s training.num": ["training.num_batches="],
    "abi train model.yaml -s adapter.3": ["adapter.3.standardize.exclude="],
    "abi train model.yaml --backend j": ["jax"],
    "abi list sch": ["schedule"],
    "abi explain coupling": ["coupling_flow"],
    "abi explain E10": ["E101", "E102", "E103", "E104", "E105", "E106", "E107", "E108", "E109"],
}


@pytest.mark.parametrize("line", OFFERED)
def test_bash_is_offered(line, folder):
    assert bash(folder, line) == OFFERED[line]


def test_zsh_and_fish_are_offered_the_same_with_explanations(folder):
    line = "abi train model.yaml -s training.num"
    (zsh,) = offered(folder, {"_ABI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line})
    assert '"training.num_batches=":"now 128"' in zsh
    fish = {"_ABI_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert offered(folder, {**fish, "_TYPER_COMPLETE_ARGS": line}) == [
        "training.num_batches=\tnow 128"
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell, folder):
    shown = subprocess.run(
        [sys.executable, "-c", CODE, "--show-completion", shell],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=False,
    )
    assert "_ABI_COMPLETE" in shown.stdout, shown.stderr
