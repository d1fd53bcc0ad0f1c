"""Posteriors beside refined ones: sizes, the weak region, the verdict."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.diagnostics.beside import MOST, Exact, beside, weakest
from abi_cli.diagnostics.faults import DEFAULT_LIMITS, Kind, beside_exact
from abi_cli.diagnostics.scalars import flatten, summarize
from abi_cli.listener import SILENT
from tests.cli import abi
from tests.test_refining import CODE, SPEC

DATASETS = 200


def judged(shift=0.0, factor=1.0, *, where=slice(None), failed=0):
    """Draws of a normal posterior that is off by `shift` sds, and `factor` times too wide."""
    rng = np.random.default_rng(2)
    mean, sd = rng.normal(size=DATASETS), rng.uniform(0.5, 2, DATASETS)
    off, width = np.zeros(DATASETS), np.ones(DATASETS)
    off[where], width[where] = shift, factor
    noise = rng.normal(size=(DATASETS, 1000))
    draws = mean[:, None] + sd[:, None] * (off[:, None] + width[:, None] * noise)
    truth = rng.normal(mean, sd)
    scalars = flatten({"mu": draws}, {"mu": truth}, labels={})
    by = ["failed"] * failed + ["weights"] * (DATASETS - failed)
    exact = Exact({"mu": mean}, {"mu": sd}, by, np.zeros(DATASETS), np.full(DATASETS, np.nan))
    context = {"N": np.arange(DATASETS)}
    with SILENT.task("measuring") as progress:
        summary = summarize(scalars, seed=1, progress=progress)
    return beside(exact, ["mu"], summary, context=context, named={})


def fault(found):
    return beside_exact(found.parameters["mu"], level=1e-3, limits=DEFAULT_LIMITS)


def test_exact_posteriors_are_off_by_chance_alone():
    found = judged()
    own = found.parameters["mu"]
    assert own.error < 1.5 * own.error_by_chance < 0.05
    assert own.sd_ratio == pytest.approx(1, abs=0.01)
    assert own.nats < 0.003
    assert fault(found) is None
    assert found.weakest is None
    assert "no region stands out" in found.sentence()


def test_sizes_are_what_was_put_in():
    own = judged(0.4, 1.5).parameters["mu"]
    assert own.error == pytest.approx(0.4, abs=0.03)
    assert own.bias == pytest.approx(0.4, abs=0.03)
    assert own.sd_ratio == pytest.approx(1.5, abs=0.02)
    exact = np.log(1.5) + (1 + 0.4**2) / (2 * 1.5**2) - 0.5
    assert own.nats == pytest.approx(exact, abs=0.01)


FAULTS = {
    "high": (0.3, 1.0, Kind.HIGH, True),
    "low": (-0.3, 1.0, Kind.LOW, True),
    "wide": (0.0, 1.6, Kind.WIDE, False),
    "narrow": (0.0, 0.5, Kind.NARROW, True),
}


@pytest.mark.parametrize(("shift", "factor", "kind", "large"), FAULTS.values(), ids=FAULTS)
def test_what_is_beyond_the_limits_is_a_fault(shift, factor, kind, large):
    found = fault(judged(shift, factor))
    assert kind in found.kinds
    assert found.large == large


def test_the_weak_region_is_named():
    found = judged(1.0, where=slice(150, None))
    assert found.weakest.covariate == "N"
    assert (found.weakest.low, found.weakest.high) == pytest.approx((150, 199), abs=12)
    assert "weakest where N is" in found.sentence()
    nats = [nats for one, nats, _ in found.by_context if one.variable == "N"]
    assert np.argmax(nats) == len(nats) - 1


def test_what_cannot_be_refined_counts_as_lost_where_regions_are_sought():
    found = judged(failed=30)
    assert found.by["failed"] == 30
    assert (found.each[:30] == MOST).all()
    assert found.weakest.covariate == "N"
    assert found.parameters["mu"].nats < 0.003  # but not of the parameter: nobody knows
    assert judged(failed=DATASETS - 5) is None


def test_a_region_of_chance_is_none():
    rng = np.random.default_rng(3)
    told = [
        weakest(rng.exponential(size=200), {f"c{k}": rng.normal(size=200) for k in range(5)})
        for _ in range(20)
    ]
    assert told.count(None) >= 18


def test_diagnose_holds_posteriors_against_refined_ones(tmp_path):
    (tmp_path / "m.py").write_text(CODE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    run = tmp_path / "run"
    assert abi("train", tmp_path / "spec.yaml", "-o", run, "-q", "-j", 0).exit_code == 0
    said = abi("diagnose", run, "--refine", "--datasets", 60, "-n", 200, "-j", 0)
    assert said.exit_code in (0, 1), said.output
    assert "Beside 60 refined posteriors" in said.stderr
    metrics = json.loads((run / "diagnostics" / "metrics.json").read_text())
    assert "likelihood" in metrics["tested"]
    told = metrics["refined"]
    assert sum(told["by"].values()) == told["datasets"] == 60
    assert told["parameters"]["mu"]["error"] > told["parameters"]["mu"]["error_by_chance"]
    assert told["nats"]["mean"] > 0
    figures = run / "diagnostics" / "figures"
    assert (figures / "beside_exact.png").is_file()
    assert len((figures / "beside_exact.csv").read_text().splitlines()) == 61
    page = (run / "diagnostics" / "report.html").read_text()
    assert "Beside exact posteriors" in page


def test_a_run_without_a_density_is_refused(small_run):
    refused = abi("diagnose", small_run, "--refine", "--datasets", 5)
    assert refused.exit_code == 2
    assert "its spec names no log_likelihood" in refused.stderr
