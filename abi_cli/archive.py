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

from abi_cli.approximator import Approximator
from abi_cli.errors import RunError

NAME = "abi>Approximator"
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_BEGINNING = (1980, 1, 1, 0, 0, 0)


def save_approximator(approximator: Approximator, path: Path) -> None:
    """Write an approximator without what only training needs."""
    plain = Approximator.from_config(approximator.get_config())
    plain.set_weights(approximator.get_weights())
    config = {
        "module": "abi_cli.approximator",
        "class_name": "Approximator",
        "registered_name": NAME,
        "config": approximator.get_config(),
    }
    metadata = {"keras_version": keras.__version__, "date_saved": ""}
    with TemporaryDirectory() as folder, zipfile.ZipFile(path, "w") as archive:
        weights = Path(folder) / _WEIGHTS
        plain.save_weights(weights)
        for name, content in (
            (_METADATA, json.dumps(metadata).encode()),
            (_CONFIG, json.dumps(config).encode()),
            (_WEIGHTS, weights.read_bytes()),
        ):
            archive.writestr(zipfile.ZipInfo(name, _BEGINNING), content)


def load_approximator(path: Path) -> Approximator:
    """Read an approximator.

    Errors:
        RunError: The file is missing, damaged or not one of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive, TemporaryDirectory() as folder:
            config = json.loads(archive.read(_CONFIG))
            if config.get("registered_name") != NAME:
                found = config.get("class_name")
                raise RunError(f"Expected an approximator in {path}; got {found}")
            approximator = Approximator.from_config(config["config"])
            approximator.load_weights(archive.extract(_WEIGHTS, folder))
    except FileNotFoundError:
        raise RunError(f"No {path}", hint="Has this run been trained to its end?") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, LookupError, OSError) as error:
        raise RunError(
            f"{path} can't be opened: {error}", hint="Train again, or restore it from a copy."
        ) from error
    return approximator
