"""Banks: simulations that are made once, kept, extended and reused.

A bank is a folder:

    bank.json     what it is a bank of: seed, versions, hashes, the variables (`records`)
    model.yaml    what its rows follow from, as text that can be held against another
    code/         the functions that drew them
    shards/       0000000000-0000008192.h5: rows 0 to 8191, whole or not there at all (`shards`)

Row i is the same whoever makes it, where and when (`model.streams`). So a bank is nothing but a set
of rows: what is missing is made, what is there twice is read once, and banks of the same model can
be merged in any order (`bank`).
"""

from abi_cli.bank.bank import Bank, Piece
from abi_cli.bank.records import BankRecord
from abi_cli.bank.spans import Share, Span, length, without

__all__ = ["Bank", "BankRecord", "Piece", "Share", "Span", "length", "without"]
