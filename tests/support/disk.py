"""A disk that can be full: a small file system of its own, where a server may have a tablespace."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from growth.settings import Warehouse
from support.missing import missing


@contextmanager
def small_disk(warehouse: Warehouse, megabytes: int) -> Iterator[Path]:
    """Mount a file system; its folder ``data`` belongs to the account of the server."""
    # below no folder that is closed to the server's account, as pytest's own is
    folder = Path(tempfile.mkdtemp(prefix="growth-test-disk-", dir="/tmp"))
    options = f"size={megabytes}m,mode=0777"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        folder.rmdir()
        missing(f"no file system can be mounted: {mounted.stderr.decode()}")
    try:
        (folder / "data").mkdir()
        with psycopg.connect(warehouse.conninfo()) as conn:
            [(data,)] = conn.execute("show data_directory").fetchall()
        owner = Path(data).stat()
        os.chown(folder / "data", owner.st_uid, owner.st_gid)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()
