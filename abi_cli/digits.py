"""Numbers as people read them, with a true minus sign, and whole ones as they write them."""

from __future__ import annotations

import math
import re
from decimal import Decimal


def number(value: float) -> str:
    """The number in four significant digits; whole numbers as they are."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def duration(seconds: float) -> str:
    """The seconds as people say them: 0.4 s, 12 s, 2 min 5 s, 1 h 3 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def fixed(value: float, decimals: int = 3, *, sign: str = "") -> str:
    """The number with so many decimals, fewer digits where it is large, and a true minus sign."""
    text = f"{value:{sign}.{decimals}f}" if abs(value) < 1_000 else f"{value:{sign}.2g}"
    return text.replace("-", "−")


def probability(p: float) -> str:
    """The p-value as sentences have it: p = 3e-05; a bound of one that underflows."""
    return f"p = {p:.1g}" if p > 0 else "p < 1e-300"


def weight(size: float) -> str:
    """The bytes as people say them: 512 B, 3.4 MB, 200 GB."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = 0
    while size >= 999.5 and power < len(units) - 1:
        size, power = size / 1000, power + 1
    return f"{size:.3g} {units[power]}"


def plural(noun: str, number: int) -> str:
    """The noun as it stands beside a number of things."""
    return noun if number == 1 else f"{noun}s"


def whole_number(text: str) -> int | None:
    """The number that 1000, 1_000 or 1e6 means; None where it is none, or not a whole one."""
    if re.fullmatch(r"[+-]?\d+(_\d+)*", text):
        return int(text)
    if not re.fullmatch(r"\+?\d+(_\d+)*(\.\d*)?e\+?\d{1,2}", text, re.IGNORECASE):
        return None
    number = Decimal(text.replace("_", ""))
    return int(number) if number == number.to_integral_value() else None
