"""Columns that nobody asked for and that look as if they named the data sets."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TYPICAL = frozenset(
    {
        *("dataset", "datasets", "set", "subject", "subjects", "subj", "sub", "subid", "subjid"),
        *("subjidx", "subjectid", "subjectnr", "participant", "participants", "participantid"),
        *("pid", "ppid", "vp", "person", "personid", "id", "group", "groupid", "unit", "unitid"),
        *("patient", "patientid", "animal", "animalid", "school", "site", "rep", "replicate"),
    }
)
"""Names of columns that tell whose a row is, in small letters and digits alone."""

_MOST = 100_000
"""Different values beyond which a column is no label."""


class Column:
    """A column while it is read: its values repeat over rows as a label's do, or not."""

    def __init__(self, name: str):
        self._typical = re.sub(r"[^a-z0-9]", "", name.lower()) in _TYPICAL
        self._times: dict[str, int] = {}
        self._last: str | None = None
        self._possible = True

    def add(self, cells: Sequence[str]) -> None:
        """Take the cells of some more rows."""
        for cell in cells if self._possible else ():
            text = cell.strip()
            again = text in self._times
            if again and text != self._last and not self._typical:  # it comes back after others
                self._possible = False
            if not again and not (self._typical or _can_be_label(text)):
                self._possible = False
            self._times[text] = self._times.get(text, 0) + 1
            self._last = text
            if len(self._times) > _MOST:
                self._possible = False
            if not self._possible:
                return

    @property
    def is_label(self) -> bool:
        """True if the column tells which rows belong together.

        Every value has several rows, which follow each other; under a name that is typical of
        labels it is enough that one value has several.
        """
        times = self._times.values()
        if not self._possible or len(times) < 2:
            return False
        return max(times) > 1 if self._typical else min(times) > 1


def _can_be_label(text: str) -> bool:
    """True for text and whole numbers: measurements are neither."""
    if not text:
        return False
    try:
        float(text)
    except ValueError:
        return True
    return text.isdecimal()
