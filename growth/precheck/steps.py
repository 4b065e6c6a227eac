"""The steps of ``growth check``, on a scratch Postgres and a scratch home that are gone when it ends."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import psycopg

from embedded.server import EmbeddedPostgres
from growth import dbt
from growth.packages import QUIETLY
from growth.precheck import findings
from growth.precheck.findings import Finding
from growth.settings import PROJECT_ROOT, Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.contract_files import load_contracts
from ingest.dbt_sources import stale_sources
from ingest.errors import ExpectedError, IngestError

# Step → what to do when it fails; in the order in which they are told.
STEPS = {
    "contracts": "docs/feeds.md says what a contract can say.",
    "sources": "run `growth sources`, and commit what it writes.",
    "parse": "correct the file; docs/adding-a-mart.md shows a model and its description.",
    "compile": "correct the file; `growth dbt compile --select NAME` renders it on your own warehouse.",
    "build": "correct the SQL, or the types in the model's description: the server refused it.",
    "unit-tests": "the model does not do what its unit test says: correct the one that is wrong.",
    "dags": "correct the file: Airflow would not show the DAG.",
    "lint": "`make format` mends most of it; the rest by hand.",
}
# Step → those without which it says nothing of its own.
NEEDS = {
    "sources": ("contracts",),
    "compile": ("contracts", "parse"),
    "build": ("contracts", "parse"),
    "unit-tests": ("contracts", "parse", "build"),
}
ON_A_SERVER = {"compile", "build", "unit-tests"}
# Nothing on the server is worth keeping, and dbt logs in for each model.
UNSAFE = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "scram_iterations = 1")
LINTERS = {
    "sqlfluff": ("lint", "--disable-progress-bar", "--format", "json", "dbt_project"),
    "ruff": ("check", "--no-cache", "--output-format", "json", "dags"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a step: ``status`` is ok, failed, or skipped, for the reason in ``note``."""

    step: str
    status: str
    seconds: float
    note: str = ""
    findings: Sequence[Finding] = ()


class NotRun(Exception):
    """A step could not do its work here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found: nothing wrong where ``findings`` is empty; ``note`` is about what was looked at."""

    findings: Sequence[Finding] = ()
    note: str = ""


def run(wanted: Collection[str]) -> Generator[Outcome, None, None]:
    """Run steps, those that need no warehouse beside those that do; gives each as soon as its turn has come.

    Args:
        wanted: names of ``STEPS``.
    """
    failed: set[str] = set()
    with _scratch() as home, _Beside(home) as beside:
        apart = {step: beside.start(step) for step in ("dags", "lint") if step in wanted}
        check = _Check(home, needs_server=bool(ON_A_SERVER & set(wanted)))
        try:
            for step in (step for step in STEPS if step in wanted):
                if blocking := [each for each in NEEDS.get(step, ()) if each in failed]:
                    yield Outcome(step, "skipped", 0.0, f"not run, since {' and '.join(blocking)} failed")
                    continue
                outcome = (
                    apart[step].result() if step in apart else _timed(step, getattr(check, step.replace("-", "_")))
                )
                if outcome.status == "failed":
                    failed.add(step)
                yield outcome
        finally:
            check.close()


def _timed(step: str, work: Callable[[], Found]) -> Outcome:
    begin = time.monotonic()
    try:
        found = work()
    except NotRun as error:
        return Outcome(step, "skipped", 0.0, str(error))
    except (ExpectedError, psycopg.Error, OSError) as error:
        found = Found([Finding(str(error).strip())])
    status = "failed" if found.findings else "ok"
    return Outcome(step, status, time.monotonic() - begin, found.note, found.findings)


