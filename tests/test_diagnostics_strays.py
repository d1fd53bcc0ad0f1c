"""Draws that the prior never gave: counted, told, and kept from ruling what is shown."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.console import verdicts
from abi_cli.console.terminal import Console
from abi_cli.data.beyond import Beyond
from abi_cli.diagnostics import Inputs, diagnose, flatten, measure
from abi_cli.diagnostics.faults import Fault, Kind
from abi_cli.diagnostics.plots_truths import draw_recovery
from abi_cli.diagnostics.style import beyond, reach
from abi_cli.listener import Listener
from abi_cli.model.family import tails_of
from abi_cli.ranges import Range, ranges_of
from abi_cli.spec import parse_spec
from abi_cli.variables import DrawBlock, Layout, Variable
from abi_cli.workflow import Diagnosis
from tests.diagnostics_examples import posterior, read

RANGE = Range(-4.0, 4.0)


def read_spec(prior):
    spec = parse_spec(f"name: a\nmodel: {{prior: {prior}, likelihood: a.py:f}}\n")
    return spec.model.declared("prior")


def metrics_with(draws, truth, own=RANGE):
    scalars = flatten({"mu": draws}, {"mu": truth}, labels={})
    return measure(scalars, read(scalars), ranges={"mu": own})


@pytest.fixture(scope="module")
def exact():
    return posterior(datasets=1_000, draws=100)


def test_exact_posteriors_stray_no_more_than_chance(exact):
    found = metrics_with(*exact)
    assert found.parameters["mu"].outside < 2e-4
    assert found.verdict.outcome.value in ("pass", "cannot tell")


def test_one_posterior_from_far_out_is_a_warning(exact):
    draws, truth = exact[0].copy(), exact[1]
    draws[7] *= 1e30
    found = metrics_with(draws, truth)
    assert found.verdict.outcome.value == "warn"
    assert found.parameters["mu"].far == 1
    assert found.verdict.sentence.startswith(
        "Detectably not exact: mu is far outside −4 to 4, all that the prior gave in training, in "
        "1 of 1,000 data sets: up to "
    )


def test_a_true_value_beyond_those_of_the_pilot_is_none(exact):
    draws, truth = exact[0][:500].copy(), exact[1][:500].copy()
    truth[3] = 4.2
    draws[3] = 4.2 + 0.02 * np.random.default_rng(3).normal(size=draws.shape[1])
    found = metrics_with(draws, truth)
    assert found.parameters["mu"].outside > 1e-3
    assert found.verdict.outcome.value in ("pass", "cannot tell")


def test_a_bound_that_is_crossed_is_a_warning():
    rng = np.random.default_rng(1)
    truth = rng.uniform(size=2_000)
    draws = rng.uniform(-0.01, 1.01, size=(2_000, 200)).astype(np.float32)
    found = metrics_with(draws, truth, Range(0.0, 1.0))
    verdict = found.verdict.parameters["mu"]
    assert verdict.outcome.value == "warn"
    assert verdict.faults[-1] == Fault(
        (Kind.BEYOND,),
        "outside 0 to 1, all that the prior gave in training, in 2.0 % of the draws",
        large=False,
    )


def test_a_prior_with_heavy_tails_may_give_more_than_the_pilot_saw():
    rng = np.random.default_rng(2)
    truth = rng.standard_cauchy(4_000)
    draws = rng.standard_cauchy((4_000, 100)).astype(np.float32)
    found = metrics_with(draws, truth, Range(-1_500.0, 1_500.0))
    assert found.parameters["mu"].far > 0
    faults = found.verdict.parameters["mu"].faults
    assert Kind.BEYOND not in [kind for fault in faults for kind in fault.kinds]


def test_draws_in_the_tails_of_a_declared_prior_are_a_warning(exact):
    draws, truth = exact[0].copy(), exact[1]
    mu = read_spec("{mu: normal, s: {gamma: {shape: mu}}, b: {uniform: {size: 2}}, f: a.py:f}")
    tails = tails_of(mu)
    assert tails.keys() == {"mu", "b"}
    layout = Layout((Variable("mu", "parameter", ragged=False, event=(), low=-4.0, high=4.0),))
    (own,) = ranges_of(layout, tails).values()
    assert own.tails == pytest.approx((-4.7534, 4.7534), abs=1e-3)
    assert metrics_with(draws, truth, own).verdict.outcome.value in ("pass", "cannot tell")
    draws[::20, 0] = 5.0  # of 100 draws: too few to be more than a wider range than the pilot's
    assert metrics_with(draws, truth).verdict.outcome.value in ("pass", "cannot tell")
    verdict = metrics_with(draws, truth, own).verdict.parameters["mu"]
    assert verdict.outcome.value == "warn"
    assert verdict.reason == (
        "outside −4.753 to 4.753, where all but 2 in a million draws of its prior are, in 0.05 % "
        "of the draws"
    )
    watch = Beyond({"mu": own})
    watch.add(DrawBlock(0, 0, {"mu": draws.astype(np.float32)}))
    (said,) = watch.sentences([str(i) for i in range(len(draws))])
    assert "as far as 5, in " in said
    low, high = tails["b"]
    wide = Layout((Variable("b", "parameter", ragged=False, event=(2,), low=0.0, high=1.0),))
    assert ranges_of(wide, tails)["b[1]"].tails == pytest.approx((float(low), float(high)))


def test_medians_are_not_ruled_by_one_posterior(exact):
    draws, truth = exact[0].copy(), exact[1]
    before = metrics_with(draws, truth).parameters["mu"]
    assert before.nrmse_robust == pytest.approx(before.nrmse, rel=0.1)
    assert not before.ruled
    draws[7] *= 1e30
    after = metrics_with(draws, truth).parameters["mu"]
    assert after.nrmse > 1e20
    assert after.ruled
    assert after.nrmse_robust == pytest.approx(before.nrmse_robust, rel=0.01)


def test_the_table_keeps_its_shape(exact, capsys, tmp_path):
    draws, truth = exact[0].copy(), exact[1]
    draws[7] = 1e32
    draws[7, 0] = -3e37
    verdicts.show_diagnosis(Console(), Diagnosis(metrics_with(draws, truth), tmp_path))
    table = capsys.readouterr().out
    assert "(by medians 0." in table
    assert max(map(len, table.split("\n\n")[0].splitlines())) < 155


def test_pictures_show_all_but_what_is_far_out(exact):
    from matplotlib.figure import Figure

    draws, truth = exact[0][:200].copy(), exact[1][:200]
    draws[7] *= 1e9
    axes = Figure().add_subplot()
    scalars = flatten({"mu": draws}, {"mu": truth}, labels={})
    assert draw_recovery(axes, read(scalars)) == 1
    assert max(map(abs, axes.get_xlim())) < 10
    values = np.append(np.random.default_rng(1).normal(size=999), 1e6)
    assert reach(values)[1] < 10
    assert beyond(reach(values), values) == 1
    assert reach(values[:-1]) == (values[:-1].min(), values[:-1].max())


def test_a_diagnosis_of_wild_draws_is_written_whole(exact, tmp_path):
    draws, truth = exact[0][:400].copy(), exact[1][:400]
    draws[0, :3] = 1e32
    inputs = Inputs({"mu": draws}, {"mu": truth}, prior={"mu": truth}, ranges={"mu": RANGE})
    diagnose(inputs, tmp_path, listener=Listener())
    found = json.loads((tmp_path / "metrics.json").read_text())["parameters"]["mu"]
    assert found["far"] == 1
    assert found["nrmse_robust"] < 1
    assert "by medians" in (tmp_path / "report.html").read_text()


def block(values, *, first=0):
    return DrawBlock(first, 0, {"mu": np.array(values, np.float32)})


def told(*blocks, labels="ABCDEF"):
    watch = Beyond({"mu": RANGE})
    assert list(watch.watching(blocks)) == list(blocks)
    return list(watch.sentences(labels))


def test_draws_outside_are_told_by_data_set():
    rng = np.random.default_rng(1)
    inside = rng.uniform(-4, 4, size=(1, 1_000))
    some = inside.copy()
    some[0, :30] = 4.5
    assert told(block(inside)) == []
    assert told(block(np.where(np.arange(1_000) < 5, 4.5, inside))) == []
    assert told(block(inside), block(some, first=1), block(some + 8, first=2)) == [
        "draws of mu lie outside −4 to 4, all that the prior gave in training, in 2 of 3 data "
        "sets: C (100.0 %), B (3.0 %)"
    ]
    some[0, 0] = -1e32
    assert told(block(np.repeat(some, 5, axis=0))) == [
        "draws of mu lie outside −4 to 4, all that the prior gave in training, as far as −1e+32, "
        "in 5 of 5 data sets: A (3.0 %), B (3.0 %), C (3.0 %) and 2 more"
    ]


def test_ranges_are_those_of_elements():
    rng = np.random.default_rng(1)
    values = {"b": rng.uniform([0, 5, 1], [1, 9, 1], size=(50, 3)), "y": rng.normal(size=50)}
    layout = Layout.of_values(values, {"b": "parameter", "y": "observable"}, missing=())
    found = ranges_of(Layout.from_config(json.loads(json.dumps(layout.to_config()))))
    assert found.keys() == {"b[0]", "b[1]"}  # the third is constant
    assert 5 <= found["b[1]"].low < found["b[1]"].high <= 9
    old = Layout((Variable("b", "parameter", ragged=False, event=(2,), low=0.0, high=9.0),))
    assert ranges_of(old) == {"b[0]": Range(0, 9), "b[1]": Range(0, 9)}
