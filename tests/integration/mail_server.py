"""A mail server on a real socket that speaks TLS, asks for a password, and can be told to fail."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PASSWORD = "canary-mail-password"  # noqa: S105 - of the test


def certificate(folder: Path) -> Path:
    """For 127.0.0.1, signed by itself; key and certificate in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    address = x509.IPAddress(ip_address("127.0.0.1"))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "mail.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class MailServer:
    """``mails`` is what it took. ``rcpt`` and ``data`` are its answers where they are not "OK";
    ``dies_after_data``: it takes so many mails and goes away before it says so."""

    def __init__(self, pem: Path, *, tls: bool = False) -> None:
        self.port, self.tls = free_port(), tls
        self.mails: list[Any] = []
        self.rcpt: dict[str, str] = {}
        self.data = ""
        self.dies_after_data = 0
        self.password = PASSWORD
        self.sign_ins = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(pem)
        self._controller: Controller | None = None

    def start(self) -> None:
        own: dict[str, Any] = {"auth_required": True, "authenticator": self._knows}
        if self.tls:
            own |= {"ssl_context": self._context, "auth_require_tls": False}
        else:
            own |= {"tls_context": self._context, "require_starttls": True}
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **own)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def ids(self) -> list[str]:
        return [mail["Message-ID"] for mail in self.mails]

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def texts(self) -> list[str]:
        """The part that is read, of each mail."""
        return [mail.get_body().get_content().replace("\r\n", "\n") for mail in self.mails]

    def _knows(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        self.sign_ins += 1
        return AuthResult(success=data.password == self.password.encode(), handled=False)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if answer := self.rcpt.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, _session: Any, envelope: Any
    ) -> str:
        if self.data:
            return self.data
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.dies_after_data:
            self.dies_after_data -= 1
            server.transport.abort()
            await asyncio.sleep(0)
        return "250 kept as 42"


class Silent:
    """Takes connections and says nothing, or a byte at a time."""

    def __init__(self, *, drip: bool = False) -> None:
        self._drip = drip
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.met = 0

    def serve(self, ends: Any) -> None:
        """In a thread, until ``ends`` is set."""
        self._listener.settimeout(0.05)
        held: list[socket.socket] = []
        while not ends.is_set():
            try:
                connection, _ = self._listener.accept()
                held.append(connection)
                self.met += 1
            except TimeoutError:
                pass
            for each in held if self._drip else ():
                try:
                    each.send(b"2")
                except OSError:
                    held.remove(each)
                    each.close()
                    break
        for each in held:
            each.close()
        self._listener.close()
