"""Words for times that depend on when they are read are found, and no others."""

from __future__ import annotations

import pytest

from ingest.fill import names_a_relative_time

WORDS = ("now", "today", "tomorrow", "yesterday")


def found(text: str, size: int) -> bool:
    content = text.encode()
    blocks = iter([content[start : start + size] for start in range(0, len(content), size)])
    return names_a_relative_time(lambda: next(blocks, b""))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
@pytest.mark.parametrize("word", [*WORDS, "NOW", "Today"])
@pytest.mark.parametrize("around", ["{}", "1,{},x\n", '"{}"', "{}04:05", "12:00{}", "é{}\n", "unknown,{},unknown\n"])
def test_word_is_found_wherever_a_block_ends(word, around, size):
    assert found(around.format(word), size)


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "text", ["unknown,UNKNOWN\n", "know,snow,nowhere,todays,mytoday\n", "no w\n", "", "yesterdays"]
)
def test_longer_words_are_none(text, size):
    assert not found(text, size)
