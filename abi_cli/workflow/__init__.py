"""The commands as functions of values: nothing here prints.

The public door from Python. `load` opens a run for sampling and for densities; `train` (and
`resume`), `sample`, `diagnose` (and `judge`, of draws that are there), `compare`, `estimate`,
`simulate`, `check`, `predict`, `plot`, `report`, `stream`, `summary`, `show` (and `inspect`, of
files), `convert`, `parts` (`abi list`), `explain` (and `page` and `pages`, of the manual), `init`,
`fill` and `schema` are the commands of the same names; `fill_bank` is `abi simulate -o BANK/`,
`replay` `abi simulate --replay`, and `look_at_bank`, `verify_bank` and `merge_banks` are
`abi bank`. What they have to say on their way goes to a `Listener`, which is silent unless told
otherwise.

Each is in a file named after it: `train` in `training`. What several need is in these:

    request       where to compute, where to write, which model is meant
    session       a run that is opened
    opened/       what it is asked for: data sets read, refused and guarded, draws, refinement
    checking/     a spec before it is trained on: `check`, findings, mistakes with their place
    learning/     learning in a run folder, for `train` and `resume`
    calibration/  posteriors held against simulations, for `diagnose`, `predict` and `compare`
    about_data/   the contents of pages and pictures about data, for `report` and `plot`
    naming        names and variables in files, by a spec

A name is imported when it is first asked for: `train` has no use for what only `diagnose` needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abi_cli.workflow.banking import Filled, Order, Share, fill_bank, is_for_bank
    from abi_cli.workflow.banks import is_bank, look_at_bank, merge_banks, verify_bank
    from abi_cli.workflow.calibration.validation import Validation
    from abi_cli.workflow.checking.findings import Finding
    from abi_cli.workflow.checking.rehearsing import Check, check
    from abi_cli.workflow.comparing import Comparison, compare
    from abi_cli.workflow.converting import convert, inspect
    from abi_cli.workflow.describing import Description, show, summary
    from abi_cli.workflow.diagnosing import Diagnosis, diagnose
    from abi_cli.workflow.estimating import estimate
    from abi_cli.workflow.explaining import explain, parts
    from abi_cli.workflow.judging import judge
    from abi_cli.workflow.learning.folder import Receipt
    from abi_cli.workflow.manual import Page, page, pages
    from abi_cli.workflow.opened.guarded import OnUnlike
    from abi_cli.workflow.opened.reading import DataFiles
    from abi_cli.workflow.opened.selecting import Selection
    from abi_cli.workflow.plotting import Wish, plot
    from abi_cli.workflow.predicting import predict
    from abi_cli.workflow.reporting import report
    from abi_cli.workflow.request import Compute, Target
    from abi_cli.workflow.resuming import resume
    from abi_cli.workflow.sampling import Shape, sample
    from abi_cli.workflow.session import Session, load
    from abi_cli.workflow.simulating import replay, simulate
    from abi_cli.workflow.starting import Started, fill, init, schema
    from abi_cli.workflow.streaming import stream
    from abi_cli.workflow.training import train
    from abi_cli.workflow.weighing import Weighing, weigh

__all__ = [
    "Check",
    "Comparison",
    "Compute",
    "DataFiles",
    "Description",
    "Diagnosis",
    "Filled",
    "Finding",
    "OnUnlike",
    "Order",
    "Page",
    "Receipt",
    "Selection",
    "Session",
    "Shape",
    "Share",
    "Started",
    "Target",
    "Validation",
    "Weighing",
    "Wish",
    "check",
    "compare",
    "convert",
    "diagnose",
    "estimate",
    "explain",
    "fill",
    "fill_bank",
    "init",
    "inspect",
    "is_bank",
    "is_for_bank",
    "judge",
    "load",
    "look_at_bank",
    "merge_banks",
    "page",
    "pages",
    "parts",
    "plot",
    "predict",
    "replay",
    "report",
    "resume",
    "sample",
    "schema",
    "show",
    "simulate",
    "stream",
    "summary",
    "train",
    "verify_bank",
    "weigh",
]

_NAMES = {
    "banking": "Filled Order Share fill_bank is_for_bank",
    "banks": "is_bank look_at_bank merge_banks verify_bank",
    "calibration.validation": "Validation",
    "checking.findings": "Finding",
    "checking.rehearsing": "Check check",
    "comparing": "Comparison compare",
    "converting": "convert inspect",
    "describing": "Description show summary",
    "diagnosing": "Diagnosis diagnose",
    "estimating": "estimate",
    "explaining": "explain parts",
    "judging": "judge",
    "learning.folder": "Receipt",
    "manual": "Page page pages",
    "opened.guarded": "OnUnlike",
    "opened.reading": "DataFiles",
    "opened.selecting": "Selection",
    "plotting": "Wish plot",
    "predicting": "predict",
    "reporting": "report",
    "request": "Compute Target",
    "resuming": "resume",
    "sampling": "Shape sample",
    "session": "Session load",
    "simulating": "replay simulate",
    "starting": "Started fill init schema",
    "streaming": "stream",
    "training": "train",
    "weighing": "Weighing weigh",
}
"""Module → its public names."""


def __getattr__(name: str) -> Any:
    for module, names in _NAMES.items():
        if name in names.split():
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
