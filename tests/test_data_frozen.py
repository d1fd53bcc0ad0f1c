"""Files are written as they were, and read as they were: see `tests.frozen_data`."""

from __future__ import annotations

import json

import pytest

from tests import frozen_data

FACTS = json.loads(frozen_data.FACTS.read_text())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # infinite draws are among them
@pytest.mark.parametrize("name", frozen_data.CONTENTS)
def test_all_is_written_and_read_as_it_was(name, tmp_path):
    pytest.importorskip("pyarrow")
    found = dict(frozen_data.written(tmp_path, [name]))
    assert found == {file: FACTS[file] for file in found}


@pytest.mark.parametrize("name", frozen_data.KEPT)
def test_files_that_were_kept_are_read_as_they_were(name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    file = frozen_data.FILES / name
    assert frozen_data.read_back(file) == FACTS[name]
