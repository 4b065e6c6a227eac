"""The command ``growth alert``: what the DAG data_quality does, and a test of the channels."""

from __future__ import annotations

import sys

import click

from growth import console
from growth.console import prepared, say


@click.command()
@click.option("--test", "is_test", is_flag=True, help="Send a test message through every channel, and nothing else.")
def alert(is_test: bool) -> None:
    """Tell which feeds are late and which checks of the gates warned, as the DAG data_quality does.

    With --test: exits 1 when a channel does not take the message, or when there is none.
    """
    if is_test:
        sys.exit(_test())
    from growth.alerts import quality

    warehouse, run_id = prepared(), console.run_id("alert")
    found = [*quality.tell_late_feeds(warehouse, run_id), *quality.tell_warnings(warehouse, run_id)]
    for check in found:
        click.echo(f"{check.name} ({check.gate}): {'; '.join(check.examples) or check.row_count}")
    if not found:
        say("No feed is late, and no check warned.")


def _test() -> int:
    from growth.alerts.causes import trial_alert
    from growth.alerts.channels import ChannelDown, deliver, from_environment

    channels = from_environment()
    if not channels:
        say("No channel is set: GROWTH_SLACK_WEBHOOK_URL, GROWTH_WEBHOOK_URL or GROWTH_SMTP_HOST (docs/alerts.md).")
    failed = not channels
    for channel in channels:
        try:
            deliver(channel, trial_alert())
            say(f"{channel.name}: sent")
        except ChannelDown as error:
            failed = True
            say(f"{channel.name}: NOT SENT: {error}")
    return int(failed)
