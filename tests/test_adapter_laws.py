"""Laws that every adapter step keeps, over the registry."""

import json

import numpy as np
import pytest

from abi_cli import registry
from abi_cli.adapter.step import event_of
from abi_cli.variables import Ragged, take
from tests.adapter_examples import EXAMPLES, ROW_SIZE, dense

ALL = [
    pytest.param(example, id=f"{name}-{number}")
    for name, examples in EXAMPLES.items()
    for number, example in enumerate(examples)
]


def frozen(data):
    """Copies that can't be written to."""
    out = {}
    for name, value in data.items():
        array = np.array(value.values if isinstance(value, Ragged) else value)
        array.setflags(write=False)
        out[name] = Ragged(array, value.row_size) if isinstance(value, Ragged) else array
    return out


def assert_same(actual, expected, *, rtol=0.0):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert isinstance(actual[name], Ragged) == isinstance(value, Ragged), name
        assert event_of(actual[name]) == event_of(value), name
        if isinstance(value, Ragged):
            np.testing.assert_array_equal(actual[name].row_size, value.row_size)
            np.testing.assert_allclose(actual[name].values, value.values, rtol=rtol)
        else:
            np.testing.assert_allclose(actual[name], value, rtol=rtol)


def flat(data):
    """All numbers of one data set."""
    return np.concatenate(
        [np.ravel(v.values if isinstance(v, Ragged) else v) for v in data.values()]
    )


def unflat(vector, like):
    out, start = {}, 0
    for name, value in like.items():
        array = value.values if isinstance(value, Ragged) else value
        piece = vector[start : start + array.size].reshape(array.shape)
        out[name] = Ragged(piece, value.row_size) if isinstance(value, Ragged) else piece
        start += array.size
    return out


def numerical_log_det(function, data, *, width=1e-5):
    """`(dataset,)`: log |det| of differences of `function`, of fourth order, at each data set."""
    log_det = []
    for row in range(len(next(iter(data.values())))):
        one = take(data, np.array([row]))
        at = flat(one)
        jacobian = np.empty((at.size, at.size))
        for i in range(at.size):
            step = width * abs(at[i])
            near, far = (
                flat(function(unflat(at + by * unit, one)))
                - flat(function(unflat(at - by * unit, one)))
                for by, unit in ((k, step * np.eye(at.size)[i]) for k in (1, 2))
            )
            jacobian[:, i] = (8 * near - far) / (12 * step)
        log_det.append(np.linalg.slogdet(jacobian)[1])
    return np.array(log_det)


def test_every_step_has_examples():
    assert set(registry.names("step")) == set(EXAMPLES)


@pytest.mark.parametrize("example", ALL)
def test_inverse_undoes_forward_and_neither_writes_to_its_input(example):
    data = frozen(example.data)
    state = example.step.fit(data)
    there = frozen(example.step.forward(data, state))
    back = example.step.inverse(there, state)
    restored = example.data if example.restored is None else example.restored
    assert_same(back, restored, rtol=example.rtol)


@pytest.mark.parametrize("example", ALL)
def test_flow_names_all_that_a_variable_is_made_from(example):
    state = example.step.fit(example.data)
    flow = example.step.flow(state)
    after = example.step.forward(example.data, state)
    assert flow.keys() <= after.keys()
    for name, value in after.items():
        alone = {read: example.data[read] for read in flow.get(name, (name,))}
        assert_same({name: example.step.forward(alone, state)[name]}, {name: value})


@pytest.mark.parametrize("example", ALL)
def test_log_det_is_that_of_a_numerical_jacobian(example):
    state = example.step.fit(example.data)
    data = {name: example.data[name] for name in example.density_of}
    there, at = (lambda at: example.step.forward(at, state)), data
    if example.chart is not None:
        at = {name: example.chart.coordinates(value) for name, value in data.items()}

        def there(at):
            embedded = {name: example.chart.embed(value) for name, value in at.items()}
            return example.step.forward(embedded, state)

    expected = numerical_log_det(there, at) if data else np.zeros(0)
    np.testing.assert_allclose(example.step.log_det(data, state), expected, atol=1e-6)


@pytest.mark.parametrize("example", [p for p in ALL if p.values[0].step.name != "keep"])
def test_what_is_absent_is_left_out(example):
    """`keep` alone leaves out what it does not name: that is what it is for."""
    state = example.step.fit(example.data)
    other = {"unrelated": dense()}
    assert_same(example.step.forward(other, state), other)
    assert_same(example.step.inverse(other, state), other)
    np.testing.assert_array_equal(example.step.log_det(other, state), np.zeros(len(ROW_SIZE)))
    assert example.step.in_support(other, state).all()
    assert example.step.forward({}, state) == {}


@pytest.mark.parametrize("example", ALL)
def test_data_sets_do_not_touch_each_other(example):
    state = example.step.fit(example.data)
    index = np.array([2, 0])
    assert_same(
        example.step.forward(take(example.data, index), state),
        take(example.step.forward(example.data, state), index),
    )


@pytest.mark.parametrize("example", ALL)
def test_a_step_is_its_config(example):
    config = json.loads(json.dumps(example.step.to_config()))
    assert registry.from_config("step", config) == example.step


@pytest.mark.parametrize("example", ALL)
def test_sets_without_members_pass(example):
    data = {
        name: Ragged(value.values[:0], np.array([0])) if isinstance(value, Ragged) else value[:1]
        for name, value in example.data.items()
    }
    after = example.step.forward(data, example.step.fit(example.data))
    assert all(len(value) == 1 for value in after.values())


def test_only_sets_and_series_mark_their_keys_as_ragged():
    marking = {name for name in registry.names("step") if registry.get("step", name).marks_ragged}
    assert marking == {"as_set", "as_time_series"}
