"""Alerts arrive at real servers on this machine, say what they must, and hold nothing of the data."""

from __future__ import annotations

import ipaddress
import ssl
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.receivers import mail_server, webhook

from growth.alerts.causes import TaskFailure, checks_warned, harmless_lines, run_late, task_failed
from growth.alerts.channels import ChannelDown, deliver, from_environment
from growth.alerts.command import alert as alert_command
from growth.alerts.message import Alert, FailedCheck, as_json, as_slack, as_text

CHECKS = (
    FailedCheck("volume_holds_sessions", "gate_raw", 2, "dq_failures.volume", ("event_date 2024-03-01",)),
    FailedCheck("events_not_in_future_sessions", "gate_raw", 1),
)
RUN = "scheduled__2024-03-02T04:00:00+00:00"
GATE = task_failed(TaskFailure("growth_daily", RUN, "gate_raw", error="gate raw failed: a, b"), CHECKS)
NO_PAUSE = (0.0, 0.0)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_WEBHOOK_URL", "WEBHOOK_URL", "REPORTS_URL"):
        monkeypatch.delenv(f"GROWTH_{name}", raising=False)
    for name in ("HOST", "PORT", "USER", "PASSWORD", "STARTTLS"):
        monkeypatch.delenv(f"GROWTH_SMTP_{name}", raising=False)
    for name in ("FROM", "TO", "REPEAT_HOURS"):
        monkeypatch.delenv(f"GROWTH_ALERT_{name}", raising=False)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://airflow.example:8080/")


def mail_settings(port: int, **more: str) -> dict[str, str]:
    return {
        "GROWTH_SMTP_HOST": "127.0.0.1",
        "GROWTH_SMTP_PORT": str(port),
        "GROWTH_SMTP_STARTTLS": "false",
        "GROWTH_ALERT_FROM": "growth@example.com",
        "GROWTH_ALERT_TO": "ann@example.com, Ben <ben@example.com>",
        **more,
    }


def test_a_failed_gate_says_what_failed_how_many_rows_and_where_to_look() -> None:
    assert as_text(GATE).splitlines() == [
        "FAILURE: gate_raw stopped growth_daily",
        "What readers see stays as it was.",
        "- events_not_in_future_sessions (gate_raw): 1 failing rows",
        "- volume_holds_sessions (gate_raw): 2 failing rows, kept in dq_failures.volume",
        "    event_date 2024-03-01",
        "Run: http://airflow.example:8080/dags/growth_daily/runs/scheduled__2024-03-02T04%3A00%3A00%2B00%3A00",
        "Report: http://127.0.0.1:8081",
        "What to do: docs/runbooks/growth_daily.md",
    ]


def test_one_cause_is_the_same_whatever_the_order_the_run_and_the_figures() -> None:
    later = TaskFailure("growth_daily", "another run", "gate_raw", error="gate raw failed: b, a")
    assert task_failed(later, CHECKS[::-1]).causes == GATE.causes
    assert task_failed(later, CHECKS[:1]).causes != GATE.causes

    def refused(feed: str, error: str) -> Alert:
        return task_failed(TaskFailure("growth_daily", RUN, "load_feed", feed, error))

    first = refused("sessions", "sessions/a1.csv: 3 of 9 records are refused")
    assert refused("sessions", "sessions/a1.csv: 4 of 9 records are refused").causes == first.causes
    assert refused("sessions", "sessions/a2.csv: 3 of 9 records are refused").causes != first.causes
    assert first.scope == "growth_daily.load_feed.sessions"
    lost = [TaskFailure("growth_daily", RUN, "load_feed", feed, "x", is_outage=True) for feed in ("sessions", "events")]
    assert len({(task_failed(each).scope, task_failed(each).causes) for each in lost}) == 1


def test_no_value_of_the_data_is_in_what_a_task_says() -> None:
    error = (
        "sessions/a.csv: 2 of 3 records are refused; the contract tolerates 5 % of a file (max_reject_rate)\n"
        '  line 3, column userid: invalid_value: invalid input syntax for type bigint: "ann@example.com"\n'
        "  line 4: malformed: Ann Smith\n"
        "sessions/b.csv: header is not the contract's (unknown: 'Ann Smith')\n"
        "  contract | file\n"
        "  -        | Ann Smith\n"
        "DETAIL:  Key (userid)=(4711) already exists."
    )
    lines = harmless_lines(error, "sessions")
    assert lines == [
        "sessions/a.csv: 2 of 3 records are refused; the contract tolerates 5 % of a file (max_reject_rate)",
        "  line 3, column userid: invalid_value",
        "  line 4: malformed",
        "sessions/b.csv: header is not the contract's (unknown: …)",
    ]
    assert harmless_lines('duplicate key "x"\nDETAIL:  Key (userid)=(4711)', "") == ["duplicate key …"]
    many = "\n".join(f"  line {number}: malformed: Ann" for number in range(50))
    assert len(harmless_lines(f"sessions/a.csv: refused\n{many}", "sessions")) == 11


def test_slack_gets_blocks_within_its_limits() -> None:
    hostile = FailedCheck("<!channel> & " + "x" * 200, "gate_raw", 1, "", ("y" * 4000,))
    sent = as_slack(task_failed(TaskFailure("growth_daily", RUN, "gate_raw"), [hostile, *CHECKS]))
    header, section, context = sent["blocks"]
    assert header["text"]["text"] == "FAILURE: gate_raw stopped growth_daily"
    assert len(section["text"]["text"]) <= 3000
    assert "<!channel>" not in section["text"]["text"]
    assert "&lt;!channel&gt; &amp;" in section["text"]["text"]
    assert "|Run>" in context["elements"][0]["text"]
    assert "|Report>" in context["elements"][0]["text"]


