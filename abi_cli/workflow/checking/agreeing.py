"""Agreement of the density that a spec names with its simulator, by simulated data sets."""

from __future__ import annotations

import time

import numpy as np

from abi_cli.adapter.adapter import INFERENCE_VARIABLES, Adapter
from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.listener import Listener
from abi_cli.model.density import LogDensity
from abi_cli.model.evaluation import known_of
from abi_cli.model.rehearsal import rehearsed
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.variables import Datasets, Layout

ROWS = 1_000
"""Number of data sets that are looked at, unless `SECONDS` are over before."""

SECONDS = 3.0


def density_error(
    density: LogDensity, adapter: Adapter, layout: Layout, rows: Datasets, *, seed: int
) -> UserFunctionError | None:
    """The error of a density that is not the simulator's; None where it is, or it can't be told.

    It can't where values may be missing, where the prior's density isn't known, and where the
    density takes parameters that the networks don't learn.

    Arguments:
        adapter: Fitted.
        rows: Simulated data sets.

    Errors:
        UserFunctionError: The density raised, or gave what is none.
    """
    from abi_cli.refinement.agreement import disagreement, proposals
    from abi_cli.refinement.joint import Joint

    if layout.missing:
        return None
    try:
        joint = Joint.of(density, adapter, layout)
    except SpecError:
        return None
    theta = np.asarray(adapter.forward(rows)[INFERENCE_VARIABLES], np.float64)[:ROWS]
    proposed = proposals(theta, np.random.default_rng([seed, Purpose.REFINE]))
    inferred = {variable.name for variable in layout.of("parameter", "nuisance")}
    data = {name: value for name, value in rows.items() if name not in inferred}
    log_p: list[np.ndarray] = []
    begun = time.process_time()  # what else the machine does has no part in the answer
    with joint.at_hand():
        for row in range(len(theta)):
            asked = np.concatenate([theta[row][None], proposed[row]])
            label = f"{row} that was simulated"
            found = joint.log_density(known_of(data, row), asked, row, label)
            joint.refuse_unknown(found[:1], asked[:1], row, label)
            log_p.append(np.where(np.isnan(found), -np.inf, found))
            if time.process_time() - begun > SECONDS:
                break
    seen = len(log_p)
    told = disagreement(np.stack(log_p), theta[:seen], proposed[:seen])
    if told is None:
        return None
    hint = (
        "A sign, a factor, a term of a parameter that is left out, another parametrization? It is "
        "log p(data | parameters), and log_prior, if there is one, log p(parameters)."
    )
    name = density.likelihood.name
    if told.impossible:
        return UserFunctionError(
            f"{name} is not the density of what the likelihood simulates: it is zero for "
            f"{told.impossible:,} of {told.datasets:,} simulated data sets",
            hint=hint,
        )
    where = ""
    if told.coordinate is not None:
        where = f"; it shows most in {_changed_by(joint, theta[0], told.coordinate)}"
    return UserFunctionError(
        f"{name} is not the density of what the likelihood simulates, by {told.datasets:,} "
        f"simulated data sets (p = {max(told.p, 1e-300):.0e}){where}",
        hint=hint,
    )


def _changed_by(joint: object, theta: np.ndarray, coordinate: int) -> str:
    """The parameter to which a coordinate of `theta (dim,)` belongs."""
    from abi_cli.refinement.joint import Joint

    assert isinstance(joint, Joint)  # noqa: S101  # imported late, being heavy
    one, other = theta[None], theta[None].copy()
    other[0, coordinate] += 1.0
    before, after = joint.parameters(one), joint.parameters(other)
    names = [name for name in before if not np.array_equal(before[name], after[name])]
    return " and ".join(names)


def refuse_disagreement(
    density: LogDensity,
    adapter: Adapter,
    layout: Layout,
    simulator: Simulator,
    *,
    seed: int,
    listener: Listener,
) -> None:
    """Refuse to refine by a density that is not the simulator's.

    Errors:
        UserFunctionError: It is not.
    """
    rows = rehearsed(
        simulator, seed=seed, purpose=Purpose.REFINE, rows=ROWS, seconds=SECONDS, listener=listener
    )
    error = density_error(density, adapter, layout, rows, seed=seed)
    if error is not None:
        raise error
