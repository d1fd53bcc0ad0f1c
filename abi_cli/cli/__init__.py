"""The commands: signatures and help. A body imports what it needs, calls `workflow`, renders."""

from __future__ import annotations

import os
import sys

from abi_cli.cli import beside, language, main_job
from abi_cli.cli.app import app

__all__ = ["app", "beside", "language", "main", "main_job"]


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="abi")
    except SystemExit as end:
        # A backend takes seconds to put away what the end of the process puts away at once, but
        # semaphores that processes shared outlive it, and Python would warn of them.
        if shared := sys.modules.get("multiprocessing.util"):
            shared._exit_function()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
