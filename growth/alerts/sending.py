"""Send an alert through every channel, once a cause and channel."""

from __future__ import annotations

import logging

from growth.alerts import ledger
from growth.alerts.channels import Channel, ChannelDown, deliver, from_environment
from growth.alerts.message import Alert, as_text
from growth.settings import Warehouse

log = logging.getLogger(__name__)


def send(warehouse: Warehouse, alert: Alert) -> list[str]:
    """Tell the cause where it was not told lately; a channel that is down is logged, and tried at the next alert.

    Returns:
        The names of the channels that took it now.
    """
    channels = from_environment()
    if not channels:
        log.warning(
            "No channel for alerts is set (docs/alerts.md), so this stands in the log only:\n%s", as_text(alert)
        )
    return [channel.name for channel in channels if _send(warehouse, alert, channel)]


def _send(warehouse: Warehouse, alert: Alert, channel: Channel) -> bool:
    news = ledger.claim(warehouse, alert, channel.name)
    if not news:
        log.info("alert not sent to %s, which was told lately: %s", channel.name, alert.title)
        return False
    alert = alert.about(news)
    try:
        deliver(channel, alert)
    except BaseException as error:  # whatever it is: the claim must not keep the next one silent
        ledger.release(warehouse, alert, channel.name)
        if not isinstance(error, Exception):
            raise
        # of what nobody foresaw no word: an address is a secret; and the channels after it get theirs
        reason = error if isinstance(error, ChannelDown) else type(error).__name__
        log.warning("alert not sent to %s: %s\n%s", channel.name, reason, as_text(alert))
        return False
    ledger.confirm(warehouse, alert, channel.name)
    log.info("alert sent to %s: %s", channel.name, alert.title)
    return True