def test_every_channel_that_is_set_gets_the_alert() -> None:
    with webhook() as slack, webhook() as hook, mail_server() as mailbox:
        settings = {"GROWTH_SLACK_WEBHOOK_URL": slack.url, "GROWTH_WEBHOOK_URL": hook.url}
        channels = from_environment(settings | mail_settings(mailbox.port))
        assert [channel.name for channel in channels] == ["slack", "webhook", "email"]
        for channel in channels:
            deliver(channel, GATE)
        assert slack.received == [as_slack(GATE)]
        assert hook.received == [as_json(GATE)]
        [mail] = mailbox.mails
        assert mailbox.recipients == [["ann@example.com", "ben@example.com"]]
        assert mail["Subject"] == "[growth] failure: gate_raw stopped growth_daily"
        assert mail.get_content().splitlines() == as_text(GATE).splitlines()
    assert from_environment({}) == []


def test_what_may_pass_is_tried_again_and_what_may_not_is_not() -> None:
    with webhook() as hook:
        [channel] = from_environment({"GROWTH_WEBHOOK_URL": hook.url})
        hook.answers += [503, 429]
        deliver(channel, GATE, NO_PAUSE)
        assert (hook.asked_count, len(hook.received)) == (3, 1)
        for status, asked in ((404, 1), (302, 1), (500, 3)):
            hook.asked_count, hook.answers = 0, [status] * 3
            with pytest.raises(ChannelDown, match=str(status)) as failure:
                deliver(channel, GATE, NO_PAUSE)
            assert hook.asked_count == asked
            assert "secret-in-the-path" not in str(failure.value)
            hook.answers.clear()
    with pytest.raises(ChannelDown, match="no answer"):  # nobody listens any more
        deliver(channel, GATE, NO_PAUSE)
    assert "secret-in-the-path" not in repr(channel)
    with mail_server() as mailbox:
        [channel] = from_environment(mail_settings(mailbox.port))
        mailbox.refusal = "550 no such user"
        with pytest.raises(ChannelDown, match="refused all recipients"):
            deliver(channel, GATE, NO_PAUSE)


def test_a_login_goes_over_tls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(tmp_path / "server.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    login = {"GROWTH_SMTP_USER": "growth", "GROWTH_SMTP_PASSWORD": "pass", "GROWTH_SMTP_STARTTLS": ""}
    with mail_server(context) as mailbox:
        [channel] = from_environment(mail_settings(mailbox.port, **login))
        deliver(channel, GATE)
        assert mailbox.logins == [(b64encode(b"\0growth\0pass").decode(), True)]
        assert len(mailbox.mails) == 1
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(ChannelDown, match="certificate verify failed"):
            deliver(channel, GATE, ())
    with mail_server() as mailbox:  # offers no STARTTLS
        [channel] = from_environment(mail_settings(mailbox.port, **login))
        with pytest.raises(ChannelDown, match="STARTTLS"):
            deliver(channel, GATE, NO_PAUSE)
        assert mailbox.logins == mailbox.mails == []


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"GROWTH_WEBHOOK_URL": "file:///etc/passwd"}, "does not begin with https"),
        ({"GROWTH_WEBHOOK_URL": "hooks.example.com/x"}, "does not begin with https"),
        ({"GROWTH_WEBHOOK_URL": "https://hooks.example.com/T0/secret # team"}, "^the address, or what .* is not HTTP$"),
        ({"GROWTH_SMTP_HOST": "localhost"}, "GROWTH_ALERT_TO, GROWTH_ALERT_FROM not set"),
        ({"GROWTH_ALERT_TO": "ann@example.com"}, "GROWTH_SMTP_HOST, GROWTH_ALERT_FROM not set"),
        (mail_settings(25, GROWTH_ALERT_TO="ann"), "no address: ann"),
        (mail_settings(25, GROWTH_SMTP_PORT="smtp"), "is no number"),
        (mail_settings(25, GROWTH_SMTP_STARTTLS="maybe"), "neither true nor false"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, str], fault: str) -> None:
    [channel] = from_environment(settings)
    with pytest.raises(ChannelDown, match=fault):
        deliver(channel, GATE, NO_PAUSE)


def test_the_trial_says_of_each_channel_whether_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def trial() -> tuple[int, list[str]]:
        result = CliRunner().invoke(alert_command, ["--test"])
        return result.exit_code, result.stderr.splitlines()

    code, said = trial()
    assert code == 1
    assert "GROWTH_SLACK_WEBHOOK_URL" in said[0]
    with webhook() as hook:
        monkeypatch.setenv("GROWTH_WEBHOOK_URL", hook.url)
        assert trial() == (0, ["webhook: sent"])
        monkeypatch.setenv("GROWTH_SMTP_HOST", "127.0.0.1")
        code, said = trial()
        assert code == 1
        assert said[0] == "webhook: sent"
        assert said[1].startswith("email: NOT SENT: GROWTH_ALERT_TO")
        assert [each["kind"] for each in hook.received] == ["test", "test"]


def test_warnings_are_told_one_by_one_and_late_runs_once() -> None:
    warned = checks_warned("late", "data_quality.freshness", "feeds are late", CHECKS, "data_quality", RUN)
    news = warned.about(["volume_holds_sessions"])
    assert [check.name for check in news.checks] == ["volume_holds_sessions"]
    assert GATE.about(GATE.causes) == GATE
    due = datetime(2024, 3, 2, 6, tzinfo=UTC)
    runs = [run_late("growth_daily", run, due) for run in ("a", "b")]
    assert runs[0].causes == runs[1].causes
    assert "by 2024-03-02 06:00 UTC" in as_text(runs[0])


def _certificate(path: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
