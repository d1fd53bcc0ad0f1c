"""The record of a bank: its bank.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from abi_cli.run import integrity
from abi_cli.variables import Layout

SCHEMA = "abi.bank/1"

RECORD, MODEL, CODE, SHARDS = "bank.json", "model.yaml", "code", "shards"
"""Names in the folder of a bank."""


@dataclass(frozen=True)
class BankRecord:
    """The record of a bank, which describes it.

    Arguments:
        name: The spec's name.
        seed: The seed that its rows follow from.
        rows: The largest number that was asked for; the shards tell which are there.
        unit: Rows that are drawn from one stream.
        command: The command line that made it.
        created: When it was begun, ISO 8601 with the offset from UTC.
        versions: Distribution → version of what its numbers depend on.
        hashes: File → SHA-256 of model.yaml and of the code.
        layout: The variables of the model.
    """

    name: str
    seed: int
    rows: int
    unit: int
    command: tuple[str, ...]
    created: str
    versions: dict[str, str]
    hashes: dict[str, str]
    layout: Layout = field(default_factory=lambda: Layout(()))

    def to_json(self) -> str:
        """The record as the text of bank.json."""
        document = {"schema": SCHEMA, **asdict(self), "layout": self.layout.to_config()}
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> BankRecord:
        """The record that a bank.json holds.

        Errors:
            NewerFormat: Only a newer version reads it.
            ValueError: It is something else.
        """
        document = integrity.document_of(text, SCHEMA)
        if "layout" in document:
            document["layout"] = {"variables": document["layout"]}
        record = integrity.typed(cls, document)
        integrity.refuse_odd(record.layout)
        return record
