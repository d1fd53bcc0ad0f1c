"""No text makes reading a spec crash or hang: it is a spec, or it is refused with a place."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from abi_cli.spec import InvalidSpecError, Spec, dump_spec, parse_spec
from tests.strategies import FRAGMENTS, mutations
from tests.toy_parts import SPEC, only_toy_parts


@pytest.fixture(autouse=True, scope="module")
def _toys():
    with only_toy_parts():
        yield


def read(text: str, overrides: tuple[str, ...]) -> Spec | InvalidSpecError:
    try:
        return parse_spec(text, source="spec.yaml", overrides=overrides)
    except InvalidSpecError as error:
        return error


def check(text: str, *overrides: str) -> None:
    found = read(text, overrides)
    if isinstance(found, Spec):
        assert parse_spec(dump_spec(found)) == found
        return
    assert found.problems
    str(found).encode()  # can be printed
    for problem in found.problems:
        assert problem.message
        place = problem.position
        assert 1 <= place.line <= len(place.source.text.splitlines()) + 1
        assert place.column >= 1


@settings(max_examples=150, deadline=2000)
@given(mutations(SPEC))
def test_mutated_specs_are_read_or_refused(text):
    check(text)


@settings(max_examples=60, deadline=2000)
@given(st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join))
@example("a: &a\n  b: *a\n")
@example("{[]: 1}")
@example("!!set {a, b}")
@example("%YAML 9.9\n---\na")
@example("%YAML 1." + "9" * 5000 + "\n---\na")
def test_any_text_is_read_or_refused(text):
    check(text)


@settings(max_examples=80, deadline=2000)
@given(
    st.sampled_from(["training.epochs=5", "adapter.1.constrain.lower=0", "networks.summary=null"])
    .flatmap(mutations)
    .map(str)
)
@example("=")
@example("...=1")
@example("adapter.-1.as_set=x")
@example("adapter.²=x")
@example("adapter.00=as_set")
@example("a\nb=1")
def test_mutated_overrides_are_applied_or_refused(argument):
    check(SPEC, argument)
