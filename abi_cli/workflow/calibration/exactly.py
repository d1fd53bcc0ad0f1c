"""Refined posteriors of simulated data sets, for a diagnosis."""

from __future__ import annotations

import numpy as np

from abi_cli.data import Loaded
from abi_cli.diagnostics.beside import Exact
from abi_cli.refinement.weights import moments, resampled
from abi_cli.variables import Datasets, count, take
from abi_cli.workflow.session import Session

MOST = 200
"""Number of data sets that are refined, the first ones."""

DRAWS = 1_000
"""Effective draws of each data set."""

DENSITIES = 256
"""Most refined draws by which a divergence is estimated."""


def exact_of(session: Session, simulated: Datasets, *, seed: int) -> Exact:
    """Refine the posteriors of the first data sets.

    Errors:
        UserFunctionError: A density is none, or not that of the simulator.
    """
    refiner, networks = session.refiner, session.networks
    if refiner is None:
        raise ValueError("Expected a session that refines; got another")
    layout = session.run.layout
    data = {v.name: simulated[v.name] for v in layout.of("context", "given", "observable")}
    data = take(data, slice(0, MOST))
    labels = [f"{k} that was simulated" for k in range(count(data))]
    loaded = Loaded(labels, data, (), lambda row: f"data set {row}", lambda name, _at: name)
    has_density = networks.inference_network.has_density
    names = [element for v in layout.of("parameter") for element in v.elements()]
    mean, sd = np.empty((2, len(names), len(labels)))
    by, khat, nats = [], np.empty(len(labels)), np.full(len(labels), np.nan)
    with session.listener.task("refining", len(labels), "data sets") as progress:
        made = refiner.refined(networks, loaded, draws=DRAWS, seed=seed)
        for row, (joint, one) in enumerate(made):
            parameters = joint.parameters(one.theta)
            columns = [parameters[v.name] for v in layout.of("parameter")]
            flat = np.concatenate([c.reshape(len(c), -1) for c in columns], axis=1)
            mean[:, row], sd[:, row] = moments(flat.astype(np.float64), one.weights)
            by.append(one.certificate.how.value)
            khat[row] = min(one.certificate.khat, 10.0)
            if has_density and np.isfinite(one.certificate.log_evidence):
                theta = one.theta[resampled(one.weights, DENSITIES, 0.5)]
                log_q = refiner.log_density(networks, take(data, np.array([row])), theta, seed)
                log_p = joint.log_density(refiner.known(data, row), theta, row, labels[row])
                nats[row] = float(np.mean(log_p - log_q)) - one.certificate.log_evidence
            progress.advance()
    refiner.forget()
    return Exact(
        dict(zip(names, mean, strict=True)), dict(zip(names, sd, strict=True)), by, khat, nats
    )
