"""CmdStan's CSV: the draws of one data set, as programs around Stan read the output of a chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from abi_cli.data.contents import Append, Content
from abi_cli.data.draws import DrawHeader, Style, float32_text
from abi_cli.data.table_rows import flat_draws
from abi_cli.errors import UsageError
from abi_cli.variables import DrawBlock

_STYLE = Style(base=1, dotted=True)

_CONFIGURATION = """# stan_version_major = 2
# stan_version_minor = 36
# stan_version_patch = 0
# model = {name}
# method = sample (Default)
#   sample
#     num_samples = {draws}
#     num_warmup = 1000 (Default)
#     save_warmup = false (Default)
#     thin = 1 (Default)
#     algorithm = fixed_param
# id = 1 (Default)
# random
#   seed = {seed}
"""
"""Comments that readers look for.

Draws that no Markov chain made are those of `fixed_param`, which has no warm-up whatever number
CmdStan writes there. The version is that of the layout.
"""

_TIMES = """#
#  Elapsed Time: 0 seconds (Warm-up)
#                0 seconds (Sampling)
#                0 seconds (Total)
#
"""


@contextmanager
def write(stream: BinaryIO, header: Content, _scratch: Path | None) -> Iterator[Append]:
    """Write one row per draw: `lp__` and `accept_stat__`, which are 0, `beta.1`, `beta.2`, `sigma`.

    Errors:
        UsageError: There are several data sets.
    """
    assert isinstance(header, DrawHeader)  # noqa: S101  # it writes nothing else
    if len(header.labels) != 1:
        raise UsageError(
            f"expected one data set for CmdStan's CSV, which has no place for more; "
            f"got {len(header.labels)}",
            hint="Give it the data sets one by one, or choose --format csv.",
        )
    name = header.provenance.get("run", "abi")
    lines = _CONFIGURATION.format(name=name, draws=header.draws, seed=header.seed or 0)
    names = [n for v in header.parameters for n in _STYLE.elements(v.name, v.event)]
    stream.write(f"{lines}{','.join(['lp__', 'accept_stat__', *names])}\n".encode())

    def append(block: DrawBlock) -> None:
        cells = float32_text(flat_draws(block, header))
        stream.write("".join(f"0,0,{','.join(row)}\n" for row in cells).encode())

    yield append
    stream.write(_TIMES.encode())
