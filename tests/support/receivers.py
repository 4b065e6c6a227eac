"""Real servers on this machine that take alerts and keep them: HTTP for webhooks, SMTP for e-mail."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """What a webhook was sent; ``answers`` are the next status codes, then it is 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    asked_count: int = 0


@dataclass
class Mailbox:
    """What a mail server was sent; ``refusal`` is what it says to every mail while that is set."""

    port: int = 0
    refusal: str = ""
    tls: ssl.SSLContext | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)


@contextmanager
def webhook() -> Iterator[Hook]:
    """Start an HTTP server on a free port; stop it at the end."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            hook.asked_count += 1
            status = hook.answers.pop(0) if hook.answers else 200
            if status == 200:
                assert self.headers["Content-Type"] == "application/json"
                hook.received.append(json.loads(content))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", hook.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        hook.url = f"http://127.0.0.1:{port}/hook/secret-in-the-path"
        yield hook


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """Start an SMTP server on a free port, which offers STARTTLS where it has a certificate; stop it at the end."""
    mailbox = Mailbox(tls=tls)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _converse(self, mailbox)

    with _running(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        mailbox.port = port
        yield mailbox


def _converse(connection: socketserver.StreamRequestHandler, mailbox: Mailbox) -> None:
    """One SMTP session, as far as a client that sends a mail goes."""
    reader, writer, is_encrypted = connection.rfile, connection.wfile, False
    recipients: list[str] = []

    def answer(*lines: str) -> None:
        code, last = lines[-1][:3], len(lines) - 1
        for number, line in enumerate(lines):
            writer.write(f"{code}{' ' if number == last else '-'}{line[4:]}\r\n".encode())
        writer.flush()

    answer("220 test")
    while line := reader.readline().decode().strip():
        verb = line.split()[0].upper()
        if verb == "EHLO":
            answer("250 test", *(["250 STARTTLS"] if mailbox.tls and not is_encrypted else []), "250 AUTH PLAIN")
        elif verb == "STARTTLS" and mailbox.tls:
            answer("220 go on")
            connection.request = mailbox.tls.wrap_socket(connection.request, server_side=True)
            reader, writer = connection.request.makefile("rb"), connection.request.makefile("wb")
            is_encrypted = True
        elif verb == "AUTH":
            mailbox.logins.append((line.split()[2], is_encrypted))
            answer("235 welcome")
        elif verb == "RCPT":
            recipients.append(line.split(":", 1)[1].strip(" <>"))
            answer(mailbox.refusal or "250 fine")
        elif verb == "DATA":
            answer("354 go on")
            content = b""
            while (part := reader.readline()) != b".\r\n":
                content += part.removeprefix(b".") if part.startswith(b"..") else part
            mailbox.mails.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
            mailbox.recipients.append(recipients)
            answer("250 taken")
        elif verb == "QUIT":
            answer("221 bye")
            return
        else:
            answer("250 fine")


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
