"""Stories of the manual, README's first own model: their commands work when copied in order."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

import pytest

from abi_cli.spec import read_spec
from tests.cli import ROOT, SPECS, abi
from tests.documents import README, blocks, lines

PAGES = ROOT / "abi_cli" / "pages"
STORIES = ["outbreak", "conflict", "ozone"]
SHORT = {
    "train": [
        *("-s", "training.epochs=1", "-s", "training.num_batches=2"),
        *("-s", "training.batch_size=32", "-j", "0"),
    ],
    "diagnose": ["--datasets", "20", "-n", "20", "-j", "0"],
    "predict": ["-n", "5", "-j", "0"],
    "report": ["-n", "100", "-j", "0"],
}
"""What makes a command short, for all that it does."""


def story(name):
    return (PAGES / f"story-{name}.md").read_text(encoding="utf-8")


def commands(text):
    return [line for block in blocks(text, "console") for line in lines(block)]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """What a person has who has cloned the repository."""
    shutil.copytree(SPECS, tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def followed(typed):
    """Every command in order, each to its end; what was said."""
    said = ""
    for line in typed:
        name, *arguments = shlex.split(line)
        if name != "abi":
            subprocess.run(line, shell=True, check=True)  # noqa: S602  # a line of a page of ours
            continue
        result = abi(*arguments, *SHORT.get(arguments[0], []))
        assert result.exit_code == 0, (line, result.stderr)
        said += result.output
    return said


@pytest.mark.parametrize("name", STORIES)
def test_specs_and_functions_that_are_shown_are_those_shipped(name):
    text = story(name)
    for kind, end in (("yaml", "yaml"), ("python", "py")):
        shown = max(blocks(text, kind), key=len).strip("\n")
        assert shown in (SPECS / "stories" / f"{name}.{end}").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((SPECS / "stories").glob("*.yaml")), ids=lambda p: p.stem)
def test_specs_of_stories_are_named_after_their_files(path):
    assert read_spec(path).name == path.stem


@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("name", STORIES)
def test_the_data_of_a_story_fit_its_model(name):
    (line,) = [line for line in commands(story(name)) if line.startswith("abi check")]
    result = abi(*shlex.split(line)[1:], "--format", "concise")
    assert result.exit_code == 0, result.output
    assert "unlike" not in result.output


def test_an_outbreak_can_be_followed_to_its_draws(clone):
    quick = ("abi train", "abi sample", "abi summary")
    said = followed([line for line in commands(story("outbreak")) if line.startswith(quick)])
    assert "R0" in said
    assert (clone / "outbreak.nc").exists()


@pytest.mark.soak
@pytest.mark.usefixtures("clone")
@pytest.mark.parametrize("name", STORIES)
def test_every_story_can_be_followed_to_its_end(name):
    followed(commands(story(name)))


@pytest.mark.soak
def test_the_first_own_model_of_the_readme_can_be_followed(clone):
    text = README.read_text(encoding="utf-8")
    section = re.search(r"^## Your first own model\n(.*?)^## ", text, re.M | re.S)
    assert section is not None
    followed(commands(section[1]))
    assert (clone / "trial.html").exists()
