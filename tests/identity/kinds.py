"""The relocations, by the golden words' rows: where each measures from, and which linker applies it."""

import os
import sys

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
sys.path.insert(0, GOLDEN)
from rows import ROWS  # noqa: E402
from settle import LEFT, NEAR, PAGES  # noqa: E402, F401

BY_CODE = {row.code: row for row in ROWS}
# Kinds of entries of the GOT.
SLOTS = {"got", "gd", "ld", "ie", "de"}
# What linkers make moves of a variable's offset in an image that is not shared, whatever they are told.
RELAXED = {541, 542, 562, 563, 564, 569}


def applied_by(linker):
    """The codes that a linker has words for in words.txt."""
    column = {"lld": 5, "gnu": 6}[linker]
    names = {"NONE"}
    with open(os.path.join(GOLDEN, "words.txt")) as file:
        for words in map(str.split, file):
            if words[0] not in ("#", "unmade") and words[column] != "-":
                names.add(words[0])
    return {row.code for row in ROWS if row.name in names}
