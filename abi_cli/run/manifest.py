"""Names of what a run folder holds; the manifest, in which a run describes itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from abi_cli.run import integrity
from abi_cli.variables import Layout

SCHEMA = "abi.run/1"

SPEC, ORIGINAL, CODE, MODEL = "spec.yaml", "spec.orig.yaml", "code", "model.keras"
HISTORY, STATE, MANIFEST = "history.csv", "state", "manifest.json"
REFERENCE = "reference.npz"
DIAGNOSTICS, METRICS = "diagnostics", "metrics.json"


@dataclass(frozen=True)
class Accepted:
    """Files that were changed in mid-training, as somebody has accepted.

    Arguments:
        when: ISO 8601 with the offset from UTC.
        files: File → its SHA-256 before; empty for one that was added.
    """

    when: str
    files: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """The description that a run gives of itself.

    Arguments:
        name: The spec's name.
        seed: The seed of simulations and weights.
        command: The command line that made it.
        created: When it was begun, ISO 8601 with the offset from UTC.
        versions: Distribution → version of what its numbers depend on.
        hashes: File → SHA-256 of what the folder holds.
        backend, device: Where it was trained; the device as it was asked for.
        layout: The variables of the model; none until it is trained.
        timings: Part of the work → seconds.
        trained: Whether training came to its end.
        stored: How many stored simulations it learned from, those held out included; 0 where they
            were fresh.
        data: The file that those are in, absolute, and its SHA-256; empty where they were fresh, or
            came through a pipe.
        jobs: Processes that simulate, as they were asked for; None for the usual number.
        extended: Epochs of the whole training, each time that it was made longer.
        resumed: When it was gone on with, ISO 8601.
        accepted: Changes of its code while it was being trained, in order; `hashes` has the last.
    """

    name: str
    seed: int
    command: tuple[str, ...]
    created: str
    versions: dict[str, str]
    backend: str
    device: str
    hashes: dict[str, str] = field(default_factory=dict)
    layout: Layout = field(default_factory=lambda: Layout(()))
    timings: dict[str, float] = field(default_factory=dict)
    trained: bool = False
    stored: int = 0
    data: tuple[str, ...] = ()
    jobs: int | None = None
    extended: tuple[int, ...] = ()
    resumed: tuple[str, ...] = ()
    accepted: tuple[Accepted, ...] = ()

    def to_json(self) -> str:
        """The text of manifest.json."""
        document = {"schema": SCHEMA, **asdict(self), "layout": self.layout.to_config()}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """A manifest from the text that `to_json` gave.

        Errors:
            NewerFormat: Only a newer version reads it.
            ValueError: It is not a manifest.
        """
        document = integrity.document_of(text, SCHEMA)
        if "layout" in document:
            document["layout"] = {"variables": document["layout"]}
        manifest = integrity.typed(cls, document)
        integrity.refuse_odd(manifest.layout)
        return manifest
