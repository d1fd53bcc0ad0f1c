"""Every word of the language has help, with an example that works."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli import registry, workflow
from abi_cli.adapter.step import Step
from abi_cli.errors import UsageError
from abi_cli.model.distribution import Distribution
from abi_cli.networks.network import InferenceNetwork, SummaryNetwork
from abi_cli.networks.parts_summary import Fusion
from abi_cli.spec import InvalidSpecError, Spec, parse_spec
from abi_cli.spec.explanations import EXPLANATIONS
from abi_cli.spec.problems import Code
from abi_cli.training.parts import Callback, Optimizer, Schedule
from abi_cli.variables import Ragged
from tests import engine
from tests.cli import abi

SPEC = """
name: example
model:
  prior: model.py:prior
  likelihood: model.py:likelihood
adapter:
  - rename: {from: beta, to: inference_variables}
"""
FULL = """
name: example
model:
  meta: {N: {integers: {low: 5, high: 15}}}
  prior: model.py:prior
  likelihood: model.py:likelihood
observables: {x: {kind: set}}
"""
LIKELIHOOD = """
def prior(rng):
    return {"beta": rng.normal(), "sigma": rng.gamma(2) + 1}

def likelihood(beta, sigma, N, rng):
    return {"x": rng.normal(beta, sigma, size=N)}
