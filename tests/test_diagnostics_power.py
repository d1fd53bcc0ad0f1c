"""How often faults of a known size are found, and how often right posteriors are called wrong.

The first table: θ ~ N(0, 1) is seen through y ~ N(θ, 0.5²), so that exact posteriors are known;
they are made too narrow, too wide, shifted, or replaced by the prior: alone, and in one of thirty
parameters. The second: faults that leave every margin right on average (`verdict_examples`), which
must be called by their names. `make soak` repeats both and prints the README's tables.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from abi_cli.diagnostics import Outcome, Verdict, flatten, measure
from abi_cli.diagnostics.dependence import data_pit
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.diagnostics.losses import features_and_statistics, learn
from tests.diagnostics_examples import PRECISION, SD, read
from tests.verdict_examples import EXACT, FAULTS, Case

CASES = {
    "exact": {},
    "sds × 0.8": {"width": 0.8},
    "sds × 1.2": {"width": 1.2},
    "means off by 0.25 sd": {"shift": 0.25},
    "the prior as posterior": {"prior": True},
}
DATASETS, DRAWS, REPETITIONS = 500, 250, 200
MORE = int(os.environ.get("ABI_REPETITIONS", "100"))
"""Repetitions of each case of the second table."""


def verdict_of(case: Case, *, seed: int) -> Verdict:
    """As a diagnosis finds it."""
    drawn = {name: values.astype(np.float32) for name, values in case.draws.items()}
    scalars = flatten(drawn, case.truths, labels={})
    features = features_and_statistics(case.data)
    learned = learn(scalars, features, seed=seed)
    metrics = measure(
        scalars,
        read(scalars),
        data_ranks=data_pit(scalars, features.plain, seed=seed),
        joint_ranks=joint_pits(scalars, features.plain, seed=seed, learned=learned),
        learned=learned,
        context=case.context,
        features=features,
    )
    return metrics.verdict


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
    return verdict_of(
        Case({"theta": centre + sd * noise}, {"theta": truth}, {"y": y}), seed=seed
    ).outcome


def failures(case: str, *, parameters: int, repetitions: int) -> int:
    found = [outcome(r, parameters=parameters, **CASES[case]) for r in range(repetitions)]
    return found.count(Outcome.FAIL)


def caught(title: str, *, repetitions: int) -> tuple[int, int]:
    """How often a fault is found, and how often in the right words."""
    make, words = FAULTS[title]
    found = named = 0
    for repetition in range(repetitions):
        case = make(np.random.default_rng([repetition, 7]), 2_000, 300)
        verdict = verdict_of(case, seed=repetition)
        guilty = verdict.outcome in {Outcome.FAIL, Outcome.WARN}
        found += guilty
        named += guilty and all(word in verdict.sentence for word in words)
    return found, named


def accused(title: str, *, repetitions: int) -> int:
    """How often exact posteriors fail or warn."""
    makes = ((np.random.default_rng([r, 8]), 2_000, 300) for r in range(repetitions))
    found = [verdict_of(EXACT[title](*make), seed=r).outcome for r, make in enumerate(makes)]
    return found.count(Outcome.FAIL) + found.count(Outcome.WARN)


@pytest.mark.parametrize("case", CASES)
def test_a_few_repetitions(case):
    found = failures(case, parameters=2, repetitions=8)
    assert found <= 1 if case == "exact" else found >= 7


@pytest.mark.parametrize("title", FAULTS)
def test_a_fault_that_leaves_margins_right_is_called_by_its_name(title):
    assert caught(title, repetitions=1) == (1, 1)


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


@pytest.mark.soak
def test_faults_that_leave_margins_right(capsys):
    """Nine of ten are caught, in the right words."""
    wrong = []
    with capsys.disabled():
        print(f"\n| of {MORE} | caught | called by its name |\n| --- | ---: | ---: |")
    for title in FAULTS:
        found, named = caught(title, repetitions=MORE)
        with capsys.disabled():
            print(f"| {title} | {found} | {named} |", flush=True)
        wrong += [title] if named < 0.9 * MORE else []
    assert not wrong


@pytest.mark.soak
def test_exact_posteriors_are_seldom_accused(capsys):
    """In 4.5 % of all repetitions, and in no kind more often than in 8 %."""
    counts = {}
    with capsys.disabled():
        print(f"\n| exact | accused, of {MORE} |\n| --- | ---: |")
    for title in EXACT:
        counts[title] = accused(title, repetitions=MORE)
        with capsys.disabled():
            print(f"| {title} | {counts[title]} |", flush=True)
    assert sum(counts.values()) <= 0.045 * MORE * len(EXACT)
    assert max(counts.values()) <= max(1, 0.08 * MORE)
