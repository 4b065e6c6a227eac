"""A file that is read while it is written anew is the old one or the new one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from growth import files
from growth.files import forget_parts, replacing, write_whole


def test_a_file_is_old_until_it_is_new_and_stays_where_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "page"
    assert write_whole(path, b"one") == path

    def refuse(fresh: Path) -> None:
        assert (fresh.read_text(), path.read_text()) == ("two", "one")
        raise PermissionError

    with pytest.raises(PermissionError):
        write_whole(path, b"two", own=refuse)
    assert path.read_text() == "one"
    write_whole(path, b"three", mode=0o400)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("three", 0o400)
    assert os.listdir(tmp_path) == ["page"]


def test_two_who_make_one_file_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "page"
    with replacing(path) as first:
        first.write_text("fir")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
        first.write_text("first")
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["page"]


def test_what_killed_processes_left_goes_and_what_is_under_way_stays(tmp_path: Path) -> None:
    long_ago = time.time() - files.ABANDONED_SECONDS - 1
    names = [".part-1a2b3c4d.page", ".part-1a2b3c4d.folder", ".part-2.page", "page"]
    for name in names:
        (tmp_path / name).mkdir() if "folder" in name else (tmp_path / name).touch()
        os.utime(tmp_path / name, (long_ago, long_ago))
    with replacing(tmp_path / "page") as part:
        part.write_text("new")
        forget_parts(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted([part.name, ".part-2.page", "page"])
    forget_parts(tmp_path / "absent")
