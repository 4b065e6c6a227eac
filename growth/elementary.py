"""Elementary: its tables in the warehouse, its report below ``reports/``, and sending it where that is configured.

Source: what its dbt package wrote down in every command of a run. Target: schema ``elementary``,
``reports/elementary/``. Everything here needs the real package (growth.packages) and does nothing without it.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import yaml

from growth import dbt, packages
from growth.files import forget_parts, replacing, write_whole
from growth.settings import Warehouse, growth_home, reports_folder
from ingest.errors import ExpectedError

log = logging.getLogger(__name__)

FOLDER = "elementary"
NEWEST = "index.html"
DATED = "%Y-%m-%dT%H%M%S"
# Two weeks of daily runs, as long as failing rows are kept; each is about 6 MB.
KEPT_REPORTS = 14
INSTALLED = "select dbt_pkg_version from elementary.metadata"
SLACK_APP = {"ELEMENTARY_SLACK_TOKEN", "ELEMENTARY_SLACK_CHANNEL"}
SLACK_WEBHOOK = "ELEMENTARY_SLACK_WEBHOOK_URL"
TEAMS_WEBHOOK = "ELEMENTARY_TEAMS_WEBHOOK_URL"
# edr names the webhook that refused.
SECRETS = {"ELEMENTARY_SLACK_TOKEN", SLACK_WEBHOOK, TEAMS_WEBHOOK}
# variable → where edr's configuration has it; see docs/elementary.md
SETTINGS = {
    "ELEMENTARY_SLACK_TOKEN": ("slack", "token"),
    "ELEMENTARY_SLACK_CHANNEL": ("slack", "channel_name"),
    SLACK_WEBHOOK: ("slack", "notification_webhook"),
    TEAMS_WEBHOOK: ("teams", "teams_webhook"),
    "ELEMENTARY_S3_BUCKET": ("aws", "s3_bucket_name"),
    "ELEMENTARY_S3_ENDPOINT_URL": ("aws", "s3_endpoint_url"),
    "ELEMENTARY_GCS_BUCKET": ("google", "gcs_bucket_name"),
    "ELEMENTARY_GCS_PROJECT": ("google", "project_name"),
    "ELEMENTARY_GCS_KEY_FILE": ("google", "service_account_path"),
}
# no questions, no telemetry, no download while a run waits
FIXED = {
    "anonymous_usage_tracking": False,
    "run_dbt_deps_if_needed": False,
    "quiet_logs": True,
}


class ReportFailed(ExpectedError):
    """Elementary's command or one of its models failed; the text has the end of what it said."""


def prepare(warehouse: Warehouse) -> bool:
    """Make Elementary's tables where they are missing or of another version, so that gates can write to them.

    Returns:
        Whether anything had to be made.

    Raises:
        ReportFailed: its models could not be built.
    """
    version = packages.elementary_version()
    if not version or _installed_version(warehouse) == version:
        return False
    _dbt(warehouse, ["run", "--quiet", "--select", "package:elementary"])
    return True


def update(warehouse: Warehouse) -> None:
    """Write down what the project is made of, once a run, and run what no gate runs: freshness and anomaly monitors.

    Raises:
        ReportFailed: a command failed; a monitor that finds something fails nothing.
        psycopg.OperationalError: no connection.
    """
    _dbt(warehouse, ["run", "--quiet", "--select", "elementary.edr.dbt_artifacts"])
    _raise_for(dbt.check_freshness(warehouse, "tag:elementary"))


def write_report(warehouse: Warehouse, now: datetime | None = None) -> Path:
    """Write ``elementary/index.html`` and a dated copy of it below the reports folder; drop the oldest copies.

    Returns:
        The newest report.

    Raises:
        ReportFailed: edr failed; the report of before stays.
    """
    folder = reports_folder() / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    forget_parts(folder)
    with replacing(folder / NEWEST) as fresh:
        _edr(warehouse, ["report", "--file-path", str(fresh), "--open-browser", "false"])
        write_whole(folder / f"{now or datetime.now(UTC):{DATED}}.html", fresh.read_bytes())
    for old in dated_reports()[KEPT_REPORTS:]:
        old.unlink()
    return folder / NEWEST


