"""The run folder appears whole or not at all, and nothing of the user's is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from abi_cli import placing, run
from abi_cli.errors import AbiError, OutputError, RunError, UsageError
from abi_cli.run import integrity, room
from abi_cli.run.manifest import SCHEMA
from abi_cli.variables import Layout, Variable

MANIFEST = run.Manifest(
    name="toy",
    seed=1,
    command=("abi", "train", "toy.yaml"),
    created="2026-01-01T00:00:00+00:00",
    versions={"abi": "0"},
    backend="tensorflow",
    device="default",
)
FILES = {"spec.yaml": b"name: toy\n", "code/toy.py": b"x = 1\n"}
LAYOUT = Layout((Variable("mu", "parameter", ragged=False, event=(2,), low=-1.0, high=1.0),))


def trained(path: Path, *, force: bool = False) -> run.Run:
    with run.begin(path, MANIFEST, FILES, force=force) as folder:
        (path / run.MODEL).write_bytes(b"weights")
        return run.finish(
            folder, history=[{"epoch": 1, "loss": 0.5}], layout=LAYOUT, timings={"total": 1.5}
        )


def test_what_is_written_is_read_back(tmp_path):
    written = trained(tmp_path / "runs" / "toy")
    read = run.open_run(tmp_path / "runs" / "toy")
    assert read.manifest == written.manifest
    assert read.layout == LAYOUT
    assert read.history() == [{"epoch": 1.0, "loss": 0.5}]
    assert read.model_file().read_bytes() == b"weights"
    assert set(read.manifest.hashes) == {
        *FILES,
        run.MODEL,
        run.HISTORY,
        integrity.MEANING,
        integrity.NETWORKS,
    }


def test_the_folder_has_its_first_files_before_training_begins(tmp_path):
    with run.begin(tmp_path / "toy", MANIFEST, FILES, force=False):
        there = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert there == {"toy/spec.yaml", "toy/code/toy.py", "toy/manifest.json", "toy/.lock"}


def test_a_failure_leaves_nothing_and_brings_back_what_was_there(tmp_path):
    trained(tmp_path / "toy")
    with pytest.raises(ZeroDivisionError), run.begin(tmp_path / "toy", MANIFEST, {}, force=True):
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]
    assert run.open_run(tmp_path / "toy").model_file().read_bytes() == b"weights"


def test_a_failure_after_a_checkpoint_keeps_the_folder(tmp_path):
    def interrupted() -> None:
        with run.begin(tmp_path / "toy", MANIFEST, {}, force=True):
            (tmp_path / "toy" / run.STATE).mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not run.look(tmp_path / "toy").manifest.trained


def test_what_was_stopped_before_it_learned_stays_and_is_in_nobodys_way(tmp_path):
    with pytest.raises(KeyboardInterrupt), run.begin(tmp_path / "toy", MANIFEST, {}, force=True):
        raise KeyboardInterrupt
    assert room.is_only_begun(tmp_path / "toy")
    trained(tmp_path / "toy")  # without force
    assert not room.is_only_begun(tmp_path / "toy")
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_one_process_trains_in_a_folder(tmp_path):
    with run.begin(tmp_path / "toy", MANIFEST, FILES, force=False):
        for other in (
            lambda: run.begin(tmp_path / "toy", MANIFEST, FILES, force=True),
            lambda: run.begin(tmp_path / "toy", MANIFEST, FILES, force=False),
            lambda: run.resume(tmp_path / "toy"),
        ):
            with pytest.raises(RunError, match=f"by another process .process {os.getpid()}"):
                other().__enter__()
        with pytest.raises(RunError, match="goes on"):
            run.open_run(tmp_path / "toy")
    with run.resume(tmp_path / "toy"):
        pass
    with pytest.raises(RunError, match="not come to its end") as caught:
        run.open_run(tmp_path / "toy")
    assert caught.value.hint.endswith(f"abi train --resume {tmp_path / 'toy'}")


def test_a_taken_place_is_refused_and_force_moves_it(tmp_path):
    trained(tmp_path / "toy")
    with pytest.raises(OutputError, match="there already"):
        trained(tmp_path / "toy")
    for _ in range(2):  # the second time, there is a backup already
        trained(tmp_path / "toy", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["toy", "toy.bak"]
    assert run.open_run(tmp_path / "toy.bak").manifest.trained


def test_force_spares_folders_that_are_not_ours(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="did not make"):
        trained(tmp_path / "home", force=True)
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_a_file_keeps_its_place_until_it_is_replaced(tmp_path):
    file = tmp_path / "draws.csv"
    file.write_text("old")
    placing.back_up(file)
    assert file.read_text() == (tmp_path / "draws.csv.bak").read_text() == "old"

    def failing() -> None:
        with placing.replacing(file) as place:
            place.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert file.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["draws.csv", "draws.csv.bak"]


def test_devices_are_always_free():
    room.refuse_taken(Path("/dev/null"), force=False)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    (tmp_path / "diagnostics").mkdir()
    (tmp_path / "diagnostics" / "old.png").touch()
    with placing.replacing(tmp_path / "diagnostics") as place:
        place.mkdir()
        (place / "new.png").touch()
    assert [p.name for p in tmp_path.rglob("*.png")] == ["new.png"]


def test_what_can_not_be_written_says_where(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"can't write .*file/toy"):
        trained(tmp_path / "file" / "toy")


def _unfinished(path: Path) -> None:
    with run.begin(path, MANIFEST, FILES, force=False):
        pass


def _with_a_manifest(text: str):
    def make(path: Path) -> None:
        path.mkdir()
        (path / run.MANIFEST).write_text(text)

    return make


def _layout(name: str, size: int = 2) -> list[dict[str, object]]:
    return Layout((Variable(name, "parameter", ragged=False, event=(size,)),)).to_config()


def _manifest_with(**fields: object):
    return _with_a_manifest(json.dumps({**json.loads(MANIFEST.to_json()), **fields}))


def _tampered(path: Path) -> None:
    trained(path)
    (path / run.MODEL).write_bytes(b"other weights")


def _without_model(path: Path) -> None:
    trained(path)
    (path / run.MODEL).unlink()


NOT_RUNS = {
    "nothing": (lambda _: None, "there is no such folder"),
    "a file": (lambda path: path.write_text("name: toy"), "it is a file"),
    "an empty folder": (Path.mkdir, "holds no manifest.json"),
    "unfinished": (_unfinished, "has not come to its end"),
    "no JSON": (_with_a_manifest("{"), "can't be read"),
    "JSON of another kind": (_with_a_manifest("[]"), "can't be read"),
    "another schema": (_with_a_manifest('{"schema": "abi.metrics/1"}'), "can't be read"),
    "a newer one": (
        _with_a_manifest('{"schema": "abi.run/99", "versions": {"abi": "9.1"}}'),
        r"made by a newer abi \(9\.1\), in the format abi\.run/99; this is abi .* up to abi\.run/1",
    ),
    "brackets": (_with_a_manifest("[" * 100_000), "brackets without end"),
    "a field of another type": (_manifest_with(seed="1"), "seed: Input should be a valid integer"),
    "a field too many": (_manifest_with(owner="me"), "expected other names than owner"),
    "a variable twice": (_manifest_with(layout=_layout("x") * 2), "expected each variable once"),
    "no name": (_manifest_with(layout=_layout("x y")), "expected each variable once, by a name"),
    "a huge shape": (_manifest_with(layout=_layout("x", 10**12)), r"the shape of x; got 1e\+12"),
    "fields missing": (_with_a_manifest('{"schema": "abi.run/1"}'), "can't be read"),
    "other weights": (_tampered, "not the file that training wrote"),
    "no weights": (_without_model, "holds no model.keras"),
}


@pytest.mark.parametrize("name", NOT_RUNS)
def test_what_is_no_run_is_refused_with_a_remedy(name, tmp_path):
    make, message = NOT_RUNS[name]
    make(tmp_path / "toy")
    with pytest.raises(RunError, match=message) as caught:
        run.open_run(tmp_path / "toy").model_file()
    assert caught.value.hint


def test_the_run_that_was_meant_is_named(tmp_path):
    trained(tmp_path / "regression")
    for wrong in ("regresion", "regression/model.keras"):
        with pytest.raises(RunError) as caught:
            run.open_run(tmp_path / wrong)
        assert str(tmp_path / "regression") in str(caught.value.hint)


def test_every_error_of_ours_has_a_code_of_its_own():
    def kinds(kind: type[AbiError]) -> set[type[AbiError]]:
        return {kind}.union(*map(kinds, kind.__subclasses__()))

    codes = {kind.exit_code for kind in kinds(AbiError)}
    assert codes == {1, 2, 3, 4, 5, 6, 7, 70, 74, 75, 130, 143}


def test_history_has_a_column_for_every_figure(tmp_path):
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 0.3}]
    run.write_history(tmp_path / "history.csv", rows)
    assert (tmp_path / "history.csv").read_text() == "epoch,loss,val_loss\n1,0.5,\n2,0.25,0.3\n"


def test_a_manifest_is_json_that_others_can_read(tmp_path):
    trained(tmp_path / "toy")
    document = json.loads((tmp_path / "toy" / run.MANIFEST).read_text())
    assert document["schema"] == SCHEMA
    assert document["command"] == ["abi", "train", "toy.yaml"]


def test_other_text_than_data_in_a_spec_is_refused(tmp_path):
    spec = "name: toy\n"
    folder = trained(tmp_path / "toy")
    file = folder.trained_spec_file()
    for kept in (
        f"{spec}data:\n  dataset: subject\n",
        f"{spec}diagnostics: {{p: 0.1}}\n",
        f"# a comment\n{spec}",
        spec,
    ):
        file.write_text(kept)
        assert folder.trained_spec_file() == file
    for other in ("name: other\n", f"{spec}training: {{epochs: 5}}\n", "name: [", "", "- a\n"):
        file.write_text(other)
        with pytest.raises(RunError, match=r"spec\.yaml is not the spec that this run was trained"):
            folder.trained_spec_file()
    file.unlink()
    with pytest.raises(RunError, match="holds no spec"):
        folder.trained_spec_file()


def test_code_that_was_changed_removed_or_added_is_refused(tmp_path):
    folder = trained(tmp_path / "toy")
    folder.refuse_changed_code()
    file = tmp_path / "toy" / "code" / "toy.py"
    file.write_text("x = 2\n")
    with pytest.raises(RunError, match=r"toy\.py is not the code that this run was trained with"):
        folder.refuse_changed_code()
    assert folder.changed() == ("code/toy.py",)
    file.unlink()
    with pytest.raises(RunError, match=r"toy\.py is not the code"):
        folder.refuse_changed_code()
    file.write_bytes(FILES["code/toy.py"])
    (tmp_path / "toy" / "code" / "numpy.py").touch()
    with pytest.raises(RunError, match=r"numpy\.py is no part of this run"):
        folder.refuse_changed_code()


def test_a_history_that_is_none_is_refused(tmp_path):
    folder = trained(tmp_path / "toy")
    (tmp_path / "toy" / run.HISTORY).write_text("epoch,loss\n1,abc\n")
    with pytest.raises(RunError, match=r"history\.csv can't be read"):
        folder.history()
