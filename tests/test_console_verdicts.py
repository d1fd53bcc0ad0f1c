"""Verdicts for pipelines: JUnit, GitHub, gate; and ranks in ten characters."""

from xml.etree import ElementTree

import pytest

from abi_cli.console import verdicts
from abi_cli.diagnostics import flatten, measure
from abi_cli.diagnostics.joint import joint_pits
from abi_cli.errors import CheckFailed
from tests.diagnostics_examples import posterior, read


def metrics(**change):
    good, truth = posterior(datasets=4_000, draws=100)
    bad, other = posterior(datasets=4_000, draws=100, seed=1, **change)
    scalars = flatten({"good": good, "bad": bad}, {"good": truth, "bad": other}, labels={})
    return measure(scalars, read(scalars), joint_ranks=joint_pits(scalars, None, seed=1))


def test_junit_is_a_suite_with_a_case_for_each_finding():
    suite = ElementTree.fromstring(verdicts.junit(metrics(width=0.7)))  # noqa: S314 -- our own
    cases = {case.get("name"): case for case in suite}
    assert cases.keys() == {"good", "bad", "jointly, spread"}
    assert suite.get("tests") == "3"
    assert suite.get("failures") == str(sum(c.find("failure") is not None for c in suite))
    assert "too narrow" in cases["bad"].find("failure").get("message")
    assert list(cases["good"]) == []


def test_github_reads_a_line_for_each_finding():
    *findings, verdict = verdicts.github(metrics(width=0.7)).splitlines()
    assert any(line.startswith("::error title=abi diagnose::bad: ") for line in findings)
    assert not any("::good" in line for line in findings)
    assert verdict.startswith("::error title=abi diagnose::fail (ranks; no data, no likelihood, ")
    assert "%25 too narrow" in verdict  # its own percent signs


def test_the_gate_shuts_on_failure_alone():
    verdicts.gate(metrics())
    with pytest.raises(CheckFailed, match=r"bad is 2. % too narrow"):
        verdicts.gate(metrics(width=0.7))


def test_flat_ranks_stand_half_high():
    assert verdicts.sparkline([10] * 10) == "▅" * 10
    assert verdicts.sparkline([0, 0, 40, 0]) == "▁▁█▁"
