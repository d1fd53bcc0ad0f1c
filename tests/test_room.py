"""Whatever becomes of a training with --force: no whole run is lost, and no other is kept."""

from __future__ import annotations

import itertools
import shutil

import pytest

from abi_cli import run
from abi_cli.errors import OutputError, RunError, UsageError
from abi_cli.run import METRICS, folder, room
from abi_cli.training.checkpoints import Checkpoint, write_checkpoint
from tests.test_run import FILES, LAYOUT, MANIFEST


class Died(BaseException):
    """The process is killed."""


def train(path, word, ends="whole", *, force=False):
    """A training that ends so, in a folder whose spec has a word to know it by.

    Arguments:
        ends: `early`, before its first state; `stopped`, so by a signal; `late`, after its first
            state; `killed early` and `killed late`; `whole`.
    """
    files = {**FILES, "spec.yaml": f"name: {word}\n".encode()}
    left = path.parent.with_name("left")
    try:
        with run.begin(path, MANIFEST, files, force=force) as folder:
            if "early" in ends or ends == "stopped":
                (path / run.STATE).mkdir()  # empty: the disk may be full
            else:
                write_checkpoint(path / run.STATE, Checkpoint(1, {}, {}))
            if "killed" in ends:
                shutil.copytree(path.parent, left)
            if ends != "whole":
                raise KeyboardInterrupt if ends == "stopped" else ZeroDivisionError
            (path / run.MODEL).write_bytes(word.encode())
            run.finish(folder, history=[], layout=LAYOUT, timings={})
    except (ZeroDivisionError, KeyboardInterrupt):
        assert ends != "whole"
    if left.exists():  # the disk as it was when the process was killed
        shutil.rmtree(path.parent)
        left.rename(path.parent)


def there(folder):
    """Name → the word of the run there, with `…` where it is not whole."""
    return {
        place.name: (place / "spec.yaml").read_text().split()[1]
        + ("" if room.is_whole(place) else "…")
        for place in sorted(folder.iterdir())
    }


@pytest.fixture
def toy(tmp_path):
    """The place of a whole run."""
    path = tmp_path / "runs" / "toy"
    train(path, "A")
    return path


def test_two_failures_destroy_no_finished_run(toy):
    train(toy, "B", "late", force=True)
    assert there(toy.parent) == {"toy": "B…", "toy.bak": "A"}
    train(toy, "C", "late", force=True)
    assert there(toy.parent) == {"toy": "C…", "toy.bak": "A"}
    train(toy, "D", force=True)
    assert there(toy.parent) == {"toy": "D", "toy.bak": "A"}
    train(toy, "E", force=True)
    assert there(toy.parent) == {"toy": "E", "toy.bak": "D"}


@pytest.mark.parametrize("ends", ["early", "stopped"])
def test_all_that_was_there_comes_back_where_nothing_was_learned(ends, toy):
    train(toy, "X", ends, force=True)
    assert there(toy.parent) == {"toy": "A"}
    train(toy, "B", force=True)
    train(toy, "X", ends, force=True)
    assert there(toy.parent) == {"toy": "B", "toy.bak": "A"}
    train(toy, "C", "late", force=True)
    assert there(toy.parent) == {"toy": "C…", "toy.bak": "B"}
    train(toy, "X", ends, force=True)
    assert there(toy.parent) == {"toy": "C…", "toy.bak": "B"}


ENDS = ("early", "stopped", "late", "killed early", "killed late", "whole")


@pytest.mark.parametrize("ends", [*itertools.product(ENDS, repeat=2)], ids=" ".join)
def test_no_order_of_failures_loses_the_last_whole_run(ends, toy):
    whole = "A"
    for word, end in zip("BC", ends, strict=True):
        train(toy, word, end, force=True)
        whole = word if end == "whole" else whole
        kept = {name: run for name, run in there(toy.parent).items() if name[0] != "."}
        assert whole in kept.values(), kept
        assert "…" not in kept.get("toy.bak", ""), kept
    train(toy, "last", force=True)
    assert there(toy.parent) == {"toy": "last", "toy.bak": whole}


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_killed_between_two_renames_it_loses_nothing(renames, toy, monkeypatch):
    train(toy, "B", force=True)
    real, done = type(toy).rename, []

    def rename(self, target):
        if len(done) == renames:
            raise Died
        done.append(target)
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(type(toy), "rename", rename)
        patched.setattr(folder, "give_back", lambda _: None)
        with pytest.raises(Died):
            train(toy, "X", force=True)
    train(toy, "Y", "early", force=True)
    assert set(there(toy.parent).values()) == {"A", "B"}


def test_a_run_that_was_only_begun_brings_nothing_back_that_was_put_away(toy):
    toy.rename(toy.with_name("toy.bak"))
    train(toy, "X", "early")
    assert there(toy.parent) == {"toy.bak": "A"}


def test_a_run_that_cannot_be_read_counts_as_what_it_holds(toy):
    (toy / run.MANIFEST).write_text('{"schema": "abi.run/99"}')
    train(toy, "B", force=True)
    assert (toy.with_name("toy.bak") / run.MODEL).read_bytes() == b"A"


def test_the_way_out_of_a_taken_place_is_that_of_what_is_there(toy):
    with pytest.raises(OutputError) as whole:
        train(toy, "B")
    assert whole.value.hint == "--force moves it to toy.bak; -o writes somewhere else."
    train(toy, "B", "late", force=True)
    with pytest.raises(OutputError) as unfinished:
        train(toy, "C")
    assert unfinished.value.hint == (
        f"abi train --resume {toy} lets its training go on. --force drops it; "
        "-o writes somewhere else."
    )


def test_nothing_else_takes_the_place_of_a_run_or_of_its_backup(toy):
    for force in (False, True):
        with pytest.raises(UsageError, match="is a run, and nothing else is written in its place"):
            room.refuse_taken(toy, force=force)
    toy.rename(toy.with_name("toy.bak"))
    toy.mkdir()
    (toy / METRICS).touch()
    with pytest.raises(UsageError, match=r"can't be moved to .*toy\.bak, which is a run"):
        room.refuse_taken(toy, force=True)
    with pytest.raises(UsageError, match=r"can't be moved to .*toy\.bak, which is a run"):
        room.refuse_taken(toy, force=True, by_run=True)


def test_a_backup_that_is_not_ours_stays(toy):
    backup = toy.with_name("toy.bak")
    backup.mkdir()
    (backup / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"toy\.bak, a folder that abi did not make"):
        train(toy, "B", force=True)
    assert (backup / "thesis.tex").exists()
    assert (toy / run.MODEL).read_bytes() == b"A"


def test_a_run_that_is_being_trained_is_in_nobodys_hands(toy):
    with run.resume(toy), pytest.raises(RunError, match="being trained by another process"):
        train(toy, "B", force=True)
    assert there(toy.parent) == {"toy": "A"}
