"""Where alerts go: a Slack webhook, a webhook of any kind, e-mail over SMTP; which of them, the environment says."""

from __future__ import annotations

import http.client
import json
import logging
import os
import smtplib
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from http import HTTPStatus
from typing import Any, Protocol

from growth.alerts.message import Alert, as_json, as_mail, as_slack

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
# A restart of the other side, or one lost packet; who is away for longer gets the next alert of the cause.
PAUSES_SECONDS = (1.0, 3.0)
SUBMISSION_PORT = 587
TRUE, FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


class ChannelDown(Exception):
    """An alert could not be handed over; ``transient`` says whether another try may help.

    The text never holds an address or a password: the address of a webhook is a secret.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class Channel(Protocol):
    """One way to people."""

    @property
    def name(self) -> str:
        """Short and stable: what was sent is remembered under it."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand the alert over.

        Raises:
            ChannelDown: it was not taken.
        """
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts JSON; anything but an answer 2xx is a failure, a redirect too."""

    name: str
    url: str = field(repr=False)
    render: Callable[[Alert], dict[str, Any]]

    def send(self, alert: Alert) -> None:
        """Post the alert."""
        if urllib.parse.urlsplit(self.url).scheme not in ("http", "https"):
            raise ChannelDown("the address does not begin with https:// or http://")
        content = json.dumps(self.render(alert)).encode()
        request = urllib.request.Request(  # noqa: S310 (its scheme was looked at)
            self.url, content, {"Content-Type": "application/json", "User-Agent": "growth-analytics"}
        )
        try:
            urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
            busy = error.code in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
            transient = busy or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
            raise ChannelDown(f"the server answered {error.code} {error.reason}", transient=transient) from None
        except http.client.HTTPException:  # its text may be the address, which is a secret
            raise ChannelDown("the address, or what answered there, is not HTTP") from None
        except (OSError, ValueError) as error:  # ValueError: an address that is none
            reason = getattr(error, "reason", error)
            raise ChannelDown(f"no answer: {reason}", transient=isinstance(error, OSError)) from None


@dataclass(frozen=True, slots=True)
class Mail:
    """Sends a plain text e-mail through an SMTP server."""

    host: str
    port: int
    starttls: bool
    user: str
    password: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    name: str = "email"

    def send(self, alert: Alert) -> None:
        """Send the alert to all recipients; it is taken when the server accepts one of them."""
        try:
            with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS) as server:
                if self.starttls:
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(as_mail(alert, self.sender, self.recipients))
        except smtplib.SMTPResponseException as error:
            text = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            temporary = 400 <= error.smtp_code < 500
            raise ChannelDown(f"the server answered {error.smtp_code} {text}", transient=temporary) from None
        except smtplib.SMTPRecipientsRefused:
            raise ChannelDown("the server refused all recipients") from None
        except smtplib.SMTPNotSupportedError as error:
            raise ChannelDown(str(error)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise ChannelDown(f"no answer: {error}", transient=True) from None
        if refused:
            log.warning("e-mail: the server refused %s of %s recipients", len(refused), len(self.recipients))


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """A channel whose settings cannot work; says so each time, and keeps no other from its alert."""

    name: str
    fault: str

    def send(self, alert: Alert) -> None:
        """Refuse."""
        raise ChannelDown(self.fault)


def from_environment(environment: Mapping[str, str] = os.environ) -> list[Channel]:
    """The channels that the environment configures; none: alerts stand in the log only."""
    found: list[Channel] = []
    if url := environment.get("GROWTH_SLACK_WEBHOOK_URL"):
        found.append(Webhook("slack", url, as_slack))
    if url := environment.get("GROWTH_WEBHOOK_URL"):
        found.append(Webhook("webhook", url, as_json))
    if environment.get("GROWTH_SMTP_HOST") or environment.get("GROWTH_ALERT_TO"):
        found.append(_mail(environment))
    return found


def deliver(channel: Channel, alert: Alert, pauses: tuple[float, ...] = PAUSES_SECONDS) -> None:
    """Send, trying again after each pause (seconds) where that may help.

    Raises:
        ChannelDown: it was not taken.
    """
    for pause in (*pauses, None):
        try:
            channel.send(alert)
            return
        except ChannelDown as error:
            if pause is None or not error.transient:
                raise
            time.sleep(pause)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without the alert: better to say that it failed."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def _mail(environment: Mapping[str, str]) -> Channel:
    values = {name: environment.get(f"GROWTH_{name}") or "" for name in ("SMTP_HOST", "ALERT_TO", "ALERT_FROM")}
    if missing := [f"GROWTH_{name}" for name, value in values.items() if not value]:
        return Misconfigured("email", f"{', '.join(missing)} not set; e-mail needs GROWTH_{', GROWTH_'.join(values)}")
    recipients = tuple(address.strip() for address in values["ALERT_TO"].split(",") if address.strip())
    wrong = [each for each in (*recipients, values["ALERT_FROM"]) if "@" not in parseaddr(each)[1] or "\n" in each]
    port = environment.get("GROWTH_SMTP_PORT") or str(SUBMISSION_PORT)
    starttls = (environment.get("GROWTH_SMTP_STARTTLS") or "true").lower()
    if wrong:
        return Misconfigured("email", f"GROWTH_ALERT_TO, GROWTH_ALERT_FROM: no address: {', '.join(wrong)}")
    if not port.isdecimal() or starttls not in TRUE + FALSE:
        return Misconfigured("email", "GROWTH_SMTP_PORT is no number, or GROWTH_SMTP_STARTTLS neither true nor false")
    return Mail(
        host=values["SMTP_HOST"],
        port=int(port),
        starttls=starttls in TRUE,
        user=environment.get("GROWTH_SMTP_USER") or "",
        password=environment.get("GROWTH_SMTP_PASSWORD") or "",
        sender=values["ALERT_FROM"],
        recipients=recipients,
    )
