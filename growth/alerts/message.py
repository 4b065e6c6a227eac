"""What an alert says, and how it looks as text, in Slack, as JSON and as an e-mail."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal

from growth.settings import GROWTH_DAILY, PORTAL_PORT

Kind = Literal["failure", "warning", "late", "test"]

CHECKS_SHOWN = 10
# Slack refuses a header of more than 150 characters and a section of more than 3,000.
SLACK_HEADER = 150
SLACK_SECTION = 3000
SUBJECT = 150


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A test that failed or warned; ``row_count`` is None where it could not run, ``kept_in`` empty where none is."""

    name: str
    gate: str
    row_count: int | None = None
    kept_in: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told; nothing in it is personal data.

    ``scope`` is who found it and forgets it when it is gone, such as ``growth_daily.gate_raw``. ``causes`` says within
    the scope what an alert is about: each is told once. Where they are names of checks, only those that are news are.
    """

    kind: Kind
    scope: str
    causes: tuple[str, ...]
    title: str
    details: tuple[str, ...] = ()
    checks: tuple[FailedCheck, ...] = ()
    dag_id: str = ""
    run_id: str = ""

    @property
    def run_url(self) -> str:
        """The run in Airflow's web interface; empty where there is none."""
        base = os.environ.get("AIRFLOW__API__BASE_URL") or "http://127.0.0.1:8080"
        run_id = urllib.parse.quote(self.run_id, safe="")
        return f"{base.rstrip('/')}/dags/{self.dag_id}/runs/{run_id}" if self.run_id else ""

    @property
    def report_url(self) -> str:
        """The reports of the checks."""
        return os.environ.get("GROWTH_REPORTS_URL") or f"http://127.0.0.1:{PORTAL_PORT}"

    @property
    def runbook(self) -> str:
        """Where it stands what to do."""
        is_red_run = self.kind == "failure" and self.dag_id == GROWTH_DAILY
        return "docs/runbooks/growth_daily.md" if is_red_run else "docs/runbooks/data_quality.md"

    def about(self, causes: Sequence[str]) -> Alert:
        """The same alert about some of its causes."""
        news = tuple(check for check in self.checks if check.name in causes)
        return replace(self, causes=tuple(causes), checks=news or self.checks)


def as_text(alert: Alert) -> str:
    """The whole alert as lines of text."""
    return "\n".join([f"{alert.kind.upper()}: {alert.title}", *_body(alert), *_links(alert)])


def as_json(alert: Alert) -> dict[str, Any]:
    """What a generic webhook gets; docs/alerts.md lists the keys."""
    return {
        "kind": alert.kind,
        "scope": alert.scope,
        "causes": list(alert.causes),
        "title": alert.title,
        "details": list(alert.details),
        "checks": [
            {
                "name": check.name,
                "gate": check.gate,
                "row_count": check.row_count,
                "kept_in": check.kept_in,
                "examples": list(check.examples),
            }
            for check in alert.checks
        ],
        "run_id": alert.run_id,
        "run_url": alert.run_url,
        "report_url": alert.report_url,
        "runbook": alert.runbook,
        "text": as_text(alert),
    }


def as_slack(alert: Alert) -> dict[str, Any]:
    """Blocks for a Slack webhook; ``text`` is what a notification shows."""
    headline = f"{alert.kind.upper()}: {alert.title}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(headline, SLACK_HEADER)}}
    ]
    if body := "\n".join(_body(alert)):
        text = _cut(_escape(body), SLACK_SECTION)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    run = [f"<{alert.run_url}|Run>"] if alert.run_url else []
    links = " · ".join([*run, f"<{alert.report_url}|Report>", alert.runbook])
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links}]})
    return {"text": _cut(_escape(headline), SLACK_SECTION), "blocks": blocks}


def as_mail(alert: Alert, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """A plain text e-mail."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, ", ".join(recipients)
    mail["Subject"] = _cut(" ".join(f"[growth] {alert.kind}: {alert.title}".split()), SUBJECT)
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="growth.invalid")
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office reply, please
    mail.set_content(as_text(alert) + "\n")
    return mail


def _body(alert: Alert) -> list[str]:
    lines = list(alert.details)
    for check in alert.checks[:CHECKS_SHOWN]:
        rows = "could not run" if check.row_count is None else f"{check.row_count:,} failing rows"
        kept = f", kept in {check.kept_in}" if check.kept_in else ""
        lines += [f"- {check.name} ({check.gate}): {rows}{kept}", *(f"    {example}" for example in check.examples)]
    if len(alert.checks) > CHECKS_SHOWN:
        lines.append(f"- and {len(alert.checks) - CHECKS_SHOWN} more")
    return lines


def _links(alert: Alert) -> list[str]:
    run = [f"Run: {alert.run_url}"] if alert.run_url else []
    return [*run, f"Report: {alert.report_url}", f"What to do: {alert.runbook}"]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
