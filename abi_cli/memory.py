"""The memory that this process has taken."""

from __future__ import annotations

import sys


def peak() -> int:
    """The number of bytes that it held at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most  # macOS counts in bytes
