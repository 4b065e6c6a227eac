r"""Postgres 17 and older end a file at a line that holds only ``\.``: it is found first, wherever blocks are cut."""

from __future__ import annotations

import pytest

from ingest.copy import _EndMarkerGuard
from ingest.errors import FileRefused


def refusal(content: bytes, block_bytes: int) -> str | None:
    guard = _EndMarkerGuard()
    try:
        for start in range(0, len(content), block_bytes):
            guard.check(content[start : start + block_bytes])
        guard.check(b"")
    except FileRefused as error:
        return str(error)
    return None


@pytest.mark.parametrize("block_bytes", range(1, 12))
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a\n1\n\\.\n2\n", 3),
        (b"a\n1\n\\.", 3),
        (b"a\r\n\\.\r\n2\r\n", 2),
        (b"\\.\na\n", 1),
        (b"a\n1\\.\n\\.2\n\\..\n\\.\n", 5),
    ],
)
def test_end_marker_is_found(content, line, block_bytes):
    message = refusal(content, block_bytes)
    assert message is not None
    assert message.startswith(f"line {line}: ")


@pytest.mark.parametrize("block_bytes", range(1, 12))
@pytest.mark.parametrize("content", [b"a\n\\.5\n", b"a\n1\\.\n", b"a\n \\.\n", b"\\N\n", b"a\n\\\n.\n", b""])
def test_anything_else_is_not(content, block_bytes):
    assert refusal(content, block_bytes) is None
