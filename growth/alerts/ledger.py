"""Which cause was told through which channel, and when: table ``dwh._alerts``, so that one cause sends one message.

While the warehouse cannot be reached, empty files of the same meaning stand in ``<home>/alerts``.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

from growth.alerts.message import Alert
from growth.alerts.settings import hours
from growth.settings import Warehouse, growth_home

log = logging.getLogger(__name__)

# A day, less what two days' runs may differ by: a cause that stands is told again with the next day's run.
REPEAT_HOURS = 20.0
# A sender that was killed between claim and sending; sending takes a minute at most.
CLAIM_MINUTES = 10
# Scope of what is over as soon as the warehouse answers.
OUTAGE = "warehouse"
NO_CHANNEL = "-"
# Nobody asks about a run of last month.
ASKED_DAYS = 30

TABLE = """
create table if not exists dwh._alerts (
    scope text not null,
    cause text not null,
    channel text not null,
    claimed_at timestamptz not null default now(),
    sent_at timestamptz
);
comment on table dwh._alerts is 'Alerts of causes that stand; a row goes when its cause is gone. See docs/alerts.md.';
"""
# hashed: a list of many checks is too long for an index
INDEX = {
    "dwh._alerts_one_each": sql.SQL("create unique index _alerts_one_each on dwh._alerts (scope, channel, md5(cause))"),
}
CLAIM = """
insert into dwh._alerts as known (scope, cause, channel) values (%(scope)s, %(cause)s, %(channel)s)
on conflict (scope, channel, md5(cause)) do update set claimed_at = now(), sent_at = null
where
    known.sent_at < now() - %(repeat)s * interval '1 hour'
    or (known.sent_at is null and known.claimed_at < now() - %(patience)s * interval '1 minute')
returning scope
"""
SENT = """
update dwh._alerts set sent_at = now()
where scope = %(scope)s and channel = %(channel)s and md5(cause) = md5(%(cause)s)
"""
RELEASE = """
delete from dwh._alerts
where scope = %(scope)s and channel = %(channel)s and md5(cause) = md5(%(cause)s) and sent_at is null
"""
FORGET = """
delete from dwh._alerts
where
    scope = %(outage)s
    or (scope = any(%(scopes)s) and not (cause = any(%(standing)s)))
    or (channel = %(no_channel)s and claimed_at < now() - %(days)s * interval '1 day')
"""


def claim(warehouse: Warehouse, alert: Alert, channel: str) -> list[str]:
    """The causes of the alert that are for the caller to tell here, now; of several callers at once, one gets each."""
    return _claim(warehouse, _keys(alert.scope, alert.causes, channel))


def is_first(warehouse: Warehouse, scope: str, cause: str) -> bool:
    """Whether nobody asked this before; remembered as an alert of no channel, for ``ASKED_DAYS``."""
    keys = _keys(scope, [cause], NO_CHANNEL)
    found = bool(_claim(warehouse, keys))
    if found:
        _confirm(warehouse, keys)
    return found


def confirm(warehouse: Warehouse, alert: Alert, channel: str) -> None:
    """Remember that claimed causes were told; a claim that is a file stands as it is."""
    _confirm(warehouse, _keys(alert.scope, alert.causes, channel))


def release(warehouse: Warehouse, alert: Alert, channel: str) -> None:
    """Give claims back: they could not be told, the next alert of the causes tries again."""
    for key in _keys(alert.scope, alert.causes, channel):
        _file(key).unlink(missing_ok=True)
    with contextlib.suppress(psycopg.Error), _connect(warehouse) as conn:
        for key in _keys(alert.scope, alert.causes, channel):
            conn.execute(RELEASE, key)


def forget(warehouse: Warehouse, scopes: Iterable[str], standing: Iterable[str] = ()) -> None:
    """Forget the causes of the scopes that do not stand any more: should they come back, they are told at once.

    Raises:
        psycopg.Error: no connection, or no table.
    """
    with _connect(warehouse) as conn:
        asked = {"no_channel": NO_CHANNEL, "days": ASKED_DAYS}
        conn.execute(FORGET, {"outage": OUTAGE, "scopes": list(scopes), "standing": list(standing), **asked})
    shutil.rmtree(_folder(), ignore_errors=True)


def _connect(warehouse: Warehouse) -> psycopg.Connection:
    return psycopg.connect(warehouse.conninfo("transform"), autocommit=True)


def _repeat_hours() -> float:
    return hours("GROWTH_ALERT_REPEAT_HOURS", REPEAT_HOURS)


def _claim(warehouse: Warehouse, keys: list[dict[str, str]]) -> list[str]:
    try:
        with _connect(warehouse) as conn:
            times = {"repeat": _repeat_hours(), "patience": CLAIM_MINUTES}
            return [key["cause"] for key in keys if conn.execute(CLAIM, {**key, **times}).fetchone()]
    except psycopg.Error as error:
        log.info("alerts are remembered in files: %s", str(error).strip())
        return [key["cause"] for key in keys if _claim_file(_file(key))]


def _confirm(warehouse: Warehouse, keys: list[dict[str, str]]) -> None:
    with contextlib.suppress(psycopg.Error), _connect(warehouse) as conn:
        for key in keys:
            conn.execute(SENT, key)


def _keys(scope: str, causes: Iterable[str], channel: str) -> list[dict[str, str]]:
    return [{"scope": scope, "cause": cause, "channel": channel} for cause in causes]


def _folder() -> Path:
    return growth_home() / "alerts"


def _file(key: dict[str, str]) -> Path:
    return _folder() / hashlib.sha256("\0".join(key.values()).encode()).hexdigest()


def _claim_file(path: Path) -> bool:
    """Make the file, or take it over when it is old; where no file can be made, an alert too many beats none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _repeat_hours() * 3600:
                path.unlink()
        path.open("x").close()
    except FileExistsError:
        return False
    except OSError as error:
        log.warning("alerts cannot be remembered: %s", error)
    return True
