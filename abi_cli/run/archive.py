"""`model.keras`: an approximator in a file, written and read by this package's own registry.

The file is a Keras archive, config.json and model.weights.h5 in a zip, without the optimizer, so
that `keras.saving.load_model` opens it once `abi_cli.approximator` is imported. It holds no code:
reading it runs nothing but the constructors of registered parts.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import keras

from abi_cli import backend
from abi_cli.approximator import Approximator
from abi_cli.run.model_file import (
    CLASS,
    CONFIG,
    METADATA,
    MODULE,
    NAME,
    WEIGHTS,
    damaged,
    read_model_file,
)

_BEGINNING = (1980, 1, 1, 0, 0, 0)


def save_approximator(approximator: Approximator, path: Path) -> None:
    """Write an approximator without what only training needs."""
    plain = Approximator.from_config(approximator.get_config())
    plain.set_weights(approximator.get_weights())
    config = {
        "module": MODULE,
        "class_name": CLASS,
        "registered_name": NAME,
        "config": approximator.get_config(),
    }
    metadata = {"keras_version": keras.__version__, "date_saved": ""}
    with TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        weights = Path(folder) / WEIGHTS
        plain.save_weights(weights)
        for name, content in (
            (METADATA, json.dumps(metadata).encode()),
            (CONFIG, json.dumps(config).encode()),
            (WEIGHTS, weights.read_bytes()),
        ):
            archive.writestr(zipfile.ZipInfo(name, _BEGINNING), content)


def load_approximator(path: Path) -> Approximator:
    """Read an approximator.

    Errors:
        RunError: The file is missing, damaged or not one of ours.
    """
    file = read_model_file(path)
    try:
        with backend.at_most(file.numbers), TemporaryDirectory() as folder:
            approximator = Approximator.from_config(file.config)
            if approximator.count_params() != file.numbers:
                raise ValueError(
                    f"expected {approximator.count_params():,} weights; got {file.numbers:,}"
                )
            weights = Path(folder) / WEIGHTS
            weights.write_bytes(file.weights)
            approximator.load_weights(weights)
    # A config that somebody has changed can be wrong in every way that parts and Keras complain of.
    except Exception as error:
        raise damaged(path, error) from error
    return approximator
