"""The command line before any work: quick to start, helpful when called wrongly."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from abi_cli import cli
from abi_cli.cli import app
from abi_cli.errors import UsageError
from abi_cli.run.lock import LOCK, is_locked
from tests.cli import SPECS

HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib", "pandas", "scipy", "numpy", "rich")


def abi(*arguments: str):
    return CliRunner().invoke(app, [*arguments], prog_name="abi")


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    finished = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in finished.stderr.split()}


def test_help_imports_nothing_heavy():
    loaded = modules_after(
        "from abi_cli.cli import app\n"
        "try:\n    app(['--help'], prog_name='abi')\nexcept SystemExit:\n    pass"
    )
    assert not loaded & set(HEAVY)


def test_importing_the_package_is_cheap():
    assert not modules_after("import abi_cli; abi_cli.load") & {*HEAVY, "typer"}


@pytest.mark.parametrize(
    "what", ["from abi_cli.workflow import *", "import abi_cli.console.reports"]
)
def test_what_needs_no_network_imports_no_backend(what):
    loaded = modules_after(what)
    assert not loaded & {"keras", "tensorflow", "jax", "torch", "matplotlib", "pandas"}


def test_training_imports_nothing_that_it_has_no_use_for():
    loaded = modules_after(
        "from abi_cli import backend, workflow; workflow.train; backend.select('tensorflow')\n"
        "import abi_cli.training.loop"
    )
    assert {"keras", "tensorflow"} <= loaded
    assert not loaded & {"jax", "torch", "matplotlib", "pandas"}


def test_what_a_backend_leaves_out_can_be_imported_afterwards():
    loaded = modules_after(
        "from abi_cli import backend; backend.select('tensorflow')\n"
        "import pandas, matplotlib.pyplot, tensorflow as tf\n"
        "assert tf.compat.v1.Session and tf.lite.TFLiteConverter and tf.feature_column"
    )
    assert {"pandas", "matplotlib"} <= loaded


def test_help_has_commands_in_the_order_of_the_work():
    text = abi("--help").stdout
    order = ("init", "check", "train", "diagnose", "sample", "predict", "report")
    places = [text.index(f"\n  {name} ") for name in order]
    assert places == sorted(places)


def test_help_says_what_each_command_does_on_its_line():
    assert "..." not in abi("--help").stdout.replace("[ARGS]...", "")


@pytest.mark.parametrize("command", sorted(get_command(app).commands))
def test_every_command_has_help_with_examples(command):
    result = abi(command, "--help")
    assert result.exit_code == 0
    assert f"abi {command} " in result.stdout.partition("Examples:")[2]
    for option in ("--json", "--quiet", "--progress", "--traceback"):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("trian",), "Did you mean 'train'?"),
        (("train",), "Expected SPEC, or --resume RUN"),
        (("check",), "Missing argument 'SPEC'"),
        (("train", "s.yaml", "--sede", "3"), "--seed"),
        (("train", "s.yaml", "--seed", "-1"), "--seed"),
        (("train", "s.yaml", "--backend", "thano"), "tensorflow"),
        (("sample", "run", "d.csv", "-n", "0"), "--draws"),
        (("sample", "run", "d.csv", "-n", "ten"), "--draws"),
        (("list", "stpe"), "Expected a kind of part"),
        (("simulate", str(SPECS / "regression.yaml"), "--context", "N"), "NAME=NUMBER"),
    ],
)
def test_a_wrong_call_is_refused_on_standard_error(arguments, message):
    result = abi(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_the_version_is_one_line():
    from abi_cli import __version__

    assert abi("--version").stdout == f"abi {__version__}\n"


def test_windows_is_told_of_its_linux(monkeypatch, tmp_path):
    windows = SimpleNamespace(name="nt", environ=dict(os.environ), devnull=os.devnull)
    with monkeypatch.context() as patch:
        patch.setattr(cli, "os", windows)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert "not on Windows itself\nhint: On Windows it runs in WSL" in ended.value.code
    (tmp_path / LOCK).touch()
    monkeypatch.setitem(sys.modules, "fcntl", None)  # which Windows has not
    with pytest.raises(UsageError, match="not on Windows") as refused:
        is_locked(tmp_path)
    assert "WSL" in refused.value.hint
