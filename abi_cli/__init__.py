"""Amortized Bayesian inference from the shell.

A map of the package. A file imports only from lines below its own, or from its own folder:

    __main__      `python -m abi_cli`
    cli, options, ending, completing    the commands: signatures, help, exit codes, completion
    console/       what people and pipes see: tables, progress, errors, JSON
    workflow/      one function per command, values in, values out; the door from Python
    bank/          simulations that are kept: shards, whose rows they are, reading for training
    run/           the run folder: written whole, in nobody's place, read back; model.keras in it
    refinement/    posteriors made exact by the model's density: weights, chains, a certificate
    data/          data sets and draws in and out: csv, json, npz, netcdf, parquet
    challenge/     rivals of a run that learn from the same simulator: what it loses at least
    diagnostics/   metrics, verdict, pictures; NumPy and SciPy only, for draws from anywhere
    training/      blocks of batches, optimizers, schedules, callbacks, checkpoints
    approximator   the networks behind one adapter: loss, sample, log_prob
    learner        what approximators and their rivals learn by: densities, the loss
    sampler        posterior draws in blocks; spare ones in place of wild ones
    adapter/       invertible steps between the user's scale and the networks'; NumPy only
    model/         the generative model: user functions, seeds, simulating in many processes
    nn/            the mathematics in Keras: what is computed by each word for a network
    networks/      the words for networks in a spec, each with its options
    guard/         are data like the simulations: statistics, distances, tails, a verdict
    statistics/    what is said of data sets without weights to learn; NumPy and SciPy only
    spec/          reading YAML with positions, schema, overrides, defaults
    backend/       TensorFlow, JAX or PyTorch: the choice, and all that differs
    underway      what a person's code is doing in this process; what ends it, if nothing else does
    registry, variables, precision, ranges, listener, placing
    digits, hashing, harmless, memory, errors

`pages/` holds the manual, Markdown that `abi explain` shows. Data goes one way:

    spec → simulate → adapt → pad → (summary → inference) learn → run folder
         → sample → inverse adapt → draws → diagnose

From Python, `load` opens a run and `workflow` has the rest:

    import abi_cli
    draws = abi_cli.load("runs/regression").sample("data.csv", draws=1000)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abi_cli.workflow import Session

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(path: Path | str, *, trust_code: bool = False, refine: bool = False) -> Session:
    """Open a run folder for sampling; see `abi_cli.workflow.load` for more options.

    Arguments:
        trust_code: Whether to execute parts of the run's own, if it was trained with any.
        refine: Whether to make posteriors exact by the model's `log_likelihood`, which is executed.

    Errors:
        RunError: It is no run, or one whose training has not come to its end.
    """
    from abi_cli import workflow  # not at import: `abi --help` has no use for it

    return workflow.load(path, trust_code=trust_code, refine=refine)
