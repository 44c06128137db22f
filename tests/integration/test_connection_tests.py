"""The set-up's tests over real sockets and files: what passes, what fails, in words."""

import datetime as dt
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import Settings, demo_settings
from runtime.connection_tests import try_broker, try_connections, try_mail, usable

PASSWORD = "canary-mail-password"  # noqa: S105 - of the test


def certificate(folder: Path) -> Path:
    """For 127.0.0.1, signed by itself; key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    signed = made.add_extension(names, False).sign(key, hashes.SHA256())
    path, pem = folder / "mail.pem", serialization.Encoding.PEM
    shape, open_ = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, shape, open_) + signed.public_bytes(pem))
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A mail server that wants STARTTLS and a password; the settings that reach it."""
    pem = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)

    def knows(_server: Any, _session: Any, _envelope: Any, _way: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (b"bot", PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Controller(
        object(), "127.0.0.1", port, tls_context=tls, require_starttls=True, authenticator=knows,
        auth_required=True,
    )  # fmt: skip
    running.start()
    yield replace(
        demo_settings(), SMTP_HOST="127.0.0.1", SMTP_PORT=port, SMTP_USERNAME="bot",
        SMTP_PASSWORD=Secret(PASSWORD),
    )  # fmt: skip
    running.stop()


def test_the_mail_server_takes_user_and_password(server: Settings, tmp_path: Path) -> None:
    result = try_mail(DataFolder(tmp_path), server)
    assert (result.passed, result.said) == (True, "It accepts bot. No mail was sent.")


def test_a_wrong_password_is_told_and_not_repeated(server: Settings, tmp_path: Path) -> None:
    result = try_mail(DataFolder(tmp_path), replace(server, SMTP_PASSWORD=Secret("canary-wrong")))
    assert result.passed is False
    assert "refuses this user name and password" in result.said
    assert "canary" not in result.said


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    result = try_mail(DataFolder(tmp_path), server)
    assert result.passed is False
    assert "certificate" in result.said


def test_a_gateway_that_is_not_there_is_said(tmp_path: Path) -> None:
    there_is_none = {"IBKR_ACCOUNT": "DU1234567", "IBKR_PORT": 1, "API_TIMEOUT": 1}
    settings = replace(demo_settings(), BROKER_NAME="IBKR", **there_is_none)
    result = try_broker(DataFolder(tmp_path), settings)
    assert result.passed is False
    assert "refused" in result.said
    assert "DU1234567" not in result.said


def test_the_defaults_can_be_set_up_and_nothing_is_written(tmp_path: Path) -> None:
    results = try_connections(DataFolder(tmp_path), demo_settings())
    assert [r.passed for r in results] == [True, None, None]
    assert usable(results)
    assert not list(tmp_path.iterdir())
