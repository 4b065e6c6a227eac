"""Run pg_dump and pg_restore: passwords reach them by environment, what they say becomes part of an error."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from embedded.binaries import client_programs
from embedded.errors import EmbeddedError
from growth.backup.errors import BackupBroken, BackupFailed

LIBPQ = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
LINES_SHOWN = 6
# Debian's Postgres 17 keeps an option pg_attver for each column, which no other server takes and only its own pg_dump
# leaves out. What a column's rows are does not depend on any option.
FOREIGN_OPTION = re.compile(r"^ALTER TABLE ONLY .* ALTER COLUMN .* SET \((?!n_distinct).*\);$", re.MULTILINE)
PSQL_ONLY = re.compile(r"^(\\(un)?restrict .*|SET transaction_timeout = 0;)$", re.MULTILINE)
TEXT_OPTIONS = ("--no-owner", "--no-privileges")
# pg_restore 17 and newer sets it, and servers of before know it not
UNKNOWN_SETTING = 'unrecognized configuration parameter "transaction_timeout"'
KNOWS_SETTING = 17
JOBS = max(1, min(4, os.cpu_count() or 1))


def program_version(server: int) -> int:
    """Major version of the programs that dump and restore a server of this major version.

    Raises:
        BackupFailed: there are none that are as new as the server.
    """
    return _programs(server)[1]


class Dump:
    """A dump that is being written to a file."""

    def __init__(self, login: Mapping[str, str], server: int, target: Path, snapshot: str | None = None) -> None:
        """Begin it.

        Args:
            login: the variables that lead libpq to the database.
            server: major version of its server.
            target: the file to write, readable by us alone.
            snapshot: exported by a transaction that stays open until the end.
        """
        command = [str(_programs(server)[0] / "pg_dump"), "--format=custom", "--compress=gzip:1", "--no-password"]
        command += ["--no-sync", f"--file={target}", *([f"--snapshot={snapshot}"] if snapshot else [])]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **login},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            umask=0o077,
        )

    def wait(self) -> None:
        """Wait for its end.

        Raises:
            BackupFailed: it failed; the text is what it said.
        """
        said = self._process.communicate()[1]
        if self._process.returncode:
            raise BackupFailed(f"pg_dump failed, no backup was made:\n{_errors(said)}")

    def stop(self) -> None:
        """End it, if it has not ended."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


def restore(login: Mapping[str, str], server: int, source: Path, *options: str) -> None:
    """Restore a dump into a database.

    Args:
        login: the variables that lead libpq to the database.
        server: major version of its server.
        source: the file.
        options: further ones of pg_restore.

    Raises:
        BackupBroken: the file is none that pg_restore reads.
        BackupFailed: the server refused something.
    """
    program = str(_programs(server)[0] / "pg_restore")
    listed = subprocess.run([program, "--list", str(source)], capture_output=True, text=True, check=False)
    if listed.returncode:
        raise BackupBroken(f"{source} cannot be read:\n{_errors(listed.stderr)}")
    strict = ["--exit-on-error"] if server >= KNOWS_SETTING else []
    sections = _tables_of_another_kind(program, login, source, options)
    done = subprocess.run(
        [program, "--no-password", f"--dbname={login['PGDATABASE']}", *strict, *options, *sections, str(source)],
        env={**os.environ, **login},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if "error:" in line and UNKNOWN_SETTING not in line]
    if done.returncode and (strict or errors):
        raise BackupFailed(f"pg_restore failed:\n{_errors(done.stderr)}")


def _tables_of_another_kind(program: str, login: Mapping[str, str], source: Path, options: Sequence[str]) -> list[str]:
    """Make tables whose columns have options that only the server of then knows, without these.

    Returns:
        The options that restore what is left; none where there are no such tables.
    """
    command = [
        program,
        "--section=pre-data",
        "--file=-",
        *(each for each in options if each in TEXT_OPTIONS),
        str(source),
    ]
    written = subprocess.run(command, capture_output=True, text=True, check=False)
    if written.returncode:
        raise BackupBroken(f"{source} cannot be read:\n{_errors(written.stderr)}")
    script = written.stdout
    if not FOREIGN_OPTION.search(script):
        return []
    script = PSQL_ONLY.sub("", FOREIGN_OPTION.sub("", script))
    address = {name: login[variable] for name, variable in LIBPQ.items() if variable in login}
    with psycopg.connect(make_conninfo("", **address)) as conn:
        conn.execute(script.encode())
    return ["--section=data", "--section=post-data"]


def _programs(server: int) -> tuple[Path, int]:
    try:
        return client_programs(("pg_dump", "pg_restore"), server)
    except EmbeddedError as error:
        raise BackupFailed(str(error)) from error


def _errors(said: str) -> str:
    lines = said.strip().splitlines()
    return "\n".join(f"  {line}" for line in ([line for line in lines if "rror" in line] or lines)[-LINES_SHOWN:])
