"""Models held against each other by real data, on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abi_cli.console.terminal import Console
    from abi_cli.workflow import Weighing


def show_weighing(console: Console, weighing: Weighing) -> None:
    """Show a row for each data set and model: elpd, evidence, differences to the first model."""
    if console.json:
        console.document("weighing", weighing.to_config())
        return
    first = weighing.weighed[0]
    console.heading(f"differences are from {first.run.path}, ± standard errors")
    members = bool(first.elpd)
    columns = ["data set", "model"]
    columns += ["elpd", "difference", "", "k-hat bad"] if members else []
    columns += ["log evidence", "log Bayes factor"] if weighing.evidence else []
    rows = []
    for row, label in enumerate(weighing.labels):
        for k, one in enumerate(weighing.weighed):
            cells = [label, str(one.run.path)]
            if members:
                own, base = one.elpd[row], first.elpd[row]
                cells += [_pair(own.total, own.error)]
                cells += [_pair(*own.minus(base)), own.word(base)] if k else ["", ""]
                cells += [f"{own.bad} of {len(own.each)}" if own.bad else ""]
            if weighing.evidence:
                cells += [_pair(one.log_evidence[row], one.log_evidence_error[row], 3)]
                cells += [_pair(*weighing.factor(k, row), 3) if k else ""]
            rows.append(cells)
    console.table(columns, rows)


def _pair(value: float, error: float, digits: int = 1) -> str:
    if not math.isfinite(value):
        return "not known"
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")
