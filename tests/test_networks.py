"""Every network by its name in a spec: it trains, is saved, and comes back the same."""

import numpy as np
import pytest
import yaml

from abi_cli import backend, registry, workflow
from abi_cli.adapter import network_inputs
from abi_cli.approximator import Approximator
from abi_cli.errors import UsageError
from abi_cli.run.archive import load_approximator, save_approximator
from abi_cli.training.blocks import BlockPlan
from abi_cli.variables import take
from tests import engine
from tests.cli import light

SUMMARIES = {
    "deep_set": {"summary_dim": 4, "width": 8},
    "set_transformer": {"summary_dim": 4, "width": 8, "depth": 1, "heads": 2, "inducing": 2},
    "time_series": {"summary_dim": 4, "width": 8, "skip": 2},
    "recurrent": {"summary_dim": 4, "width": 8},
    "time_series_transformer": {"summary_dim": 4, "width": 8, "depth": 1, "heads": 2},
    "convolutional": {"summary_dim": 4, "width": 8, "widths": (3, 4)},
}
INFERENCES = {
    "coupling_flow": {
        "depth": 3,
        "width": 8,
        "transform": "spline",
        "bins": 4,
        "permutation": "orthogonal",
        "actnorm": True,
        "base": "mixture",
    },
    "autoregressive_flow": {"depth": 2, "width": 8, "base": "student_t"},
    "gaussian_mixture": {"components": 2, "width": 8},
    "flow_matching": {"depth": 1, "width": 8, "steps": 2, "repeats": 2},
    "diffusion": {
        "depth": 1,
        "width": 8,
        "schedule": "edm",
        "prediction": "score",
        "sampler": "sde",
        "steps": 3,
    },
    "consistency": {"depth": 1, "width": 8, "repeats": 3},
    "ensemble": {"network": {"coupling_flow": {"depth": 3, "width": 8}}, "members": 2},
}
ALONE = {"mlp", "fusion"}
"""Summary networks that take no sets: below by specs of their own."""

WITHOUT_DRAWS = {"point"}
"""Inference networks that give estimates alone: in `tests/test_point.py`."""


def test_every_network_is_tested():
    assert set(registry.names("summary network")) == {*SUMMARIES, *ALONE}
    assert set(registry.names("inference network")) == {*INFERENCES, *WITHOUT_DRAWS}


LIGHT = {"gaussian_mixture": {"components": 1, "depth": 1, "width": 8}}
"""Compiles sooner than a flow."""


def named(name: str) -> dict:
    if name in SUMMARIES:
        return {"summary": {name: SUMMARIES[name]}, "inference": LIGHT}
    return {"inference": {name: INFERENCES[name]}}


@pytest.mark.parametrize("name", [*SUMMARIES, *INFERENCES])
def test_within_five_steps_every_weight_has_changed_and_what_is_saved_comes_back(name, tmp_path):
    made = engine.ready(engine.approximator(**named(name)), learning_rate=1e-2)
    adapted = made.adapter.forward(engine.normal_sets(80, seed=9))
    plan = BlockPlan(
        epochs=1,
        num_batches=5,
        batch_size=16,
        buckets=(8,),
        seed=3,
        rate=np.ones_like,
        noise=made.inference_network.training_noise,
    )
    before = engine.weights(made)
    losses = engine.learn(made, [plan.make(0, adapted, 8)])
    assert np.isfinite(losses).all()
    for weight, old, new in zip(
        made.trainable_variables, before, engine.weights(made), strict=True
    ):
        assert (old != new).any(), weight.path

    sets = engine.observed(engine.normal_sets(5, seed=4))
    draws = next(iter(made.sample(sets, draws=20, seed=1))).values
    save_approximator(made, tmp_path / "model.keras")
    again = load_approximator(tmp_path / "model.keras")
    for parameter, values in next(iter(again.sample(sets, draws=20, seed=1))).values.items():
        np.testing.assert_array_equal(values, draws[parameter])

    few = take(adapted, slice(0, 6))
    theta = network_inputs(few)["inference_variables"]
    if made.inference_network.has_density:
        density = backend.to_numpy(made.log_density(theta, made.told(few)))
        assert np.isfinite(density).all()
        return
    with pytest.raises(UsageError, match=f"{name} gives draws, but no density"):
        made.log_prob(sets, {"mu": np.zeros(5), "sigma": np.ones(5)})


MODEL = """
import numpy as np

def prior(rng):
    return {"a": rng.normal(), "b": rng.normal()}

def vectors(rng, a, b):
    return {"v": a + b * np.arange(6) + rng.normal(size=6)}

def images(rng, a, b):
    return {"v": a + b * np.arange(6)[:, None] + rng.normal(size=(6, 5))}

def walks(rng, a, b):
    steps = rng.integers(4, 12)
    return {"w": np.cumsum(a + np.exp(b) * rng.normal(size=steps))}

def both(rng, a, b):
    return {**images(rng, a, b), **walks(rng, a, b)}
"""

CASES = {
    "a vector through mlp": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:vectors"},
        "networks": {"summary": {"mlp": {"summary_dim": 4, "width": 8}}},
    },
    "a vector as it is": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:vectors"},
        "networks": {"inference": LIGHT},
    },
    "a series": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:walks"},
        "observables": {"w": {"kind": "series"}},
    },
    "an image": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:images"},
        "networks": {
            "summary": {"convolutional": {"summary_dim": 4, "widths": [4, 8], "axes": 2}},
            "inference": LIGHT,
        },
    },
    "an image as it is": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:images"},
        "networks": {"inference": LIGHT},
    },
    "a series and an image": {
        "model": {"prior": "m.py:prior", "likelihood": "m.py:both"},
        "adapter": [
            {"as_time_series": "w"},
            {"standardize": {"whole": "v"}},
            {"concatenate": {"keys": ["a", "b"], "into": "inference_variables"}},
            {"group": {"keys": ["v", "w"], "into": "summary_variables"}},
        ],
        "networks": {
            "summary": {
                "fusion": {
                    "summary_dim": 4,
                    "networks": {
                        "v": {"convolutional": {"widths": [4], "summary_dim": 3, "axes": 2}},
                        "w": {"recurrent": {"width": 8, "summary_dim": 3}},
                    },
                }
            }
        },
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_data_of_every_kind_are_learned_from(case, tmp_path):
    (tmp_path / "m.py").write_text(MODEL)
    spec = tmp_path / "spec.yaml"
    budget = {"epochs": 2, "num_batches": 4, "batch_size": 8}
    spec.write_text(yaml.safe_dump({"name": "small", **case, "training": budget}))
    target = workflow.Target(tmp_path / "run")
    jobs = workflow.Compute(backend.name(), jobs=0)
    with light():
        receipt = workflow.train(spec, target=target, compute=jobs)
    assert np.isfinite([row["loss"] for row in receipt.history]).all()

    workflow.simulate(spec, datasets=7, target=workflow.Target(tmp_path / "sims.jsonl"))
    posterior = workflow.load(tmp_path / "run")
    draws = posterior.sample(tmp_path / "sims.jsonl", draws=10)
    assert draws.values["a"].shape == (7, 10)
    assert len(np.unique(draws.values["a"][:, 0])) == 7

    made = posterior.networks
    older = made.get_config()  # runs once kept the length of a vector as a number
    for name, width in older["widths"].items():
        older["widths"][name] = width[0] if width == [6] else width
    again = Approximator.from_config(older)
    assert [w.shape for w in again.weights] == [w.shape for w in made.weights]
