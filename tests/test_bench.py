"""The benchmark's arithmetic: which figures are compared, and how they are shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.floor import with_gradients
from tests.bench.measure import find_python, run, version_of
from tests.bench.sides import VECTORISED, Result
from tests.bench.table import Step, as_ratio, closeness, comparison, steps
from tests.oracles import Divergence


def result(side: str, backend: str, *, whole: float, kl: float, seed: int = 1) -> Result:
    return Result(
        side=side,
        backend=backend,
        spec=VECTORISED.spec,
        seed=seed,
        whole=whole,
        first_epoch=10.0,
        epoch=1.0,
        peak=2_000_000_000,
        sample=(3.0, 1.0),
        sample_peak=1_000_000_000,
        divergence=Divergence(kl, 0.01, kl / 2, 3 * kl, (kl,) * 10),
        weights=1_000,
    )


def test_a_command_that_prints_no_answer_has_none() -> None:
    assert run([sys.executable, "-c", "print('Usage: abi')"]).answer is None


def test_ratios_are_medians_over_the_better_peer() -> None:
    results = [
        result("peer", "tensorflow", whole=200, kl=0.9),
        result("peer", "jax", whole=300, kl=0.9),
        *[
            result("abi", "jax", whole=w, kl=0.1, seed=s)
            for s, w in enumerate([500, 20, 10], start=1)
        ],
    ]
    head, _, first, *_ = comparison(results)
    assert head.startswith("|  | peer, tensorflow | peer, jax | abi, jax | ratio, jax |")
    assert first.endswith("| 200.0 | 300.0 | 20.0 | 1/10.0 | 1/10 | 1/15 |")


def test_what_was_not_measured_is_a_dash() -> None:
    table = comparison([result("abi", "jax", whole=20, kl=0.1)])
    assert "| 20.0 | – |" in table[2]
    assert "| – | – |" in table[3]


def test_closeness_is_that_of_the_median_seed() -> None:
    kls = [0.3, 0.1, 0.2]
    results = [result("abi", "jax", whole=1, kl=kl, seed=i) for i, kl in enumerate(kls)]
    line = closeness(results)[-1]
    assert "| 0.200 | 0.010 | 0.100, 0.200, 0.300 | 0.100 | 0.60 |" in line


def test_steps_are_divided_by_their_products() -> None:
    line = steps([Step("abi", "jax", step=0.003, products=0.001)])[-1]
    assert line == "| abi, jax | 3.00 | 1.00 | 3.0 | 4 | 3 |"


@pytest.mark.parametrize(("value", "shown"), [(0.1, "1/10.0"), (0.5, "1/2.0"), (1.5, "1.50")])
def test_ratios_below_one_are_fractions(value: float, shown: str) -> None:
    assert as_ratio(value) == shown


def test_gradients_double_the_products() -> None:
    found = with_gradients([(1, 2, 3, 4)])
    assert found == [(1, 2, 3, 4), (1, 2, 4, 3), (1, 3, 2, 4)]
    assert len({b * m * k * n for b, m, k, n in found}) == 1


def test_a_process_is_timed_and_its_answer_read() -> None:
    code = "import json, time; x = bytearray(200_000_000); time.sleep(0.2); print(json.dumps([1]))"
    measured = run([sys.executable, "-c", code])
    assert measured.answer == [1]
    assert measured.seconds > 0.2
    assert measured.peak > 200_000_000


def test_a_failed_process_shows_what_it_said() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_this_python_is_found_first() -> None:
    assert version_of(sys.executable) == sys.version_info[:2]
    assert find_python((3, 11)) == sys.executable
    assert version_of(Path("no", "such", "python")) == (0, 0)
