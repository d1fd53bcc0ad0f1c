"""What a spec means: its defaults, the forms of a part, what its fields refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from abi_cli.errors import SpecError
from abi_cli.spec import InvalidSpecError, Spec, parse_spec, read_spec, refuse_variable_name
from tests.toy_parts import (
    SPEC,
    Adam,
    AsSet,
    Concatenate,
    Constant,
    Constrain,
    CouplingFlow,
    DeepSet,
    EarlyStopping,
    Rename,
    Scale,
    WarmupCosine,
    only_toy_parts,
)

SMALLEST = """\
name: smallest
model: {prior: m:prior, likelihood: m:likelihood}
adapter: [{rename: {from: a, to: inference_variables}}]
"""


@pytest.fixture(autouse=True, scope="module")
def _toys():
    with only_toy_parts():
        yield


def test_a_spec_is_read_into_values():
    spec = parse_spec(SPEC)
    assert spec.name == "toy"
    assert spec.model.prior == "toy.py:prior"
    assert spec.parameters is not None
    assert list(spec.parameters) == ["beta", "sigma"]
    assert spec.parameters["beta"].labels == ("β₀", "β₁")
    assert spec.parameters["sigma"].labels == ("σ",)
    assert spec.adapter == (
        AsSet(keys=("x", "y")),
        Constrain(keys=("sigma",), lower=0.0),
        Scale(keys=("x", "y"), by=2.0),
        Concatenate(keys=("beta", "sigma"), into="inference_variables"),
        Rename.model_validate({"from": "N", "to": "inference_conditions"}),
    )
    assert spec.networks.summary == DeepSet(summary_dim=4)
    assert spec.training.optimizer == Adam(clipnorm=0.5)
    assert spec.training.learning_rate == Constant(learning_rate=5e-4)


def test_what_is_not_said_has_its_default():
    spec = parse_spec(SMALLEST)
    assert (spec.seed, spec.backend, spec.parameters, spec.observables) == (1, None, None, None)
    assert (spec.model.meta, spec.model.chunk) == (None, 32)
    assert spec.networks.summary is None
    assert spec.networks.inference == CouplingFlow()
    training = spec.training
    assert (training.epochs, training.num_batches, training.batch_size) == (100, 128, 64)
    assert (training.optimizer, training.learning_rate) == (Adam(), WarmupCosine())
    assert (training.validation, training.callbacks) == (0, ())


@pytest.mark.parametrize("section", ["training:", "training: {}", "networks:", "parameters: {a: }"])
def test_a_section_with_nothing_in_it_has_all_its_defaults(section):
    expected = {"a"} if section.startswith("parameters") else None
    spec = parse_spec(SMALLEST + section)
    assert spec.training == parse_spec(SMALLEST).training
    assert (set(spec.parameters) if spec.parameters else None) == expected


@pytest.mark.parametrize(
    "form",
    [
        "- as_set: x",
        "- as_set: [x]",
        "- as_set: {keys: x}",
        "- as_set: {keys: [x]}",
        "- {as_set: {keys: [x]}}",
        "- as_set:\n      keys: [x]",
    ],
)
def test_a_part_may_be_written_in_every_form(form):
    spec = parse_spec(SPEC.replace("- as_set: [x, y]", form))
    assert spec.adapter[0] == AsSet(keys=("x",))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("deep_set", DeepSet()),
        ("{deep_set: }", DeepSet()),
        ("{deep_set: {}}", DeepSet()),
        ("{deep_set: {summary_dim: 7}}", DeepSet(summary_dim=7)),
        ("null", None),
    ],
)
def test_a_part_without_required_options_may_be_only_its_name(form, expected):
    spec = parse_spec(SPEC.replace("{deep_set: {summary_dim: 4}}", form))
    assert spec.networks.summary == expected


def test_lists_of_parts_follow_the_same_rule():
    spec = parse_spec(SPEC + "  callbacks: [early_stopping, {early_stopping: {patience: 2}}]")
    assert spec.training.callbacks == (EarlyStopping(), EarlyStopping(patience=2))


def test_ragged_is_what_observables_and_steps_say():
    assert parse_spec(SPEC).ragged() == {"x", "y"}
    kinds = "observables: {x: {kind: set}, cases: {kind: series}, image: {kind: fixed}}\n"
    assert parse_spec(SPEC + kinds).ragged() == {"x", "y", "cases"}
    assert parse_spec(SMALLEST).ragged() == frozenset()


@pytest.mark.parametrize(
    "reference", ["m.py:f", "dir/m.py:f", "/a b/m.py:f", "C:/m.py:f", "package.module:f", "m:f"]
)
def test_functions_are_named_by_file_or_module(reference):
    spec = parse_spec(SPEC.replace("toy.py:prior", f"'{reference}'"))
    assert spec.model.prior == reference


@pytest.mark.parametrize("reference", ["m.py", "m.py:", ":f", "m.py:f()", "a-b:f", "m.py:a.b", ""])
def test_what_names_no_function_is_refused(reference):
    with pytest.raises(InvalidSpecError, match="E107: Expected a function"):
        parse_spec(SPEC.replace("toy.py:prior", f"'{reference}'"))


@pytest.mark.parametrize("name", ["beta", "N", "β", "no", "draws", "x_1", "match"])
def test_variables_may_have_any_name_that_a_function_can_take(name):
    assert refuse_variable_name(name) is None


@pytest.mark.parametrize("name", ["draw", "rng", "log_prob", "lambda", "None", "a b", "1x", ""])
def test_other_names_are_refused(name):
    assert refuse_variable_name(name) is not None


def test_a_spec_does_not_change():
    spec = parse_spec(SPEC)
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 2


def test_every_field_is_described():
    from pydantic import BaseModel

    def check(model: type[BaseModel]) -> None:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                check(field.annotation)

    check(Spec)


def test_a_file_is_read_from_where_it_is_and_from_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "toy.yaml"
    path.write_text("\ufeff" + SPEC, encoding="utf-8")
    assert read_spec(path) == parse_spec(SPEC)
    with path.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        assert read_spec(Path("-"), overrides=["seed=7"]).seed == 7


def test_files_that_are_no_specs_are_refused(tmp_path):
    (tmp_path / "toy.yaml").write_text(SPEC, encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes("name: ä".encode("latin-1"))
    (tmp_path / "data.csv").write_text("1,2\n" * 100_000)
    for name, words in [
        ("toy.yml", "Did you mean .*toy.yaml"),
        ("latin.yaml", "byte 0xe4 on line 1"),
        ("data.csv", "Is it a data file"),
        (".", "directory"),
    ]:
        with pytest.raises(SpecError, match=words) as caught:
            read_spec(tmp_path / name)
        assert caught.value.exit_code == 3
        assert caught.value.place == str(tmp_path / name)
