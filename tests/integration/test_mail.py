"""A mail over a real socket, to a server that speaks STARTTLS and asks for a password."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from beside import beside

from config.setting_forms import Secret
from config.settings import Settings, demo_settings
from runtime.mail import MailNotSent, can_send, send

mail_server: Any = beside("integration/mail_server")
PASSWORD = "canary-mail-password"  # noqa: S105 - of the test


class Box:
    """What arrives; ``refuses`` makes it take no mail for that address."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuses = ""

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address == self.refuses:
            return "550 no such box"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Box, Settings]]:
    pem, box = mail_server.certificate(tmp_path), Box()
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)

    def knows(
        _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        box, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True,
        authenticator=knows, auth_required=True,
    )  # fmt: skip
    controller.start()
    settings = replace(
        demo_settings(), SMTP_HOST="127.0.0.1", SMTP_SENDER="bot@example.org", SMTP_USERNAME="bot",
        SMTP_PORT=port, SMTP_PASSWORD=Secret(PASSWORD),
    )  # fmt: skip
    yield box, settings
    controller.stop()


def test_a_mail_arrives_whole(server: tuple[Box, Settings]) -> None:
    box, settings = server
    assert can_send(settings)
    send(settings, "ann@example.org", "Set your password", "Here: https://localhost/reset/x\n")
    (mail,) = box.mails
    assert (mail["From"], mail["To"]) == ("bot@example.org", "ann@example.org")
    assert mail["Subject"] == "Set your password"
    assert "https://localhost/reset/x" in mail.get_payload()


def refusal(settings: Settings) -> str:
    with pytest.raises(MailNotSent) as refused:
        send(settings, "ann@example.org", "s", "canary-link")
    assert refused.value.__context__ is None
    assert "canary" not in str(refused.value)
    return str(refused.value)


def test_what_goes_wrong_is_said_and_quotes_neither_mail_nor_password(
    server: tuple[Box, Settings],
) -> None:
    box, settings = server
    wrong = replace(settings, SMTP_PASSWORD=Secret("canary-wrong"))
    assert "refuses the user name or the password" in refusal(wrong)
    assert "did not take the mail" in refusal(replace(settings, SMTP_PORT=1))
    box.refuses = "ann@example.org"
    assert "does not take mail for ann@example.org" in refusal(settings)
    assert not box.mails


def test_a_server_that_nobody_vouches_for_gets_nothing(
    server: tuple[Box, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, settings = server
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "SSLCertVerificationError" in refusal(settings)
    assert not box.mails


def test_without_a_server_no_mail_can_be_sent() -> None:
    assert not can_send(demo_settings())
