"""The one place that runs dbt: project, profile, connection and state folders are set here and nowhere else.

Every entry point (DAG, command line, tests) comes through :func:`invoke`, so no dbt command ever runs with
half of its environment.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from growth import ageing, elementary_hooks, masking, packages, parsing
from growth.lost_connection import is_lost_connection
from growth.outdated import WHAT_TO_DO, outdated_tables
from growth.settings import PROJECT_ROOT, Warehouse, dbt_folder, dbt_target, feeds_folder
from ingest.contract_files import load_contracts

log = logging.getLogger(__name__)

LAYERS = ("staging", "dwh", "mart")
# What a test is for; each has one of them (docs/data-quality.md).
TAGS = ("critical", "warning", "freshness")
DISK_FULL = "No space left on device"
UNTAGGED = (
    "No tag of their domain selects the models of: {layers}. In dbt_project/dbt_project.yml a domain has the "
    "line `<domain>: {{+tags: [<domain>]}}` below staging, dwh and mart of models (README.md, Add a feed)"
)
ROWS_AWAY = "left raw for files"  # macro require_rows


@dataclass(frozen=True, slots=True)
class NodeFailure:
    """A model or test that failed or warned.

    ``row_count`` is the number of failing rows of a test, None for an error; ``query`` finds them, and ``kept_in``
    is the table that has them, empty where none was kept. ``path`` is its file, below the dbt project.
    """

    name: str
    status: str
    message: str
    row_count: int | None
    query: str
    kept_in: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of one data test: ``row_count`` is its failing rows, None where it could not run."""

    name: str
    kind: str
    tag: str
    severity: str
    status: str
    row_count: int | None
    kept_in: str
    seconds: float


@dataclass(frozen=True, slots=True)
class DbtResult:
    """What one dbt command did; ``node_count`` is the models or tests that ran, ``checks`` are the data tests.

    ``invocation_id`` is what dbt calls the command in its logs, artifacts and Elementary's tables.
    """

    succeeded: bool
    node_count: int
    failures: tuple[NodeFailure, ...]
    error: str
    checks: tuple[CheckResult, ...] = ()
    invocation_id: str = ""
    started_at: datetime | None = None

    @property
    def failed(self) -> list[NodeFailure]:
        """The models and tests that failed, without those that only warn."""
        return [failure for failure in self.failures if failure.status != "warn"]

    @property
    def details(self) -> str:
        """All that dbt says of what failed or warned, else its error."""
        return "\n".join(map(describe, self.failures)) or self.error

    @property
    def lost_connection(self) -> bool:
        """Whether it failed only because the warehouse could not be reached: worth another try."""
        texts = [failure.message for failure in self.failures if failure.row_count is None] or [self.error]
        return not self.succeeded and all(map(is_lost_connection, texts))

    @property
    def reason(self) -> str:
        """Why it failed, in a line: the models or tests that did, or dbt's error; and what to do about a full disk."""
        reason = ", ".join(with_rows(failure.name, failure.row_count) for failure in self.failed) or self.error
        if any(DISK_FULL in failure.message for failure in self.failures) or DISK_FULL in self.error:
            reason += ". The warehouse's disk is full: make room, then run again (docs/runbooks/disk_full.md)"
        return reason


