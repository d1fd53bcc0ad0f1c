"""Messages of the commands, to the letter: what is asked and what is answered, in one file.

Each file of `TRANSCRIPTS` is both the cases and their answers. A section, from `=== TITLE` to the
next, is played in an empty folder: `--- NAME` begins a file in it, which goes on to the next such
line; `$ abi …` is a command, below which stands what it says, and its exit code where it isn't 0.
Files before the first section are there in all of them. As in a shell, `< FILE` is standard input,
`> FILE` takes standard output, and `| findings` leaves of what `check` prints what it found. A run
of `tests/frozen` is there once a command names it, and a `run` of the regression spec.

    python -m tests.test_transcripts            # writes all answers anew; read the diff
    python -m tests.test_transcripts files      # those of one file
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from abi_cli.workflow.checking import rehearsing
from tests.cli import SMALL, SPECS, abi

GOLDEN = Path(__file__).parent / "golden"
FROZEN = Path(__file__).parent / "frozen" / "abi.run-1"
RUNS = {"run", *(place.name for place in FROZEN.iterdir() if place.is_dir())}
TRANSCRIPTS = ("files", "checks", "posteriors")

_VARIES = (
    (re.compile(r"(?m)\b\d+(\.\d+)? (ms|s)\b(?= (a|for|of|on)\b|,|$|\))"), "… s"),
    (re.compile(r"(?<=abi )\d+\.\d+\.\d+\S*"), "…"),
)
"""What is another thing on every machine → what stands for it."""


_FINDINGS = re.compile(r"(?m)^(?:warning|error): .*(?:\n  .*)*")


@dataclass(frozen=True)
class Section:
    """A case.

    Arguments:
        files: Name → text.
        lines: The section as it stands in its file, its answers among it.
    """

    title: str
    files: dict[str, str]
    lines: list[str]


def _files(lines: list[str]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    into: list[str] | None = None
    for line in lines:
        if line.startswith("--- "):
            into = found.setdefault(line.removeprefix("--- "), [])
        elif line.startswith("$ "):
            into = None
        elif into is not None:
            into.append(line)
    return {name: "\n".join(text).rstrip("\n") + "\n" for name, text in found.items()}


def read(name: str) -> tuple[str, list[Section]]:
    """What stands before the first section of a file, and the sections."""
    head, *texts = re.split(r"(?m)^=== ", (GOLDEN / f"{name}.txt").read_text())
    shared = _files(head.splitlines())
    sections = []
    for text in texts:
        title, *lines = text.rstrip("\n").split("\n")
        sections.append(Section(title, shared | _files(lines), lines))
    return head, sections


def _answer(command: str, run: Path) -> Iterator[str]:
    program, *words = shlex.split(command)
    assert program == "abi"
    where = {sign: words[words.index(sign) + 1] for sign in "<>|" if sign in words}
    words = words[: min((words.index(sign) for sign in where), default=None)]
    for name in RUNS.intersection(words):
        if not Path(name).exists():
            shutil.copytree(run if name == "run" else FROZEN / name, name)
    stdin = Path(where["<"]).read_bytes() if "<" in where else None
    with patch.object(rehearsing, "_SECONDS", 600.0):  # as many simulations on every machine
        result = abi(*words, "--progress", "none", stdin=stdin)
    if ">" in where:
        Path(where[">"]).write_bytes(result.stdout_bytes)
    elif "|" in where:
        yield from _FINDINGS.findall(result.stdout)
    else:
        yield result.stdout.rstrip("\n")
    yield result.stderr.rstrip("\n")
    if result.exit_code:
        yield f"exit code {result.exit_code}"


def played(section: Section, folder: Path, run: Path) -> str:
    """The section with what the commands answer today."""
    shown = []
    with chdir(folder):
        for name, text in section.files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(text)
        asked = True
        for line in section.lines:
            asked = (asked and not line.startswith("$ ")) or line.startswith("--- ")
            if line.startswith("$ "):
                said = "\n".join(filter(None, _answer(line.removeprefix("$ "), run)))
                said = said.replace(str(folder), "FOLDER")
                for varies, stands in _VARIES:
                    said = varies.sub(stands, said)
                shown += [line, *filter(None, [said])]
            elif asked:
                shown.append(line)
    return "\n".join(["=== " + section.title, *shown]).rstrip("\n")


CASES = [(name, section) for name in TRANSCRIPTS for section in read(name)[1]]


@pytest.mark.parametrize(
    "section", [s for _, s in CASES], ids=[f"{n}: {s.title}" for n, s in CASES]
)
def test_the_commands_say_what_the_transcript_says(section, small_run, tmp_path):
    if any("/dev/full" in line for line in section.lines) and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    expected = "\n".join(["=== " + section.title, *section.lines])
    assert played(section, tmp_path, small_run) == expected.rstrip("\n")


def test_no_transcript_ends_in_a_crash():
    for name in TRANSCRIPTS:
        text = (GOLDEN / f"{name}.txt").read_text()
        for word in ("Traceback", "bug in abi", "exit code 70"):
            assert word not in text, name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        small = Path(scratch) / "small"
        abi("train", SPECS / "regression.yaml", "-o", small, *SMALL)
        for name in sys.argv[1:] or TRANSCRIPTS:
            head, sections = read(name)
            texts = []
            for number, section in enumerate(sections):
                place = Path(scratch) / name / str(number)
                place.mkdir(parents=True)
                texts.append(played(section, place, small))
            (GOLDEN / f"{name}.txt").write_text(head + "\n\n".join(texts) + "\n")