"""
RNG = np.random.default_rng(1)
ROWS, SIZES = 50, np.full(50, 120)
SPREAD = RNG.normal(size=(ROWS, 2, 2))
WORLD = {
    "N": np.full(ROWS, 120),
    "beta": RNG.normal(size=(ROWS, 2)),
    "sigma": RNG.gamma(1, size=ROWS),
    "weights": RNG.dirichlet(np.ones(3), size=ROWS),
    "thresholds": np.sort(RNG.normal(size=(ROWS, 3))),
    "cov": SPREAD @ np.swapaxes(SPREAD, 1, 2) + np.eye(2),
    "rho": np.array([[[1, r], [r, 1]] for r in RNG.uniform(-0.9, 0.9, ROWS)]),
    "counts": RNG.poisson(3, ROWS),
    "choice": RNG.integers(0, 3, ROWS),
    "dose": RNG.gamma(2, size=ROWS),
    "covariates": RNG.normal(size=(ROWS, 3)),
    "wide": RNG.normal(size=(ROWS, 1)),
    "note": RNG.normal(size=ROWS),
    "x": Ragged(RNG.normal(size=SIZES.sum()), SIZES),
    "y": Ragged(RNG.normal(size=SIZES.sum()), SIZES),
    "cases": Ragged(RNG.poisson(3, SIZES.sum()), SIZES),
    "signals.x": Ragged(RNG.normal(size=SIZES.sum()), SIZES),
}
"""What variables that examples name could be."""

EVERY = [(kind, name) for kind in registry.HOMES for name in registry.names(kind)]


def placed(kind, name):
    """The part of the example, out of a spec in which it stands."""
    (found,) = workflow.explain(f"{kind}.{name}")
    section = found.example.partition(":")[0]
    lines = SPEC
    if section == "adapter":
        lines = SPEC[: SPEC.index("adapter:")]
    if section == "model":
        own = found.example.partition("\n")[2].strip()
        text = SPEC.replace("prior: model.py:prior", own)
        if own.startswith("meta"):
            text = SPEC.replace("model:", f"model:\n  {own}", 1)
    else:
        text = lines + found.example + "\n"
    spec = parse_spec(text)
    return {
        "step": lambda: spec.adapter[0],
        "summary network": lambda: spec.networks.summary,
        "inference network": lambda: spec.networks.inference,
        "optimizer": lambda: spec.training.optimizer,
        "schedule": lambda: spec.training.learning_rate,
        "callback": lambda: spec.training.callbacks[0],
        "distribution": lambda: next(iter((spec.model.meta or spec.model.prior).values())),
    }[kind]()


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_example_of_every_part_works(kind, name):
    part = placed(kind, name)
    assert (part.kind, part.name) == (kind, name)
    if isinstance(part, Step):
        state = part.fit(WORLD)
        part.inverse(part.forward(WORLD, state), state)
    elif isinstance(part, Distribution):
        assert np.isfinite(part.sample_rows(np.random.default_rng(1), {}, 5)).all()
    elif isinstance(part, SummaryNetwork):
        x, mask, shape = np.zeros((3, 4, 2), np.float32), np.ones((3, 4), np.float32), (None, 2)
        if part.also_fixed:
            mask, shape = None, (4, 2)
        elif not part.members:
            x, mask, shape = x[:, 0], None, (2,)
        if isinstance(part, Fusion):  # of a set and a vector
            x = {"trials": np.zeros((3, 4, 2), np.float32), "age": x}
            mask = {"trials": np.ones((3, 4), np.float32), "age": None}
            shape = {"trials": (None, 2), "age": (2,)}
        assert not isinstance(shape, tuple) or part.misfit(shape) is None
        summary = engine.built(kind, part.to_config(), shape)(x, mask=mask)
        assert summary.shape == (3, part.summary_dim)
    elif isinstance(part, InferenceNetwork):
        layer = engine.built(kind, part.to_config(), 2, 3, 1)
        c = np.zeros((4, 3), np.float32)
        if not part.has_draws:
            assert layer.estimates(c).shape == (4, 2, len(layer.names))
            return
        noise = np.zeros((1, 4, layer.noise_dim), np.float32)
        assert layer.inverse(noise, c[:1, None]).shape == (1, 4, 2)
        if layer.has_density:
            assert layer.log_prob(np.zeros((4, 2), np.float32), c).shape == (4,)
    elif isinstance(part, Optimizer):
        assert float(part.build(1e-3).learning_rate) == pytest.approx(1e-3)
    elif isinstance(part, Schedule):
        assert (part.peak * part.relative(np.arange(10), 10) > 0).all()
    else:
        assert isinstance(part, Callback)
        assert part.build().monitor == part.monitor


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_option_is_documented(kind, name):
    (found,) = workflow.explain(f"{kind}.{name}")
    assert found.help.splitlines()[0].endswith((".", "default.", ":"))
    assert all(option.help for option in found.options), found.options
    shown = abi("explain", f"{kind}.{name}".replace(" ", "_"))
    assert shown.exit_code == 0
    for option in found.options:
        assert option.name in shown.stdout


def test_every_code_is_explained():
    assert set(EXPLANATIONS) == set(Code)


@pytest.mark.parametrize("code", [code for code in Code if code.startswith("E1")])
def test_the_examples_of_codes_have_the_problem_and_have_it_no_more(code):
    explanation = EXPLANATIONS[code]

    def read(example):
        if code is Code.OVERRIDE:
            parse_spec(SPEC, overrides=[example])
            return
        section = example.partition(":")[0]
        start = SPEC.find(f"{section}:")
        parse_spec((SPEC[:start] if start >= 0 else SPEC) + example)

    with pytest.raises(InvalidSpecError) as error:
        read(explanation.wrong)
    assert [problem.code for problem in error.value.problems] == [code]
    read(explanation.right)


@pytest.mark.parametrize("code", list(Code))
def test_every_code_can_be_asked_for(code):
    shown = abi("explain", code.lower())
    assert shown.exit_code == 0
    assert EXPLANATIONS[code].title in shown.stdout


@pytest.mark.parametrize("code", [code for code in Code if code.startswith("E2")])
def test_the_examples_of_what_a_model_shows_have_the_problem_and_have_it_no_more(code, tmp_path):
    (tmp_path / "model.py").write_text(LIKELIHOOD)
    explanation = EXPLANATIONS[code]

    def found(example):
        (tmp_path / "spec.yaml").write_text(FULL + example)
        result = abi("check", tmp_path / "spec.yaml", "--format", "concise")
        return [line for line in result.stdout.splitlines() if "warning" not in line]

    (wrong,) = found(explanation.wrong)
    assert wrong.startswith(f"{tmp_path / 'spec.yaml'}:")
    assert f": {code} " in wrong
    if code is not Code.MODEL:  # there all parameters are
        assert not found(explanation.right), found(explanation.right)


def test_what_means_nothing_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as error:
        workflow.explain("constrian")
    assert error.value.hint == "Did you mean constrain?"
    assert abi("explain", "E999").exit_code == 2
    assert abi("explain", "step.deep_set").exit_code == 2


def test_kinds_can_be_called_by_their_plural():
    for words in ("step", "steps", "summary_network", "summary networks", "networks"):
        assert abi("list", words).exit_code == 0
    document = json.loads(abi("list", "networks", "--json").stdout)
    assert {part["kind"] for part in document["parts"]} == {"summary network", "inference network"}
    assert abi("list", "words").exit_code == 2


@pytest.mark.parametrize(
    ("word", "paths", "said"),
    [
        ("missing", ["missing", "data.missing"], "may be missing"),
        ("training.epochs", ["training.epochs"], "By default: 100"),
        ("length_of", ["context.NAME.length_of"], "By default: []"),
        ("likelihood", ["model.likelihood"], "It must be given"),
        ("inference", ["networks.inference"], "By default: coupling_flow"),
    ],
)
def test_fields_are_explained(word, paths, said):
    found = workflow.explain(word)
    assert [(field.kind, field.name) for field in found] == [("field", path) for path in paths]
    shown = abi("explain", word)
    assert shown.exit_code == 0
    assert said in " ".join(shown.stdout.split())


def test_a_section_lists_its_fields():
    (training,) = workflow.explain("training")
    options = {option.name: option.default for option in training.options}
    assert options["batch_size"] == "64"
    assert options["optimizer"] == "adam"


@pytest.mark.parametrize("name", Spec.model_fields)
def test_every_field_is_documented(name):
    field = workflow.explain(name)[0]
    assert field.help.splitlines()[0]
    assert all(option.help for option in field.options)
