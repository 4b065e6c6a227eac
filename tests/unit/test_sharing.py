"""Nothing is shared without users whose passwords are hashed well, and a certificate that holds."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from support.sharing import LINE

from growth import sharing

# openssl passwd -6, -5; htpasswd -nbB
GOOD = [
    LINE.strip(),
    "eve:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1",
    "tom:$5$rounds=5000$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1",
    "bob:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of the checkout, with one user, and the proxy's."""
    for name in ("sharing", "proxy"):
        (tmp_path / name).mkdir()
    (tmp_path / "sharing" / "users").write_text("\n".join(GOOD))
    return tmp_path / "sharing", tmp_path / "proxy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "absent or empty"),
        ("", "absent or empty"),
        ("# nobody\n\n", "absent or empty"),
        (f"{LINE}eve:open sesame\n", "line 2"),
        ("eve:\n", "line 1"),
        ("eve\n", "line 1"),
        ("eve:{PLAIN}open\n", "line 1"),
        ("eve:$1$salt$qJH7.N4xYta3aEG/dfqo/0\n", "line 1"),
        ("eve:$apr1$salt$qJH7.N4xYta3aEG/dfqo/0\n", "line 1"),
        ("eve:ab01FAX.bQRSU\n", "line 1"),
        (LINE.replace("ada:", ":"), "line 1"),
    ],
)
def test_without_users_that_are_safe_the_proxy_gets_none(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    source, target = folders
    assert sharing.main(source, target) == 0  # it was shared before
    (source / "users").unlink() if text is None else (source / "users").write_text(text)
    assert sharing.main(source, target) == 1
    assert said in capsys.readouterr().err
    assert not (target / "users").exists()


def test_the_proxy_gets_users_and_a_certificate_that_it_alone_may_read(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = folders
    monkeypatch.setenv("SHARED_NAME", "growth.example.org")
    assert sharing.main(source, target) == 0
    assert (target / "users").read_text().splitlines() == GOOD
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == {0o400}
    certificate = x509.load_pem_x509_certificate((target / "tls.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["growth.example.org"]
    assert certificate.fingerprint(hashes.SHA256()).hex(":").upper() in capsys.readouterr().out


def test_a_certificate_of_its_own_is_kept_until_its_name_changes_or_it_ends(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = folders
    first = sharing.prepare(source, target, "192.0.2.7")
    assert sharing.prepare(source, target, "192.0.2.7") == first
    renamed = sharing.prepare(source, target, "localhost")
    assert renamed != first
    monkeypatch.setattr(sharing, "RENEW_DAYS", sharing.VALID_DAYS + 1)
    assert sharing.prepare(source, target, "localhost") != renamed


def test_a_certificate_that_is_brought_is_taken_as_it_is(folders: tuple[Path, Path]) -> None:
    source, target = folders
    before = sharing.prepare(source, target, "localhost")
    certificate, key = sharing.self_signed("growth.example.org")
    (source / "tls.crt").write_bytes(certificate)
    (source / "tls.key").write_bytes(key)
    assert sharing.prepare(source, target, "localhost") != before
    assert ((target / "tls.crt").read_bytes(), (target / "tls.key").read_bytes()) == (certificate, key)


@pytest.mark.parametrize("fault", ["no key", "another key", "damaged", "ended"])
def test_a_certificate_that_would_not_hold_is_refused(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    source, target = folders
    if fault == "ended":
        monkeypatch.setattr(sharing, "VALID_DAYS", -timedelta(minutes=30) / timedelta(days=1))
    certificate, key = sharing.self_signed("localhost")
    other = sharing.self_signed("localhost")[1]
    (source / "tls.crt").write_bytes(certificate)
    if fault != "no key":
        (source / "tls.key").write_bytes({"another key": other, "damaged": key[:40]}.get(fault, key))
    said = {"no key": "the other", "another key": "not the certificate", "damaged": "no PEM", "ended": "ended on"}
    with pytest.raises(sharing.SharingRefused, match=said[fault]):
        sharing.prepare(source, target, "localhost")
    assert not (target / "users").exists()
