"""A spec written and read back is the same spec, and looks as if a person had written it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abi_cli.data.preparing import PREPARATIONS
from abi_cli.spec import (
    DataSection,
    DesignSection,
    DiagnosticsSection,
    ModelSection,
    NetworksSection,
    ObservableSection,
    ParameterSection,
    Spec,
    TrainingSection,
    dump_spec,
    parse_spec,
    refuse_variable_name,
)
from tests.toy_parts import (
    SPEC,
    Adam,
    AsSet,
    Concatenate,
    Constant,
    Constrain,
    CosineDecay,
    CouplingFlow,
    DeepSet,
    EarlyStopping,
    Normal,
    Rename,
    Scale,
    only_toy_parts,
)


@pytest.fixture(autouse=True, scope="module")
def _toys():
    with only_toy_parts():
        yield


EXPECTED = """\
name: toy
seed: 1
backend: null
use: []
model:
  meta: toy.py:meta
  given: null
  prior: toy.py:prior
  likelihood: toy.py:likelihood
  log_likelihood: null
  log_prior: null
  quantities: {}
  chunk: 32
  max_failures: 0
  timeout: null
  noise_free: []
parameters:
  beta: {labels: [β₀, β₁]}
  sigma: {labels: [σ]}
context: {}
observables: null
missing: {}
data:
  dataset: dataset
  columns: {}
  categories: {}
  missing: []
  prepare: {}
adapter:
  - as_set: {keys: [x, y]}
  - constrain: {keys: [sigma], lower: 0.0, upper: null, method: softplus}
  - scale: {keys: [x, y], by: 2.0, strict: false}
  - concatenate: {keys: [beta, sigma], into: inference_variables}
  - rename: {from: N, to: inference_conditions}
networks:
  summary: {deep_set: {summary_dim: 4}}
  statistics: null
  inference: {coupling_flow: {depth: 6}}
training:
  epochs: 3
  num_batches: 128
  batch_size: 64
  optimizer: {adam: {clipnorm: 0.5}}
  learning_rate: {constant: {learning_rate: 0.0005}}
  validation: 0
  callbacks: []
  augment: null
  noise: null
  online: null
  checkpoint_every: 5 min
diagnostics:
  p: 0.03
  sd_ratio: 1.1
  mean_score: 0.1
  joint_warning: 0.1
  joint_failure: 0.5
  loss_warning: 0.05
  loss_failure: 0.2
