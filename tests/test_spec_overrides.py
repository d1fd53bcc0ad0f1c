"""Overrides set any field, whatever form the file is written in."""

from __future__ import annotations

import pytest

from abi_cli.spec import Spec, parse_spec
from tests.toy_parts import (
    SPEC,
    Adam,
    AsSet,
    Constant,
    Constrain,
    CosineDecay,
    CouplingFlow,
    DeepSet,
    EarlyStopping,
    only_toy_parts,
)


@pytest.fixture(autouse=True, scope="module")
def _toys():
    with only_toy_parts():
        yield


def get(spec: Spec, path: str):
    value = spec
    for name in path.split("."):
        value = value[int(name)] if name.isdecimal() else getattr(value, name)
    return value


@pytest.mark.parametrize(
    ("argument", "path", "expected"),
    [
        ("seed=7", "seed", 7),
        ("training.epochs=5", "training.epochs", 5),
        ("training.epochs= 5 ", "training.epochs", 5),
        ("training.validation=300", "training.validation", 300),
        ("training.learning_rate=1e-3", "training.learning_rate", Constant(learning_rate=1e-3)),
        ("training.learning_rate=cosine_decay", "training.learning_rate", CosineDecay()),
        ("training.optimizer.adam.clipnorm=null", "training.optimizer", Adam(clipnorm=None)),
        ("training.optimizer={adam: {}}", "training.optimizer", Adam()),
        (
            "training.callbacks=[{early_stopping: {patience: 2}}]",
            "training.callbacks",
            (EarlyStopping(patience=2),),
        ),
        ("networks.summary=null", "networks.summary", None),
        ("networks.summary.deep_set.summary_dim=3", "networks.summary", DeepSet(summary_dim=3)),
        ("networks.inference.coupling_flow.depth=2", "networks.inference", CouplingFlow(depth=2)),
        ("adapter.0.as_set.keys=x", "adapter.0", AsSet(keys=("x",))),
        ("adapter.0.as_set.keys.1=z", "adapter.0", AsSet(keys=("x", "z"))),
        ("adapter.0.as_set=z", "adapter.0", AsSet(keys=("z",))),
        ("adapter.0={constrain: {keys: x}}", "adapter.0", Constrain(keys=("x",))),
        (
            "adapter.1.constrain.upper=1",
            "adapter.1",
            Constrain(keys=("sigma",), lower=0.0, upper=1.0),
        ),
        ("model.prior=other.py:prior", "model.prior", "other.py:prior"),
    ],
)
def test_an_override_sets_what_it_names(argument, path, expected):
    assert get(parse_spec(SPEC, overrides=[argument]), path) == expected
    assert get(parse_spec(SPEC), path) != expected


def test_an_override_leaves_the_rest_alone():
    plain, changed = parse_spec(SPEC), parse_spec(SPEC, overrides=["training.epochs=5"])
    assert changed.model_copy(update={"training": plain.training}) == plain


def test_a_section_that_the_file_leaves_out_can_be_set():
    spec = parse_spec(SPEC, overrides=["observables.x.kind=set", "parameters.beta.labels=[a, b]"])
    assert spec.observables is not None
    assert spec.observables["x"].kind == "set"
    assert spec.parameters is not None
    assert spec.parameters["beta"].labels == ("a", "b")


def test_of_two_overrides_the_later_one_holds():
    assert parse_spec(SPEC, overrides=["seed=2", "seed=3"]).seed == 3


def test_an_override_can_mend_the_file():
    broken = SPEC.replace("epochs: 3", "epochs: three")
    assert parse_spec(broken, overrides=["training.epochs=3"]) == parse_spec(SPEC)
