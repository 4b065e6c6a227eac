"""A file that is read while it is written anew is the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from growth.files import part_of, write_whole


def test_a_file_is_old_until_it_is_new_and_stays_where_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "page"
    part_of(path).write_text("of a process that was killed")
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
