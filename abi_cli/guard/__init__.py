"""The guard: data sets are compared with simulated ones that nothing was learned from.

    simulations → (plain statistics, summaries) → Reference → run folder
    data sets   → (plain statistics, summaries) → Guard → Scores → Verdict → a line

Networks interpolate: of data unlike any that they were trained on, posteriors may be anything, and
no diagnosis on simulated data can show it (Schmitt et al. 2021, arXiv:2112.08866). Nothing here
executes a person's code. A small p-value says that data are unlike the simulations; a large one
does not say that they are like them: what nobody looks at can't be found strange.
"""

from abi_cli.guard.guarding import Guard, Scores
from abi_cli.guard.plain import Plain
from abi_cli.guard.reference import Look, Reference, wanted
from abi_cli.guard.verdict import UNLIKE, Verdict, flagged

__all__ = [
    "UNLIKE",
    "Guard",
    "Look",
    "Plain",
    "Reference",
    "Scores",
    "Verdict",
    "flagged",
    "wanted",
]
