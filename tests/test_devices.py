"""Several devices learn what one does, and a device that is not there is refused."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.cli import SPECS, abi_process

LEARN = """
    import json, sys
    from tests import engine
    from abi_cli import backend
    from abi_cli.training.blocks import BlockPlan

    def learned(devices):
        with devices as used:
            made = engine.ready(engine.approximator())
            plan = BlockPlan(epochs=2, num_batches=3, batch_size=8, buckets=(8,), seed=3,
                             rate=lambda step: 1.0 / (1 + step))
            sets = made.adapter.forward(engine.normal_sets(24, seed=9))
            loss = engine.learn(made, [plan.make(n, sets, 8) for n in range(2)])
            data = engine.normal_sets(5, seed=4)
            return used, loss, made.log_prob(engine.observed(data), data).tolist()

    from contextlib import nullcontext
    json.dump([learned(nullcontext(1)), learned(backend.all_devices(8)),
               learned(backend.all_devices(9))], sys.stdout)
"""


def test_several_devices_learn_what_one_does():
    env = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LEARN)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    one, two, indivisible = json.loads(done.stdout)
    assert [one[0], two[0], indivisible[0]] == [1, 2, 1]
    np.testing.assert_allclose(two[1], one[1], rtol=1e-5)
    np.testing.assert_allclose(two[2], one[2], rtol=1e-4)


@pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="there may be a GPU here")
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_gpu_that_is_not_there_is_refused_and_not_replaced(backend, tmp_path):
    spec = SPECS / "regression_vectorised.yaml"
    done = abi_process(
        "train", spec, "-o", tmp_path / "run", "--backend", backend, "--device", "gpu"
    )
    assert done.returncode == 2
    assert f"{backend} finds no device gpu here" in done.stderr
    assert not (tmp_path / "run").exists()
