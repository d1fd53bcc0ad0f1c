"""How often faults of a known size are found, and how often right posteriors are called wrong.

θ ~ N(0, 1) is seen through y ~ N(θ, 0.5²), so that exact posteriors are known; they are made too
narrow, too wide, shifted, or replaced by the prior: alone, and in one of thirty parameters.
`make soak` repeats it 200 times with 500 data sets and prints the README's table.
"""

from __future__ import annotations

import numpy as np
import pytest

from abi_cli.diagnostics import Outcome, flatten, measure
from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.features import features_of
from abi_cli.diagnostics.joint import joint_pits
from tests.diagnostics_examples import PRECISION, SD, read

CASES = {
    "exact": {},
    "sds × 0.8": {"width": 0.8},
    "sds × 1.2": {"width": 1.2},
    "means off by 0.25 sd": {"shift": 0.25},
    "the prior as posterior": {"prior": True},
}
DATASETS, DRAWS, REPETITIONS = 500, 250, 200


def outcome(seed: int, *, parameters: int, width=1.0, shift=0.0, prior=False) -> Outcome:
    """The verdict on `parameters` of which the first has the fault."""
    rng = np.random.default_rng([seed, parameters])
    truth = rng.standard_normal((DATASETS, parameters))
    y = truth + 0.5 * rng.standard_normal(truth.shape)
    noise = rng.standard_normal((DATASETS, DRAWS, parameters), dtype=np.float32)
    centre, sd = (y / 0.5**2 / PRECISION)[:, None], np.full(parameters, SD)
    sd[0] *= width
    centre[:, :, 0] += shift * SD
    if prior:
        centre[:, :, 0], sd[0] = 0.0, 1.0
    draws = (centre + sd * noise).astype(np.float32)
    scalars = flatten({"theta": draws}, {"theta": truth}, labels={})
    features = features_of({"y": y})
    metrics = measure(
        scalars,
        read(scalars),
        data_ranks=data_pit(scalars, features, seed=seed),
        joint_ranks=joint_pits(scalars, features, seed=seed),
    )
    return metrics.verdict.outcome


def failures(case: str, *, parameters: int, repetitions: int) -> int:
    found = [outcome(r, parameters=parameters, **CASES[case]) for r in range(repetitions)]
    return found.count(Outcome.FAIL)


@pytest.mark.parametrize("case", CASES)
def test_a_few_repetitions(case):
    found = failures(case, parameters=2, repetitions=8)
    assert found <= 1 if case == "exact" else found >= 7


@pytest.mark.soak
def test_power(capsys):
    """Of 200 repetitions exact posteriors fail at most 10, every fault at least 190."""
    lines = ["| posteriors | alone | one among thirty |", "| --- | ---: | ---: |"]
    wrong = []
    for case in CASES:
        found = [failures(case, parameters=k, repetitions=REPETITIONS) for k in (1, 30)]
        lines.append(f"| {case} | {found[0]} | {found[1]} |")
        fine = (lambda n: n <= 10) if case == "exact" else (lambda n: n >= 190)
        wrong += [case for n in found if not fine(n)]
        with capsys.disabled():
            print(lines[-1], flush=True)
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert not wrong