"""


def test_a_dump_has_every_default_and_short_parts_on_one_line():
    assert dump_spec(parse_spec(SPEC)) == EXPECTED


def test_what_is_too_long_for_one_line_is_spread():
    keys = [f"variable_{i}" for i in range(12)]
    spec = parse_spec(SPEC, overrides=[f"adapter.0.as_set.keys=[{', '.join(keys)}]"])
    lines = dump_spec(spec).splitlines()
    assert "  - as_set:" in lines
    assert "      keys:" in lines
    assert "        - variable_11" in lines
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("value", [1e-300, 1e22, 0.1, 5e-324, -0.0])
def test_numbers_are_exact(value):
    spec = parse_spec(SPEC)
    step = Scale(keys=("x",), by=value)
    again = parse_spec(dump_spec(spec.model_copy(update={"adapter": (step,)})))
    assert repr(again.adapter[0]) == repr(step)


@pytest.mark.parametrize(
    "label",
    ["5e-4", "NO", "null", "~", "1", "- x", "a: b", "#", "'", '"', " x ", "!x", "x\ny", "β"],
)
def test_text_that_looks_like_something_else_stays_text(label):
    spec = parse_spec(SPEC)
    labelled = spec.model_copy(update={"parameters": {"beta": ParameterSection(labels=(label,))}})
    assert parse_spec(dump_spec(labelled)) == labelled


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
variables = (texts | st.sampled_from(["x", "y", "N", "no", "null", "true"])).filter(
    lambda name: refuse_variable_name(name) is None
)
few = st.sampled_from(["x", "y", "N", "no", "null", "true"])
labels = texts.filter(lambda label: bool(label.strip()))
keys = st.lists(texts, min_size=1, max_size=20, unique=True).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)
steps = st.one_of(
    st.builds(AsSet, keys=keys),
    st.builds(Constrain, keys=keys, lower=st.none() | numbers, method=st.sampled_from(["log"])),
    st.builds(Scale, keys=keys, by=numbers | st.lists(numbers, max_size=4).map(tuple)),
    st.builds(Concatenate, keys=keys, into=texts),
    st.builds(lambda a, b: Rename.model_validate({"from": a, "to": b}), texts, texts),
)
counts = st.integers(1, 10**9)
specs = st.builds(
    Spec,
    name=st.from_regex(r"\w[\w.-]{0,9}", fullmatch=True),
    seed=st.integers(0, 2**63 - 1),
    backend=st.sampled_from([None, "tensorflow", "jax", "torch"]),
    model=st.builds(
        ModelSection,
        meta=st.sampled_from([None, "a.b:c", "dir with spaces/m.py:meta"]),
        given=st.none()
        | st.just("m.py:given")
        | st.builds(
            DesignSection, file=st.sampled_from(["a.csv", "b c.npz"]), size=st.none() | counts
        )
        | st.just(DesignSection(file="a.csv", resample=False)),
        log_likelihood=st.sampled_from([None, "m.py:log_likelihood"]),
        prior=st.just("m.py:prior"),
        likelihood=st.just("m.py:no"),
        chunk=counts,
    ),
    parameters=st.none()
    | st.dictionaries(
        variables.filter(lambda name: name != "cases"),
        st.builds(ParameterSection, labels=st.lists(labels, max_size=3).map(tuple)),
    ),
    observables=st.sampled_from([None, {"cases": ObservableSection(kind="series")}]),
    data=st.builds(
        DataSection,
        dataset=st.sampled_from(["dataset", "subject id"]),
        columns=st.dictionaries(few, st.just(("a column",)), max_size=1),
        categories=st.dictionaries(few, st.just(("no", "yes", "1"))),
        prepare=st.dictionaries(few, st.sampled_from(PREPARATIONS)),
    ),
    adapter=st.lists(steps, min_size=1, max_size=4).map(tuple),
    networks=st.builds(
        NetworksSection,
        summary=st.none() | st.builds(DeepSet, summary_dim=counts),
        inference=st.builds(CouplingFlow, depth=counts),
    ),
    training=st.builds(
        TrainingSection,
        epochs=counts,
        optimizer=st.builds(Adam, clipnorm=st.none() | numbers),
        learning_rate=st.builds(Constant, learning_rate=st.floats(1e-9, 1e9))
        | st.builds(CosineDecay, alpha=numbers),
        callbacks=st.lists(st.builds(EarlyStopping, patience=counts), max_size=2).map(tuple),
    ),
    diagnostics=st.builds(DiagnosticsSection, sd_ratio=st.floats(1.01, 9), p=st.floats(0.001, 0.9)),
)


declared = st.dictionaries(
    few,
    st.builds(Normal, loc=numbers, scale=numbers) | st.just("m.py:draw"),
    min_size=1,
)


@settings(max_examples=30, deadline=None)
@given(specs, declared, declared)
def test_declarations_written_and_read_back_are_the_same(spec, meta, prior):
    prior = {name: source for name, source in prior.items() if name not in meta} or "m.py:prior"
    model = spec.model.model_copy(update={"meta": meta, "prior": prior})
    spec = spec.model_copy(update={"model": model, "parameters": None, "observables": None})
    assert parse_spec(dump_spec(spec)) == spec


@settings(max_examples=30, deadline=None)
@given(specs, st.dictionaries(few, st.just(ParameterSection()), min_size=1))
def test_specs_without_a_model_written_and_read_back_are_the_same(spec, parameters):
    observables = {"cases": ObservableSection(kind="series")}
    update = {"model": None, "parameters": parameters, "observables": observables}
    spec = spec.model_copy(update=update)
    assert parse_spec(dump_spec(spec)) == spec


@settings(max_examples=60, deadline=None)
@given(specs)
def test_a_spec_written_and_read_back_is_the_same(spec):
    text = dump_spec(spec)
    again = parse_spec(text)
    assert again == spec
    assert dump_spec(again) == text
