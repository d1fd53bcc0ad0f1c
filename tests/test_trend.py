"""What is said of a loss: its trend, whatever single epochs do."""

import numpy as np
import pytest

from abi_cli.console.reports import loss_sentence
from abi_cli.training.trend import trend


def falling(epochs, by):
    return [5.0 - by * epoch for epoch in range(epochs)]


@pytest.mark.parametrize("at", range(30))
def test_one_spike_anywhere_turns_no_trend(at):
    level = list(1.0 + 1e-3 * np.cos(np.arange(30.0)))
    level[at] += 319.6
    assert str(trend(level)) == "level"
    steady = falling(30, 0.1)
    steady[at] += 319.6
    assert trend(steady).change == pytest.approx(-0.7, rel=0.2)


def test_a_steady_fall_is_measured():
    found = trend(falling(40, 0.05))
    assert found.epochs == 8
    assert found.change == pytest.approx(-7 * 0.05)
    assert str(found) == "still falling by 0.350"
    assert str(trend(falling(40, -0.05))) == "rising by 0.350"


def test_noise_without_a_trend_is_level():
    rng = np.random.default_rng(3)
    found = [str(trend(rng.normal(size=50))) for _ in range(400)]
    assert 0.85 < np.mean([words == "level" for words in found]) < 0.97


def test_few_epochs_have_no_trend():
    assert trend(falling(4, 0.1)) is None
    assert trend([*falling(4, 0.1), np.nan]) is None


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (
            [{"loss": loss} for loss in [*falling(27, 0.0), 5.0, 324.6, 5.0]],
            "5.000 nats, level over the last 8 of 30 epochs",
        ),
        (
            [{"loss": loss} for loss in falling(30, 0.1)],
            "2.100 nats, still falling by 0.700 over the last 8 of 30 epochs",
        ),
        (
            [{"loss": 5 - 0.1 * i, "val_loss": 3 + 0.1 * i} for i in range(30)],
            "2.100, 5.900 on validation data nats, rising by 0.700 over the last 8 of 30 epochs",
        ),
        ([{"loss": 2.0}, {"loss": 1.0}], "1.000 nats after 2 epochs"),
        ([{"loss": 2.0}], "2.000 nats after 1 epoch"),
    ],
)
def test_the_receipt_says_so(history, told):
    assert loss_sentence(history, "nats") == told
