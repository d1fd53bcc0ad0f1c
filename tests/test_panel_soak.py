"""The defaults stay close on models that they were not made for: the panel in short.

`make soak` trains four of its quickest models, of different kinds, as whole processes and asserts
the bars of `tests.bench.panel`; `python -m tests.bench.panel` has all of them.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.panel import HEADER, closeness, trained


@pytest.mark.soak
@pytest.mark.parametrize("name", ["quadratic", "dose", "cauchy_line", "psychometric"])
def test_the_defaults_are_close(name, tmp_path, capsys):
    seconds = trained(name, tmp_path / name, seed=1, overrides=[])
    close = closeness(tmp_path / name, name)
    with capsys.disabled():
        row = " | ".join([name, "1", f"{seconds:.0f}", *close.cells()])
        print(f"\n{HEADER}\n| {row} |")
    assert close.held, close.cells()
    assert np.isfinite(close.error).all()
