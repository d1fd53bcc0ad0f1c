"""The simulator: rows that are what they are, and results that are refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abi_cli.errors import SpecError, UsageError, UserFunctionError
from abi_cli.model.rehearsal import check_reproducible
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose
from abi_cli.spec import parse_spec
from abi_cli.variables import Layout, Ragged, count, take
from tests.model_tasks import (
    BATCHED,
    MIXED,
    ONE_DRAW,
    STANDARD_RANDOM,
    assert_equal,
    simulator,
    train_rows,
)

FORMS = {
    "one draw": ONE_DRAW,
    "batched": BATCHED,
    **MIXED,
    "standard library": STANDARD_RANDOM,
}


@pytest.fixture(scope="module", params=FORMS)
def model(request, tmp_path_factory):
    return simulator(tmp_path_factory.mktemp("model"), FORMS[request.param])


@given(start=st.integers(0, 20), rows=st.integers(1, 12), before=st.integers(0, 5))
@settings(max_examples=12)
def test_a_row_is_the_same_whatever_ran_before_it(model, start, rows, before):
    expected = take(train_rows(model, 0, 32), slice(start, start + rows))
    np.random.normal(size=before)  # noqa: NPY002
    train_rows(model, before, before + 1)
    assert_equal(train_rows(model, start, start + rows), expected)


def test_purposes_and_seeds_give_other_rows(model):
    values = [
        model.simulate(seed=seed, purpose=purpose, start=0, stop=1)["x"].values[0]
        for seed in (0, 1)
        for purpose in Purpose
    ]
    assert len(set(values)) == len(values)


def test_variables_come_in_order_with_plain_types(tmp_path):
    data = train_rows(simulator(tmp_path, ONE_DRAW), 0, 50)
    assert list(data) == ["N", "beta", "sigma", "y", "x"]
    assert (data["N"].dtype, data["N"].shape) == (np.int64, (50,))
    assert (data["beta"].dtype, data["beta"].shape) == (np.float64, (50, 2))
    assert data["sigma"].shape == (50,)
    np.testing.assert_array_equal(data["x"].row_size, data["N"])
    np.testing.assert_array_equal(data["y"].row_size, data["N"])


def test_one_row_holds_together(tmp_path):
    code = ONE_DRAW.replace("sigma)", "0)")  # no noise
    data = train_rows(simulator(tmp_path, code), 0, 50)
    beta = np.repeat(data["beta"], data["N"], axis=0)
    np.testing.assert_allclose(data["y"].values, beta[:, 0] + beta[:, 1] * data["x"].values)


def test_batched_rows_hold_together(tmp_path):
    data = train_rows(simulator(tmp_path, BATCHED.replace("sigma[:, None]", "0")), 3, 21)
    beta = np.repeat(data["beta"], data["x"].row_size, axis=0)
    np.testing.assert_allclose(data["y"].values, beta[:, 0] + beta[:, 1] * data["x"].values)
    np.testing.assert_array_equal(data["x"].row_size, data["N"])


def test_meta_is_drawn_once_a_chunk(tmp_path):
    sizes = train_rows(simulator(tmp_path, BATCHED), 0, 80)["N"].reshape(20, 4)
    assert (sizes == sizes[:, :1]).all()
    assert len(set(sizes[:, 0])) > 1
    one_draw = train_rows(simulator(tmp_path, ONE_DRAW), 0, 80)["N"].reshape(20, 4)
    assert (one_draw != one_draw[:, :1]).any()


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_context_may_be_held_fixed_without_changing_the_parameters(tmp_path, code):
    model = simulator(tmp_path, code)
    fixed = train_rows(model, 2, 9, context={"N": 10.0})
    assert fixed["N"].dtype == np.int64
    assert (fixed["x"].row_size == 10).all()
    np.testing.assert_array_equal(fixed["beta"], train_rows(model, 2, 9)["beta"])


def test_context_may_come_from_the_caller_alone(tmp_path):
    code = "def prior(scale, rng): return {'mu': scale * rng.normal()}\n"
    code += "def likelihood(mu, N, rng): return {'x': rng.normal(mu, size=N)}\n"
    model = simulator(tmp_path, code)
    data = train_rows(model, 0, 6, context={"scale": 2.5, "N": 3})
    assert list(data) == ["scale", "N", "mu", "x"]
    layout = model.layout(data)
    assert [variable.role for variable in layout.variables] == [
        "context",
        "context",
        "parameter",
        "observable",
    ]


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"M": 3}, "got M"),
        ({"sigma": 1.0}, "got sigma, which prior draws"),
        ({"N": 7.5}, "whole number for N; got 7.5"),
        ({"rng": 1}, "got rng"),
    ],
)
def test_only_context_can_be_held_fixed(tmp_path, context, expected):
    with pytest.raises(UsageError) as caught:
        train_rows(simulator(tmp_path, ONE_DRAW), 0, 3, context=context)
    assert expected in str(caught.value)


def test_variables_of_fixed_shape_stay_dense(tmp_path):
    code = """
