"""What the proxy answers to people and to strangers, asked over TLS without looking at its certificate."""

from __future__ import annotations

import base64
import http.client
import ssl
from dataclasses import dataclass

NAME, PASSWORD = "ada", "look around"
# openssl passwd -6 -salt growthshare
LINE = "ada:$6$growthshare$" + (
    "IzGXO2Q3ltrvw/s8CXrZDQ/xow4KYCm0oDhVvDZ2ny7cRXi91rMrzlLFe7DxfJtVFOe5rp4RThNw8jFwxdR6g.\n"
)


@dataclass(frozen=True)
class Answer:
    """Of one request: ``cookie`` is what the browser would bring the next time."""

    status: int
    body: str
    cookie: str


def login(password: str = PASSWORD, name: str = NAME) -> dict[str, str]:
    """Headers of a browser whose user has typed name and password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def ask(port: int, path: str, **headers: str) -> Answer:
    """GET a page over TLS."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=anyone)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = "" if response.status == 101 else response.read().decode("utf-8", "replace")
        return Answer(response.status, body, (response.getheader("Set-Cookie") or "").partition(";")[0])
    finally:
        connection.close()


def open_websocket(port: int, **headers: str) -> int:
    """The status with which the dashboard's WebSocket is opened (101) or refused."""
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Origin": f"https://127.0.0.1:{port}",
        "Sec-WebSocket-Key": base64.b64encode(b"sixteen bytes...").decode(),
        "Sec-WebSocket-Version": "13",
    }
    return ask(port, "/_stcore/stream", **(handshake | headers)).status
