"""The choice of backend and device; the backend is loaded without its chatter."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from abi_cli.backend.loading import lean, quiet
from abi_cli.errors import UsageError

BACKENDS = ("tensorflow", "jax", "torch")
_MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def select(
    name: str | None = None,
    *,
    spec_backend: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> str:
    """Choose the backend: `name` > KERAS_BACKEND > the spec's > tensorflow.

    A user's Keras configuration file is not read, TensorFlow's own log lines are turned off, and
    what JAX compiles is kept between runs in the user's cache. (TensorFlow's compiled code is not:
    it gains little, and warns of features of the processor.)

    Arguments:
        device: `cpu`, `gpu`, `gpu:1`, or None for what the backend prefers.
        threads: For one operation of TensorFlow, where other processes need the cores too: its idle
            threads wait busily. None for all cores.

    Errors:
        UsageError: For an unknown backend or device, or a backend that is not installed.
    """
    from importlib.util import find_spec

    backend = name or os.environ.get("KERAS_BACKEND") or spec_backend or "tensorflow"
    if backend not in BACKENDS:
        raise UsageError(f"Expected a backend of {', '.join(BACKENDS)}; got {backend!r}")
    if find_spec(_MODULES[backend]) is None:
        raise UsageError(
            f"The backend {backend} is not installed",
            hint=f"pip install 'abi-cli[{backend}]'"
            if backend != "tensorflow"
            else "pip install tensorflow",
        )
    os.environ["KERAS_BACKEND"] = backend
    os.environ["KERAS_HOME"] = str(Path(tempfile.gettempdir()) / "abi-keras-home-unused")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    if threads is not None:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "abi" / "jax"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    _choose_device(backend, device)
    try:
        with quiet(), lean(backend):
            import keras

            keras.ops.convert_to_tensor(0.0)  # looks for devices, which is logged once more
            wanting = _asks_for_gpu(device) and not accelerated()
    except (RuntimeError, AssertionError):
        if not _asks_for_gpu(device):
            raise
        wanting = True  # JAX raises where TensorFlow and PyTorch fall back to the processor
    if wanting:
        raise UsageError(
            f"{backend} finds no device {device} here",
            hint="Leave --device out to use what is there. A GPU needs its driver, and the backend "
            f"with its CUDA libraries: {_CUDA[backend]}",
        )
    return backend


_CUDA = {
    "tensorflow": "pip install 'abi-cli[cuda]'",
    "jax": "pip install 'jax[cuda12]'",
    "torch": "see pytorch.org",
}


def _asks_for_gpu(device: str | None) -> bool:
    return device is not None and device.startswith("gpu")


def _choose_device(backend: str, device: str | None) -> None:
    if device is None:
        return
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "gpu") or (index and not index.isdigit()):
        raise UsageError(f"Expected a device such as cpu, gpu or gpu:1; got {device!r}")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    else:
        if index:
            os.environ["CUDA_VISIBLE_DEVICES"] = index
        if backend == "jax":
            os.environ["JAX_PLATFORMS"] = "cuda"


def name() -> str:
    """The backend in use."""
    import keras

    backend: str = keras.config.backend()
    return backend


def to_numpy(x: Any) -> np.ndarray:
    """A backend's tensor as a NumPy array."""
    import keras

    array: np.ndarray = keras.ops.convert_to_numpy(x)
    return array


def accelerated() -> bool:
    """True if the backend computes on a GPU."""
    return _DETECTORS[name()]()


def _jax_gpu() -> bool:
    import jax

    return str(jax.default_backend()) != "cpu"


def _tensorflow_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_logical_devices("GPU"))


def _torch_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


_DETECTORS = {"tensorflow": _tensorflow_gpu, "jax": _jax_gpu, "torch": _torch_gpu}
