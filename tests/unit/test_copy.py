r"""Chunks are dealt to streams, each to one; and the line that Postgres 17 and older take for the end is found."""

from __future__ import annotations

import threading
import time

import pytest

from ingest.copy import _END_MARKER, in_parallel
from ingest.errors import LoadStopped

CHUNKS = [str(number).encode() for number in range(200)]


@pytest.mark.parametrize("stream_count", [1, 2, 5])
def test_every_chunk_goes_to_one_stream(stream_count):
    dealt = in_parallel(stream_count, lambda _, chunks: list(chunks), iter(CHUNKS))
    assert len(dealt) == stream_count
    assert sorted(chunk for part in dealt for chunk in part) == sorted(CHUNKS)


def test_results_come_in_the_order_of_the_streams():
    def fill(number, chunks):
        list(chunks)
        time.sleep(0.02 * (3 - number))
        return number

    assert in_parallel(3, fill, CHUNKS) == [0, 1, 2]


def test_streams_end_without_a_chunk():
    assert in_parallel(3, lambda _, chunks: list(chunks), []) == [[], [], []]


def test_a_stream_that_fails_stops_the_others_and_is_what_is_raised():
    ended, read = [], 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield b"x"

    def fill(number, chunks):
        try:
            for place, _ in enumerate(chunks):
                if number == 1 and place == 3:
                    raise ValueError("the server refused")
        except BaseException as error:
            ended.append(type(error))
            raise

    with pytest.raises(ValueError, match="the server refused"):
        in_parallel(3, fill, endless())
    assert ended[0] is ValueError
    assert ended[1:] == [LoadStopped, LoadStopped]
    assert read < 10_000, "reading stops too"


def test_streams_that_never_read_do_not_keep_the_others_failure_back():
    """A slow stream, whose queue is full, while another fails."""
    failed = threading.Event()

    def fill(number, chunks):
        if number == 0:
            failed.set()
            raise ValueError("no connection")
        failed.wait(5)
        return list(chunks)

    with pytest.raises(ValueError, match="no connection"):
        in_parallel(2, fill, CHUNKS)


def test_what_goes_wrong_while_reading_ends_all_streams():
    ended = []

    def broken():
        yield b"x"
        raise OSError("the disk is gone")

    def fill(_, chunks):
        try:
            list(chunks)
        except LoadStopped:
            ended.append(True)
            raise

    before = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        in_parallel(3, fill, broken())
    assert ended == [True] * 3
    assert threading.active_count() == before


@pytest.mark.parametrize("chunk", [b"1\n\\.\n2\n", b"1\n\\.", b"\\.\r\n2\r\n", b"\\.", b"1\r\\.\r"])
def test_end_marker_is_found(chunk):
    assert _END_MARKER.search(chunk)


@pytest.mark.parametrize("chunk", [b"a\n\\.5\n", b"a\n1\\.\n", b"a\n \\.\n", b"\\N\n", b"a\n\\\n.\n", b""])
def test_anything_else_is_not(chunk):
    assert not _END_MARKER.search(chunk)