def environment(warehouse: Warehouse, target: str) -> dict[str, str]:
    """The variables that a dbt command of this project needs."""
    project = str(PROJECT_ROOT / "dbt_project")
    return {
        **warehouse.environment(),
        "DBT_PROJECT_DIR": project,
        "DBT_PROFILES_DIR": project,
        "DBT_TARGET": target,
        "DBT_TARGET_PATH": str(dbt_target(target)),
        "DBT_LOG_PATH": str(dbt_folder() / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        **packages.environment(),
    }


def invoke(
    arguments: Sequence[str], warehouse: Warehouse, target: str = "prod", variables: Mapping[str, str] | None = None
) -> DbtResult:
    """Run a dbt command in this process; what it prints goes to standard output.

    Args:
        arguments: of dbt.
        warehouse: where.
        target: prod, what the DAG builds, or dev.
        variables: environment variables that differ from ``environment()``.

    Raises:
        OSError: the state folder cannot be written.
    """
    from dbt.cli.main import dbtRunner  # takes two seconds to import
    from dbt_common.invocation import get_invocation_id

    settings = environment(warehouse, target) | dict(variables or {})
    Path(settings["DBT_LOG_PATH"]).mkdir(parents=True, exist_ok=True)
    parsing.wait(settings)
    masking.mask_dbt()
    elementary_hooks.let_elementary_fail()
    started_at = datetime.now(UTC)
    with _variables(settings):
        outcome = dbtRunner(manifest=parsing.kept(arguments, settings)).invoke(list(arguments))
    if outcome.exception:
        _end_threads()
    # in one order: dbt gives them as its threads end, and an alert and a log must not differ for that; an operation's
    # result has no node
    found = [result for result in getattr(outcome.result, "results", None) or [] if hasattr(result, "node")]
    results = sorted(found, key=lambda result: result.node.unique_id)
    failures = tuple(_failure(result) for result in results if result.status in ("error", "fail", "warn"))
    checks = tuple(_check(result) for result in results if result.node.resource_type == "test")
    error = str(outcome.exception or "")
    return DbtResult(outcome.success, len(results), failures, error, checks, get_invocation_id(), started_at)


def _end_threads() -> None:
    """End the threads that a broken-off command leaves waiting: Python would grumble about them at its end."""
    from dbt.graph.thread_pool import DbtThreadPool

    for each in gc.get_objects():
        if type(each) is DbtThreadPool:
            each.terminate()


def compiled(warehouse: Warehouse, analysis: str) -> str:
    """The SQL of one of the project's analyses.

    Raises:
        ValueError: dbt could not compile it.
    """
    result = invoke(["compile", *packages.QUIETLY, "--select", analysis], warehouse)
    if not result.succeeded:
        raise ValueError(result.details)
    [path] = (dbt_target() / "compiled").rglob(f"{analysis}.sql")
    return path.read_text(encoding="utf-8")


def run_layer(
    layer: str,
    warehouse: Warehouse,
    *,
    domains: Sequence[str] = (),
    full_refresh: bool = False,
    target: str = "prod",
) -> DbtResult:
    """Build every model, seed and snapshot of a layer, or those of domains.

    Nothing is built where tables of an older release are in the way; the error says so, and what to do. So does that
    of a domain whose models nothing tags, which would be left out in silence.

    Raises:
        ColdFileBroken: rows that are needed left raw, and cannot be brought back.
    """
    if layer == "dwh" and not full_refresh and (tables := outdated_tables(warehouse, parsing.manifest(target))):
        error = WHAT_TO_DO.format(tables=", ".join(tables))
        return DbtResult(succeeded=False, node_count=0, failures=(), error=error)
    if layer == "dwh":
        ageing.bring_back(warehouse, log.info, full_refresh=full_refresh, domains=domains)
    arguments = ["build", "--exclude-resource-type", "test", "unit_test", "--select"]
    arguments += _of_domains(layer, domains)
    if domains and layer == "dwh":
        arguments.append("dim_dates")  # of several domains, and has the as-of date of what is published
    if full_refresh:
        arguments.append("--full-refresh")
    result = invoke(arguments, warehouse, target)
    if layer == "staging" and result.succeeded and (error := _untagged(domains, target)):
        return replace(result, succeeded=False, error=error)
    if layer == "dwh" and any(ROWS_AWAY in failure.message for failure in result.failures):
        log.info("A file was loaded after rows were brought back, and before models looked: both once more.")
        ageing.bring_back(warehouse, log.info, full_refresh=full_refresh, domains=domains)
        result = invoke(arguments, warehouse, target)
    return result


def rebuild_history(warehouse: Warehouse) -> DbtResult:
    """Build every slowly changing dimension anew from the extracts in raw, in the order of their dates."""
    arguments = ["build", "--exclude-resource-type", "test", "unit_test", "--full-refresh"]
    arguments += ["--select", "+tag:snapshot", "+config.incremental_strategy:rebuild_history"]
    return invoke(arguments, warehouse)


def _of_domains(layer: str, domains: Sequence[str]) -> list[str]:
    """Selects a layer's nodes of the domains, all of them where none is named. No domain is built from another one."""
    return [f"tag:{layer},tag:{domain}" for domain in domains] or [f"tag:{layer}"]


def _untagged(domains: Sequence[str], target: str) -> str:
    """What to do about domains of which the tag does not select every layer's models; empty where there is none.

    A domain needs models in staging, and those in its folder below dwh and mart are its own.
    """
    parsed = parsing.manifest(target)
    if not domains or parsed is None:
        return ""
    models = [node for node in parsed["nodes"].values() if node["resource_type"] == "model"]
    missed = []
    for domain, layer in itertools.product(domains, LAYERS):
        own = [set(node["tags"]) for node in models if node["fqn"][1:3] == [layer, domain]]
        selected = any({layer, domain} <= set(node["tags"]) for node in models)
        if any(domain not in tags for tags in own) or not (selected or layer != LAYERS[0]):
            missed.append(f"{layer}/{domain}")
    return UNTAGGED.format(layers=", ".join(missed)) if missed else ""


def check_layer(layer: str, warehouse: Warehouse, *, domains: Sequence[str] = ()) -> DbtResult:
    """Run the data tests of a layer; ``raw`` are the tests that follow from the contracts.

    A test that compares layers belongs to the latest of them: every gate leaves out what reads a layer after its own.
    Freshness against the clock is no gate's business: old data load green. Nor are Elementary's monitors.

    Raises:
        psycopg.OperationalError: connection lost.
    """
    selection = _delivered_sources(warehouse, domains) if layer == "raw" else _of_domains(layer, domains)
    if not selection:
        return DbtResult(succeeded=True, node_count=0, failures=(), error="")
    later = LAYERS if layer == "raw" else LAYERS[LAYERS.index(layer) + 1 :]
    arguments = ["test", "--exclude-resource-type", "unit_test", "--select", *selection]
    arguments += ["--exclude", "tag:freshness", "tag:elementary", *(f"tag:{each}" for each in later)]
    if domains:  # what is compared with models of another domain, or of several, waits until these are built
        arguments += ["--indirect-selection", "buildable"]
    return invoke(arguments, warehouse)


def _delivered_sources(warehouse: Warehouse, domains: Sequence[str]) -> list[str]:
    """Sources of the feeds that the ledger knows, and of those that they refer to; the rest have nothing to judge."""
    contracts = {
        feed: contract
        for feed, contract in load_contracts(feeds_folder()).items()
        if not domains or contract.domain in domains
    }
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        delivered = {feed for (feed,) in conn.execute("select distinct feed from raw._loads") if feed in contracts}
    # a test of two feeds runs where one is selected: payments without any file of subscribers are judged, too
    referred = {column.references.feed for feed in delivered for column in contracts[feed].columns if column.references}
    return [f"source:{contracts[feed].domain}.{feed}" for feed in sorted((delivered | referred) & contracts.keys())]


def check_freshness(warehouse: Warehouse, *also: str) -> DbtResult:
    """Run the tests that judge feeds against the clock, and those that ``also`` selects.

    One at a time, whoever asks: they keep failing rows, and two commands would make the same tables.

    Raises:
        psycopg.OperationalError: no connection.
    """
    # a folder of its own: a run of growth_daily may be writing the other one, whose parsed project is good here, too
    arguments = ["test", "--quiet", "--select", "tag:freshness", *also]
    arguments += ["--target-path", str(dbt_target("freshness"))]
    if (parsed := dbt_target() / parsing.PARSED).exists():  # not so in a home that never ran anything
        arguments += ["--partial-parse-file-path", str(parsed)]
    with psycopg.connect(warehouse.conninfo("transform"), autocommit=True) as conn:
        conn.execute("set lock_timeout = 0")  # a backup, which keeps these tests out, may take hours
        conn.execute("select pg_advisory_lock(hashtext('growth.check_freshness'))")
        return invoke(arguments, warehouse)


def mart_names(domains: Sequence[str] = ()) -> list[str]:
    """The marts of the project, or of domains, as dbt parsed it last: what publishing takes from the candidates.

    Raises:
        FileNotFoundError: it never did.
    """
    manifest = parsing.manifest()
    if manifest is None:
        raise FileNotFoundError(f"no {parsing.MANIFEST} in {dbt_target()}: dbt has built no mart here yet")
    return sorted(
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and "mart" in node["tags"]
        and (not domains or set(domains) & set(node["tags"]))
    )


def with_rows(name: str, row_count: int | None) -> str:
    """A model's or check's name with its number of failing rows, where it has one."""
    return name if row_count is None else f"{name} ({row_count:,} row{'s' * (row_count != 1)})"


def describe(failure: NodeFailure) -> str:
    """A failure as text: what failed, how many rows, and the SQL that shows them."""
    if failure.row_count is None:
        return f"{failure.status.upper()} {failure.name}: {failure.message}"
    kept = "See them with:"
    if failure.kept_in:
        kept = f"They are kept: select * from {failure.kept_in}\nFound by:"  # noqa: S608 (for a log)
    return f"{failure.status.upper()} {failure.name}: {failure.row_count} failing rows. {kept}\n{failure.query}"


def _check(result: Any) -> CheckResult:
    node, status = result.node, str(result.status)
    ran = status in ("pass", "warn", "fail")
    return CheckResult(
        name=node.name,
        kind=getattr(getattr(node, "test_metadata", None), "name", "singular"),
        tag=",".join(sorted(set(node.tags) & set(TAGS))),
        severity=str(node.config.severity).lower(),
        status=status,
        row_count=int(result.failures or 0) if ran else None,
        kept_in=_relation(node) if ran and result.failures else "",
        seconds=result.execution_time,
    )


def _failure(result: Any) -> NodeFailure:
    is_test = result.node.resource_type == "test" and result.status in ("fail", "warn")
    query = "\n".join(line for line in (getattr(result.node, "compiled_code", None) or "").splitlines() if line.strip())
    row_count = result.failures if is_test else None
    kept_in = _relation(result.node) if is_test else ""
    path = str(getattr(result.node, "original_file_path", ""))
    message = str(result.message or "")
    return NodeFailure(result.node.name, str(result.status), message, row_count, query, kept_in, path)


def _relation(node: Any) -> str:
    """Schema and table of a test's failing rows, without the database; empty where a test keeps none."""
    name = getattr(node, "relation_name", None) or ""
    return ".".join(part.strip('"') for part in name.split(".")[-2:])


@contextlib.contextmanager
def _variables(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a dbt command."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
