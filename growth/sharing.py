"""Before dashboard and portal are shared: refuse to share them without a login, and see to a certificate.

Run by the one-shot service ``sharing``, on which the proxy waits. Source: the folder ``sharing/`` of the checkout
(``users``, and ``tls.crt`` with ``tls.key`` where there is a certificate). Target: a folder that only the proxy reads.
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from growth.files import write_whole

# what every build of nginx understands: SHA-256, SHA-512 and bcrypt. It takes anything else for DES or plain text
LINE = re.compile(r"[^:\s]+:(\$[56]\$(?:rounds=\d+\$)?[^$:]+\$[./A-Za-z0-9]{43,86}|\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})")
CERTIFICATE, KEY, USERS = "tls.crt", "tls.key", "users"
VALID_DAYS = 397
RENEW_DAYS = 30


class SharingRefused(Exception):
    """What is missing or wrong before anything may be shared, and what to do."""


def users(folder: Path) -> str:
    """The password file.

    Raises:
        SharingRefused: there is none, nobody is in it, or a line has no password that is hashed well.
    """
    path = folder / USERS
    text = path.read_text("utf-8") if path.is_file() else ""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line and not line.startswith("#")]
    if not lines:
        raise SharingRefused(
            "nobody could log in: sharing/users is absent or empty. Nothing is shared until it has a line "
            "name:hash for somebody; docs/sharing.md says how to make one."
        )
    if wrong := [str(number) for number, line in lines if not LINE.fullmatch(line)]:
        raise SharingRefused(
            f"sharing/users, line {', '.join(wrong)}: not name:hash with a hash of SHA-512, SHA-256 or bcrypt "
            "(`openssl passwd -6`)."
        )
    return text


def own_certificate(folder: Path) -> tuple[bytes, bytes] | None:
    """Certificate and key that lie in the folder; None where neither does.

    Raises:
        SharingRefused: one of them is missing or damaged, they do not belong together, or the certificate has ended.
    """
    paths = folder / CERTIFICATE, folder / KEY
    there = [path.name for path in paths if path.is_file()]
    if not there:
        return None
    if len(there) == 1:
        raise SharingRefused(f"sharing/{there[0]} is there, the other of {CERTIFICATE} and {KEY} is not.")
    certificate, key = (path.read_bytes() for path in paths)
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
        public = serialization.load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError) as error:
        raise SharingRefused(f"sharing/{CERTIFICATE} or {KEY} is no PEM file without a pass phrase: {error}") from error
    if public != parsed.public_key():
        raise SharingRefused(f"sharing/{CERTIFICATE} is not the certificate of sharing/{KEY}.")
    if parsed.not_valid_after_utc < datetime.now(UTC):
        raise SharingRefused(f"sharing/{CERTIFICATE} ended on {parsed.not_valid_after_utc:%Y-%m-%d}.")
    return certificate, key


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A certificate for a name or an address, and its key, both new."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Growth Analytics, self-signed")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def prepare(source: Path, target: Path, name: str, owner: int | None = None) -> str:
    """Give the proxy its users and its certificate, or leave it without users, so that nothing is shared.

    Returns:
        The SHA-256 fingerprint of the certificate, as browsers show it.

    Raises:
        SharingRefused: see `users` and `own_certificate`.
    """
    (target / USERS).unlink(missing_ok=True)
    text = users(source)
    pair = own_certificate(source) or _kept(target, name) or self_signed(name)
    own = None if owner is None else lambda fresh: os.chown(fresh, owner, 0)
    for file, content in ((CERTIFICATE, pair[0]), (KEY, pair[1]), (USERS, text.encode())):
        write_whole(target / file, content, mode=0o400, own=own)  # the proxy's user alone reads them
    return x509.load_pem_x509_certificate(pair[0]).fingerprint(hashes.SHA256()).hex(":").upper()


def _kept(target: Path, name: str) -> tuple[bytes, bytes] | None:
    """The self-signed certificate of before, while it is of the same name and does not end soon."""
    try:
        pair = own_certificate(target)
    except SharingRefused:
        return None
    if pair is None:
        return None
    parsed = x509.load_pem_x509_certificate(pair[0])
    if parsed.issuer != parsed.subject or parsed.not_valid_after_utc < datetime.now(UTC) + timedelta(days=RENEW_DAYS):
        return None
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return pair if list(names) == [_general_name(name)] else None


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def main(source: Path, target: Path) -> int:
    """Exit code 1 and a reason on standard error when nothing may be shared."""
    name = os.environ.get("SHARED_NAME") or "localhost"
    owner = int(os.environ.get("AIRFLOW_UID") or 50000) if os.geteuid() == 0 else None
    try:
        fingerprint = prepare(source, target, name, owner)
    except SharingRefused as refused:
        print(f"sharing: {refused}", file=sys.stderr)
        return 1
    print(f"sharing: certificate with SHA-256 fingerprint {fingerprint}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
