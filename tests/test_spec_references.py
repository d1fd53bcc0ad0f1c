"""Values that are written once under `vars:`."""

import pytest

from abi_cli.spec import InvalidSpecError, dump_spec, parse_spec
from tests.cli import SPECS

TEXT = (SPECS / "regression.yaml").read_text(encoding="utf-8")
EPOCHS = "epochs: 30"


def spec(vars_line, epochs="${vars.n}", **rest):
    text = f"{vars_line}\n{TEXT.replace(EPOCHS, f'epochs: {epochs}')}"
    return parse_spec(text, **rest)


def test_a_reference_has_the_type_of_its_variable():
    assert spec("vars: {n: 7}").training.epochs == 7
    assert spec("vars: {n: 7}", overrides=["vars.n=9"]).training.epochs == 9
    assert parse_spec(dump_spec(spec("vars: {n: 7}"))) == spec("vars: {n: 7}")


def test_a_reference_within_a_text_becomes_text():
    text = TEXT.replace("name: regression", "name: run-${vars.n}-${ vars.m }")
    assert parse_spec(f"vars: {{n: 7, m: b}}\n{text}").name == "run-7-b"


def test_collections_can_be_referred_to():
    text = TEXT.replace("as_set: [x, y]", "as_set: ${vars.data}")
    assert parse_spec(f"vars: {{data: [x, y]}}\n{text}") == parse_spec(TEXT)


def test_labels_may_hold_other_braces():
    text = TEXT.replace("name: regression", "name: regression", 1)
    assert parse_spec(text.replace("{labels: σ}", "{labels: '${\\sigma}$'}")).parameters


@pytest.mark.parametrize(
    ("vars_line", "epochs", "message"),
    [
        ("vars: {m: 7}", "${vars.n}", "unknown variable 'n'"),
        ("", "${vars.n}", "unknown variable 'n'"),
        ("vars: 3", "5", "Expected a mapping of names to values; got 3"),
        ("vars: {n: many}", "${vars.n}", "Expected a whole number"),
        ("vars: {n: [1]}", "'1${vars.n}'", "within a text"),
        ("vars: {n: '${vars.m}', m: 1}", "${vars.n}", "got a reference"),
    ],
)
def test_what_can_not_be_replaced_is_refused_where_it_is_used(vars_line, epochs, message):
    with pytest.raises(InvalidSpecError) as caught:
        spec(vars_line, epochs)
    assert message in str(caught.value)
    assert "spec:" in str(caught.value)
