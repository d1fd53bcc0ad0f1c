"""The run folder, all of it in one room.

folder        what is in it; begun, resumed, finished and read back
room          where another may be: backups, what is unfinished
manifest      what a run says of itself
integrity     whether its files are those that training wrote
lock          held while it is trained
archive       model.keras: an approximator in a file
model_file    the same file looked over without Keras
"""

from abi_cli.run.folder import (
    Run,
    accepted,
    begin,
    finish,
    look,
    noted,
    open_run,
    resume,
    write_history,
)
from abi_cli.run.manifest import (
    CODE,
    DIAGNOSTICS,
    HISTORY,
    MANIFEST,
    METRICS,
    MODEL,
    ORIGINAL,
    REFERENCE,
    SPEC,
    STATE,
    Manifest,
)

__all__ = [
    "CODE",
    "DIAGNOSTICS",
    "HISTORY",
    "MANIFEST",
    "METRICS",
    "MODEL",
    "ORIGINAL",
    "REFERENCE",
    "SPEC",
    "STATE",
    "Manifest",
    "Run",
    "accepted",
    "begin",
    "finish",
    "look",
    "noted",
    "open_run",
    "resume",
    "write_history",
]
