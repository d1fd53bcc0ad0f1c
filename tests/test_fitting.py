"""Summary networks that can't take what there is are refused before anything is built."""

import numpy as np
import pytest

from abi_cli import registry
from abi_cli.errors import SpecError
from abi_cli.spec import NetworksSection
from abi_cli.training.fitting import refuse_unfit
from abi_cli.variables import Ragged

SET = Ragged(np.zeros((6, 2)), np.array([2, 4]))
SIGNAL, MATRIX, COLOURS = np.zeros((2, 9)), np.zeros((2, 9, 8)), np.zeros((2, 9, 8, 3))


def refuse(value, name, **options):
    summary = registry.from_config("summary network", {name: options})
    networks = NetworksSection(summary=summary)
    refuse_unfit(networks, {"summary_variables": value})


@pytest.mark.parametrize(
    ("value", "name", "options", "said"),
    [
        (SIGNAL, "deep_set", {}, "Expected a set"),
        (SET, "mlp", {}, "got a set"),
        (SET, "convolutional", {"axes": 2}, "for images, not for series"),
        (MATRIX, "convolutional", {}, "a signal of 8 channels or axes: 2 for an image of 9 × 8"),
        (COLOURS, "convolutional", {"axes": 1}, "signals have 1 axis, or 2 with channels"),
        (SIGNAL, "convolutional", {"axes": 2}, "images have 2 axes"),
    ],
)
def test_what_does_not_fit_is_refused(value, name, options, said):
    with pytest.raises(SpecError, match=said) as error:
        refuse(value, name, **options)
    assert error.value.place.startswith("networks.summary")


@pytest.mark.parametrize(
    ("value", "name", "options"),
    [
        (SET, "convolutional", {}),
        (SET, "convolutional", {"axes": 1}),
        (SIGNAL, "convolutional", {}),
        (MATRIX, "convolutional", {"axes": 1}),
        (MATRIX, "convolutional", {"axes": 2}),
        (COLOURS, "convolutional", {}),
        (MATRIX, "mlp", {}),
        (np.zeros(2), "mlp", {}),
    ],
)
def test_what_fits_is_not(value, name, options):
    refuse(value, name, **options)