class _Check:
    """The steps that run in this process, one after another, since dbt has one state for all of it."""

    def __init__(self, home: Path, *, needs_server: bool) -> None:
        self._home, self._needs_server = home, needs_server
        self._has_built = False

    def contracts(self) -> Found:
        try:
            contracts = self._contracts
        except IngestError as error:
            return Found(list(findings.of_contracts(str(error), PROJECT_ROOT)))
        return Found(note=f"{len(contracts)} feeds")

    def sources(self) -> Found:
        stale = stale_sources(self._contracts, PROJECT_ROOT / findings.DBT)
        return Found([Finding("is not what the contracts say", f"{findings.DBT}/{path}") for path in stale])

    def parse(self) -> Found:
        # dbt parses anew when the address of the server is another one
        warehouse = self._server if self._needs_server else Warehouse.at("127.0.0.1", 5432)
        return self._dbt("parse", warehouse=warehouse)

    def compile(self) -> Found:
        return self._dbt("compile", note="models, tests and analyses")

    def build(self) -> Found:
        """Build every model without any data: as new, and then as an increment, which is other SQL."""
        for note in ("as new", "as new and as an increment"):
            found = self._dbt("build", "--exclude-resource-type", "test", "unit_test", note=f"models {note}")
            if found.findings:
                return found
        self._has_built = True
        return found

    def unit_tests(self) -> Found:
        if not self._has_built:  # a unit test needs the relations of its inputs
            found = self._dbt("build", "--exclude-resource-type", "test", "unit_test")
            if found.findings:
                return found
        return self._dbt("test", "--select", "test_type:unit", note="unit tests")

    def close(self) -> None:
        EmbeddedPostgres(self._home).purge()  # also one whose start was interrupted

    @cached_property
    def _contracts(self) -> dict[str, Contract]:
        return load_contracts(feeds_folder())

    @cached_property
    def _server(self) -> Warehouse:
        warehouse = EmbeddedPostgres(self._home).start()
        with psycopg.connect(warehouse.conninfo(), autocommit=True) as conn:
            for setting in UNSAFE:
                name = setting.split(" ", 1)[0]
                if conn.execute("select from pg_settings where name = %s", [name]).fetchone():  # not in each release
                    conn.execute(f"alter system set {setting}".encode())
            conn.execute("select pg_reload_conf()")
        return warehouse

    @cached_property
    def _warehouse(self) -> Warehouse:
        """The scratch server with schemas, roles and raw tables, all empty."""
        initialise(self._server, self._contracts)
        return self._server

    def _dbt(self, *arguments: str, warehouse: Warehouse | None = None, note: str = "") -> Found:
        # compile stops at the first error, and its other threads, which go on, print of it during the next command
        with contextlib.redirect_stdout(io.StringIO()):
            result = dbt.invoke([arguments[0], *QUIETLY, *arguments[1:]], warehouse or self._warehouse)
        if result.succeeded:
            return Found(note=f"{result.node_count} {note}" if note else "")
        return Found(findings.of_dbt(result, PROJECT_ROOT))


class _Beside:
    """The steps that run as processes of their own beside the others, one after another."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._pool = ThreadPoolExecutor(1)
        self._processes: list[subprocess.Popen[str]] = []
        self._ended = False

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        for process in self._processes:
            process.kill()
        self._pool.shutdown(cancel_futures=True)

    def start(self, step: str) -> Future[Outcome]:
        return self._pool.submit(_timed, step, {"dags": self._dags, "lint": self._lint}[step])

    def _dags(self) -> Found:
        folder = PROJECT_ROOT / "dags"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
        settings = {
            "AIRFLOW_HOME": str(self._home / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(folder),
            "AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACK_DEPTH": "50",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._home}/none.db",  # is not asked
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
        }
        words = [sys.executable, "-P", "-m", "growth.precheck.dag_imports", str(folder)]
        output, error, _ = self._run(words, {**kept, **settings})
        if not output.strip():
            return Found([Finding(f"Airflow did not start: {error.strip()[-2000:]}")])
        report = json.loads(output.splitlines()[-1])
        if report["errors"]:
            return Found(findings.of_imports(report["errors"], PROJECT_ROOT))
        if not report["dags"]:
            return Found([Finding("there is no DAG in this folder", "dags")])
        return Found(note=", ".join(report["dags"]))

    def _lint(self) -> Found:
        missing = [name for name in LINTERS if importlib.util.find_spec(name) is None]
        if missing:
            raise NotRun(f"{' and '.join(missing)} not installed: `make .venv/installed-dev` brings them")
        found: list[Finding] = []
        for name, arguments in LINTERS.items():
            output, error, code = self._run([sys.executable, "-P", "-m", name, *arguments], dict(os.environ))
            # 1: it found something; above: it could not do its work
            if code > 1 or not output.strip():
                found.append(Finding(f"{name}: {(error or output).strip()[-2000:]}"))
            else:
                read = findings.of_sqlfluff if name == "sqlfluff" else findings.of_ruff
                found += read(output, PROJECT_ROOT)
        return Found(found, "SQL of dbt_project, Python of dags")

    def _run(self, words: Sequence[str], environment: dict[str, str]) -> tuple[str, str, int]:
        if self._ended:
            raise NotRun("interrupted")
        with subprocess.Popen(
            words, cwd=PROJECT_ROOT, text=True,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},  # a check leaves nothing in the checkout
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            self._processes.append(process)
            output, error = process.communicate()
        return output, error, process.returncode


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A home of our own for the time of the check, and no way to any other warehouse."""
    home = Path(tempfile.mkdtemp(prefix="growth-check-"))
    home.chmod(0o755)  # the server runs as another user where we are root
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("WAREHOUSE_", "DBT_")) and name != "DBT_PACKAGES_DIR":
            del os.environ[name]
    os.environ |= {"GROWTH_HOME": str(home), "DBT_LOG_LEVEL_FILE": "none"}
    try:
        yield home
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)