import numpy as np
def prior(rng): return {"mu": rng.normal()}
def likelihood(mu, rng):
    return {"z": rng.normal(mu, size=(3, 2)), "hit": mu > 0, "k": np.uint8(3), "s": [1, 2.5],
            "sets": np.ones((rng.integers(0, 3), 2))}
"""
    data = train_rows(simulator(tmp_path, code, ragged=frozenset({"sets", "mu"})), 0, 9)
    assert data["mu"].shape == (9,)
    assert data["z"].shape == (9, 3, 2)
    assert data["hit"].dtype == data["k"].dtype == np.int64
    assert data["s"].shape == (9, 2)
    assert isinstance(data["sets"], Ragged)
    assert data["sets"].values.shape == (data["sets"].row_size.sum(), 2)


PRIOR = "import numpy as np\ndef prior(): return {'mu': np.random.normal()}\n"
REFUSED = {
    "raises": (
        PRIOR + "def likelihood(mu):\n    return {'x': np.ones(int(1e9 * abs(mu) - 1e10))}\n",
        ["likelihood raised ValueError: negative dimensions", "row 0 of seed 7, train, mu = "],
    ),
    "raises later": (
        PRIOR + "rows = []\ndef likelihood(mu):\n    rows.append(1)\n    if len(rows) == 3:\n"
        "        raise KeyError('a')\n    return {'x': [1.0]}\n",
        ["raised KeyError: 'a' (row 2 of seed 7"],
    ),
    "exits": (
        PRIOR + "import sys\ndef likelihood(mu): sys.exit('enough')\n",
        ["raised SystemExit: enough"],
    ),
    "reseeds": (
        PRIOR + "def likelihood(mu):\n    np.random.seed(1)\n    return {'x': [mu]}\n",
        ["likelihood seeds np.random", "Remove the call"],
    ),
    "no dict": (PRIOR + "def likelihood(mu): return [mu]\n", ["Expected a dict", "got list"]),
    "nothing": (PRIOR + "def likelihood(mu): pass\n", ["got NoneType"]),
    "empty dict": (PRIOR + "def likelihood(mu): return {}\n", ["got an empty dict"]),
    "other keys": (
        PRIOR + "def likelihood(mu):\n    return {'x': [1.0]} if mu > 0 else {'z': [1.0]}\n",
        ["as in the first row; got"],
    ),
    "unknown argument": (
        PRIOR + "def likelihood(mmu): return {'x': [1.0]}\n",
        ["likelihood takes mmu, which nothing provides", "Did you mean mu?"],
    ),
    "name taken": (
        PRIOR + "def likelihood(mu): return {'mu': 1.0}\n",
        ["likelihood returns mu, which the model has already"],
    ),
    "reserved name": (PRIOR + "def likelihood(): return {'draw': 1.0}\n", ["'draw' is reserved"]),
    "keyword": (PRIOR + "def likelihood(): return {'lambda': 1.0}\n", ["Python keyword"]),
    "no name": (PRIOR + "def likelihood(): return {0: 1.0}\n", ["'0' can't be an argument"]),
    "not finite": (
        PRIOR + "def likelihood(mu):\n    return {'x': [1.0] if mu > -1 else [0.0, np.nan]}\n",
        ["x is nan, which is not finite (row ", "mu = -"],
    ),
    "infinite element": (
        PRIOR + "def likelihood(mu): return {'z': [[1.0, mu if mu > 0 else np.inf]]}\n",
        ["z is inf, which is not finite (row ", "mu = -"],
    ),
    "text": (PRIOR + "def likelihood(): return {'x': ['a', 'b']}\n", ["it holds 'a'"]),
    "late text": (
        PRIOR + "def likelihood(mu): return {'z': 1.0 if mu > -1 else None}\n",
        ["z must be made of real numbers; it holds None", "mu = -"],
    ),
    "complex": (PRIOR + "def likelihood(): return {'x': [1j]}\n", ["it holds 1j"]),
    "no array": (
        PRIOR + "def likelihood(): return {'x': [[1.0], [1.0, 2.0]]}\n",
        ["x is no array"],
    ),
    "varying observable": (
        PRIOR + "def likelihood(mu): return {'z': np.ones(7 if mu > 0 else 9)}\n",
        ["z has ", " values in row 0 and ", "Say set or series"],
    ),
    "varying parameter": (
        "import numpy as np\ndef prior(): return {'x': np.ones(np.random.randint(1, 4))}\n"
        "def likelihood(x): return {'z': 1.0}\n",
        ["Parameters of varying length can't be inferred"],
    ),
    "varying members": (
        PRIOR + "def likelihood(mu): return {'x': np.ones((2, 3 if mu > 0 else 4))}\n",
        ["x has shape (2, "],
    ),
    "members in some chunks only": (
        PRIOR + "def likelihood(batch_size, rng):\n"
        "    return {'x': np.ones((4, 1) if rng.random() < 0.5 else 4)}\n",
        ["x has shape (", "Say set or series"],
    ),
    "no chunk": (
        PRIOR + "def likelihood(batch_size): return {'x': np.ones(7)}\n",
        ["x must have 4 (batch_size) as its first axis; its shape is (7,)"],
    ),
    "varying observables, all named at once": (
        PRIOR + "def likelihood(mu, rng):\n"
        "    n = rng.integers(1, 99)\n"
        "    return {'z': np.ones(n), 'x': np.ones(7), 'w': np.ones(n)}\n",
        ["z has ", "observables: {z: {kind: set}, w: {kind: set}}"],
    ),
    "varying chunks, all named at once": (
        PRIOR + "def likelihood(batch_size, rng):\n"
        "    n = rng.integers(1, 99)\n"
        "    return {'z': np.ones((batch_size, n)), 'w': np.ones((batch_size, n))}\n",
        ["z has ", "observables: {z: {kind: set}, w: {kind: set}}"],
    ),
    "varying chunks": (
        PRIOR + "def likelihood(batch_size, rng):\n"
        "    return {'z': np.ones((batch_size, rng.integers(1, 9)))}\n",
        ["values in row 0 and", "Say set or series"],
    ),
}


@pytest.mark.parametrize(("code", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused(tmp_path, code, expected):
    with pytest.raises(UserFunctionError) as caught:
        train_rows(simulator(tmp_path, code), 0, 40)
    for text in expected:
        assert text in str(caught.value)
    function = "prior" if "Parameters of" in expected[0] else "likelihood"
    assert caught.value.place.startswith("model.py:")
    assert caught.value.place.endswith(f" {function}")


def test_an_error_shows_the_frames_of_the_function_alone(tmp_path):
    code = PRIOR + "def scale(mu):\n    return np.linalg.inv(np.zeros((2, 2)))\n"
    code += "def likelihood(mu):\n    return {'x': scale(mu)}\n"
    with pytest.raises(UserFunctionError, match="Singular matrix") as caught:
        train_rows(simulator(tmp_path, code), 0, 1)
    assert caught.value.frames == (
        "model.py:6 in likelihood\n    return {'x': scale(mu)}",
        "model.py:4 in scale\n    return np.linalg.inv(np.zeros((2, 2)))",
    )


def test_what_functions_print_is_not_data(tmp_path, capsys):
    train_rows(
        simulator(tmp_path, PRIOR + "def likelihood(): print('hello'); return {'x': 1}"), 0, 2
    )
    assert capsys.readouterr() == ("", 4 * "hello\n")  # rows 0 and 1 are simulated twice


def test_the_layout_says_what_variables_are(tmp_path):
    code = ONE_DRAW.replace('"x": x}', '"x": x, "total": x.sum()}')
    model = simulator(tmp_path, code, parameters=("beta",))
    pilot = train_rows(model, 0, 200)
    layout = model.layout(pilot)
    assert [(variable.name, variable.role) for variable in layout.variables] == [
        ("N", "context"),
        ("beta", "parameter"),
        ("sigma", "nuisance"),
        ("y", "observable"),
        ("x", "observable"),
        ("total", "observable"),
    ]
    assert layout["N"].length_of == ("y", "x")
    assert (layout["N"].low, layout["N"].high, layout["N"].integer) == (5.0, 14.0, True)
    assert (layout["x"].ragged, layout["x"].event) == (True, ())
    assert layout["beta"].event == (2,)
    assert layout["sigma"].low == pilot["sigma"].min()
    assert Layout.from_config(layout.to_config()) == layout


def test_context_that_counts_in_some_rows_only_is_no_length(tmp_path):
    model = simulator(tmp_path, ONE_DRAW.replace("size=N)", "size=max(N, 6))"))
    assert model.layout(train_rows(model, 0, 200))["N"].length_of == ()


@pytest.mark.parametrize(
    ("code", "parameters", "expected"),
    [
        (ONE_DRAW, ("beta", "sigm"), "Did you mean sigma?"),
        (ONE_DRAW.replace("rng.gamma(1, 1)", "rng.poisson(3)"), None, "got sigma, whose values"),
    ],
)
def test_parameters_must_be_drawn_and_continuous(tmp_path, code, parameters, expected):
    model = simulator(tmp_path, code, parameters=parameters)
    with pytest.raises(SpecError) as caught:
        model.layout(train_rows(model, 0, 5))
    assert expected in str(caught.value)


def test_stored_simulations_need_not_hold_the_nuisance(tmp_path):
    model = simulator(tmp_path, ONE_DRAW, parameters=("sigma",))  # the prior draws beta first
    stored = train_rows(model, 0, 5)
    del stored["beta"]
    layout = model.layout(stored)
    assert [(v.name, v.role) for v in layout.variables] == [
        ("N", "context"),
        ("sigma", "parameter"),
        ("y", "observable"),
        ("x", "observable"),
    ]


def test_a_discrete_nuisance_is_fine(tmp_path):
    code = ONE_DRAW.replace("rng.gamma(1, 1)", "rng.poisson(3)")
    model = simulator(tmp_path, code, parameters=("beta",))
    assert model.layout(train_rows(model, 0, 5))["sigma"].role == "nuisance"


def test_it_is_made_of_a_spec(tmp_path):
    (tmp_path / "model.py").write_text(ONE_DRAW)
    spec = parse_spec(
        "name: a\nmodel: {meta: model.py:meta, prior: model.py:prior, "
        "likelihood: model.py:likelihood, chunk: 8}\n"
        "observables: {x: {kind: set}}\nparameters: {beta: {}}\n"
        "adapter:\n- as_set: y\n- concatenate: {keys: [beta], into: inference_variables}\n"
    )
    model = Simulator.from_spec(spec, tmp_path)
    assert (model.chunk, model.unit, model.parameters) == (8, 1, ("beta",))
    assert model.ragged == {"x", "y"}
    assert count(train_rows(model, 0, 3)) == 3


BAD = {
    "a generator of the module": (
        ONE_DRAW.replace("def meta", "own = np.random.default_rng(1)\n\ndef meta").replace(
            "rng.gamma(1, 1)", "own.gamma(1, 1)"
        ),
        "sigma differs",
        "prior",
    ),
    "another process": (
        ONE_DRAW.replace("rng.gamma(1, 1)", "float(__import__('os').getpid())"),
        "sigma differs",
        "prior",
    ),
}


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_a_good_model_is_reproducible(tmp_path, code):
    check_reproducible(simulator(tmp_path, code), 1)


@pytest.mark.parametrize(("code", "expected", "function"), BAD.values(), ids=BAD)
def test_a_model_that_is_not_reproducible_is_refused(tmp_path, code, expected, function):
    with pytest.raises(UserFunctionError) as caught:
        check_reproducible(simulator(tmp_path, code), 1)
    assert expected in caught.value.message
    assert caught.value.place.endswith(function)