def dated_reports() -> list[Path]:
    """The dated copies, newest first."""
    return sorted((reports_folder() / FOLDER).glob("20*.html"), reverse=True)


def written_at(report: Path) -> datetime:
    """When a dated copy was written."""
    return datetime.strptime(report.stem, DATED).replace(tzinfo=UTC)


def send(warehouse: Warehouse) -> list[str]:
    """Send report and alerts to what the environment configures, and nothing anywhere else.

    Returns:
        The commands that ran.

    Raises:
        ReportFailed: one of them failed.
    """
    commands = sending(os.environ)
    for command in commands:
        _edr(warehouse, [command])
    return commands


def sending(environment: Mapping[str, str]) -> list[str]:
    """Commands of edr that have somewhere to send to: buckets and Slack's token take the report, webhooks alerts."""
    given = set(_usable(environment))
    report = {"ELEMENTARY_S3_BUCKET", "ELEMENTARY_GCS_BUCKET"} & given
    slack = SLACK_APP & given
    alerts = {SLACK_WEBHOOK, TEAMS_WEBHOOK} & given
    return [*(["send-report"] if report or slack else []), *(["monitor"] if alerts or slack else [])]


def configuration(environment: Mapping[str, str]) -> dict[str, object]:
    """What edr reads from its config.yml."""
    config: dict[str, object] = dict(FIXED)
    for name in _usable(environment):
        section, key = SETTINGS[name]
        section_values = config.setdefault(section, {})
        assert isinstance(section_values, dict)
        section_values[key] = environment[name]
    return config


def _usable(environment: Mapping[str, str]) -> list[str]:
    """The settings that are given, without those with which edr would send nothing.

    It prefers Slack's token to the webhook, even where no channel is named, and refuses Slack and Teams together.
    """
    given = {name for name in SETTINGS if environment.get(name)}
    if not given >= SLACK_APP:
        given -= SLACK_APP
    if given & (SLACK_APP | {SLACK_WEBHOOK}):
        given.discard(TEAMS_WEBHOOK)
    return [name for name in SETTINGS if name in given]


def _installed_version(warehouse: Warehouse) -> str:
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        if conn.execute("select to_regclass('elementary.metadata')").fetchone() == (None,):
            return ""
        row = conn.execute(INSTALLED).fetchone()
        return str(row[0]) if row else ""


def _dbt(warehouse: Warehouse, arguments: Iterable[str]) -> None:
    _raise_for(dbt.invoke(list(arguments), warehouse))


def _raise_for(result: dbt.DbtResult) -> None:
    errors = [dbt.describe(failure) for failure in result.failures if failure.row_count is None]
    if errors or result.error:
        raise ReportFailed("\n".join(errors) or result.error)


def _edr(warehouse: Warehouse, arguments: list[str]) -> None:
    home = growth_home() / "edr"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yml"
    config.touch(mode=0o600)
    config.write_text(yaml.safe_dump(configuration(os.environ)), encoding="utf-8")
    settings = dbt.environment(warehouse, "prod")
    options = {
        "profiles-dir": settings["DBT_PROFILES_DIR"],
        "profile-target": "prod",
        "config-dir": str(home),
        "target-path": str(home / "target"),
        "env": "prod",
        "disable-samples": "true",
    }
    if arguments[0] != "monitor":
        options |= {"project-name": "Growth Analytics", "exclude-elementary-models": "true"}
    command = [sys.executable, "-m", "growth.edr", *arguments]
    done = subprocess.run(
        [*command, *(word for name, value in options.items() for word in (f"--{name}", value))],
        cwd=home,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("DBT_")},
            **warehouse.environment(),
            "DBT_PACKAGES_FOLDER": settings["DBT_PACKAGES_DIR"],
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "EDR_INTERNAL_TARGET_PATH": str(home / "target"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = done.stdout
    for name in SECRETS & os.environ.keys():
        if os.environ[name]:
            said = said.replace(os.environ[name], f"[{name}]")
    # it writes a report, and exits with 1, where a table of its schema is missing
    if done.returncode:
        raise ReportFailed(f"edr {arguments[0]} exited with {done.returncode}: {said[-2000:]}")
    log.info("edr %s: %s", arguments[0], json.dumps(said[-300:]))
