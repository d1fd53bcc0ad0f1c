"""What hypothesis generates for our tests."""

from __future__ import annotations

from hypothesis import strategies as st

FRAGMENTS = (
    *(
        ":",
        ": ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "  ",
        "\t",
        "#",
        "'",
        '"',
        "|",
        ">",
        "%",
        "@",
    ),
    *("&a ", "*a", "<<: ", "!!int ", "!!binary ", "!x ", "---\n", "...", "~", "null", "true", "NO"),
    *("5e-4", "1e999", "-1", "0x1F", ".inf", ".nan", "9" * 5000, "'64'", "[" * 60, "[1, [2]]"),
    *("β", "\u2028", "\x85", "\x00", "\ufeff", "\ud800", '"\\ud800"', '"\\UFFFFFFFF"'),
    *("as_set", "as_set: {keys: }", "constrain: {keys: x}", "{a: 1}", "keys", "rng", "lambda"),
    *("training:", "learning_rate: {constant: 1}", "name: other"),
)
"""Pieces of YAML and of specs that make trouble in the wrong place."""


@st.composite
def mutations(draw: st.DrawFn, text: str) -> str:
    """`text` after a few edits: pieces removed, moved, doubled, replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 0, 1, 2, 5, 20]))
        piece = draw(st.sampled_from(FRAGMENTS) | st.text(max_size=4))
        kind = draw(st.integers(0, 2))
        if kind == 0:
            text = text[:start] + piece + text[stop:]
        elif kind == 1:
            to = draw(st.integers(0, len(text)))
            text = text[:to] + text[start:stop] + text[to:]
        else:
            lines = text.splitlines(keepends=True)
            if lines:
                index = draw(st.integers(0, len(lines) - 1))
                lines[index] = draw(st.sampled_from(["", " ", "  ", "- "])) + lines[index].lstrip()
            text = "".join(lines)
    return text
