"""How a spec says that files call things: the same for every command that reads one."""

from __future__ import annotations

from abi_cli.data import Naming
from abi_cli.data.meanings import Missing
from abi_cli.spec import Spec


def naming_of(spec: Spec) -> Naming:
    """What `data:` and the times of series say, for the readers of files."""
    named = spec.data
    return Naming(
        dataset=named.dataset,
        columns=named.columns,
        categories=named.categories,
        missing=Missing.of(named.missing),
        prepare=named.prepare,
        times=spec.times(),
    )
