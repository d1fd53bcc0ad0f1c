"""Whole numbers as people write them."""

from __future__ import annotations

import re
from decimal import Decimal


def whole_number(text: str) -> int | None:
    """The number that 1000, 1_000 or 1e6 means; None where it is none, or not a whole one."""
    if re.fullmatch(r"[+-]?\d+(_\d+)*", text):
        return int(text)
    if not re.fullmatch(r"\+?\d+(_\d+)*(\.\d*)?e\+?\d{1,2}", text, re.IGNORECASE):
        return None
    number = Decimal(text.replace("_", ""))
    return int(number) if number == number.to_integral_value() else None
