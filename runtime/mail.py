"""Mail to people, over one encrypted connection that ends by itself: smtplib, and what it says in
words.

A server may not answer, answer a byte at a time, refuse, or go away after it has taken a mail. An
attempt has one limit for all of it (``LONGEST_S``), and its error says whether the server cannot be
used at all or does not take this mail.
"""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from threading import Timer
from typing import Any, NamedTuple

from aggregates.errors import TradeBotError
from config.settings import Settings

LONGEST_S = 10  # of a single answer, whatever API_TIMEOUT says: a person is waiting
ATTEMPT_S = 60.0  # of all that belongs to one mail
SAID_LONGEST = 200  # characters of a server's answer that are shown
WAYS = ("PLAIN", "LOGIN", "CRAM-MD5")  # to sign in; the connection is encrypted
TOO_BUSY = 421  # the server ends the connection; it refuses nobody's mail by that

Send = Callable[[str, str, str], None]


class MailNotSent(TradeBotError):
    """The mail server did not take it. The text quotes neither the mail nor the password."""


class ServerUnusable(MailNotSent):
    """No mail can be handed to the server now."""


class SignInRefused(ServerUnusable):
    """It refuses the user name or the password: to try again soon may lock the account."""


class MailRefused(MailNotSent):
    """The server works and does not take this mail, or not for anybody that it is for."""


class Delivery(NamedTuple):
    """``refused`` has an answer of the server for each address that it did not take it for."""

    taken: tuple[str, ...]
    refused: dict[str, str]
    answer: str


def can_send(settings: Settings) -> bool:
    # SMTP_HOST or SMTP_SENDER empty: no mail is sent; links are shown once to the admin instead.
    return bool(settings.SMTP_HOST and settings.SMTP_SENDER)


def send(settings: Settings, to: str, subject: str, text: str) -> None:
    """Raises MailNotSent."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.SMTP_SENDER, to, subject
    message.set_content(text)
    deliver(settings, message, [to])


def deliver(
    settings: Settings, message: EmailMessage, to: Sequence[str], longest_s: float = ATTEMPT_S
) -> Delivery:
    """Hand one mail over for some addresses. Raises ServerUnusable or MailRefused."""
    why: tuple[type[MailNotSent], str]
    try:
        with connected(settings, longest_s) as connection:
            sign_in(connection, settings)
            return _handed_over(connection, settings.SMTP_SENDER, message, to)
    except MailRefused as e:
        why = MailRefused, str(e)
    except smtplib.SMTPAuthenticationError as e:
        # its answer is not quoted: it may hold what was sent
        why = SignInRefused, "it refuses the user name or the password"
        if e.smtp_code < 500:
            why = ServerUnusable, f"it signs nobody in at this time, {e.smtp_code}"
    except smtplib.SMTPNotSupportedError:
        why = ServerUnusable, f"it does not offer {settings.SMTP_SECURITY} or signing in"
    except smtplib.SMTPResponseException as e:
        why = ServerUnusable, f"it says {answer_of(e.smtp_code, e.smtp_error)}"
    except (OSError, smtplib.SMTPException, ValueError) as e:
        why = (
            ServerUnusable,
            f"{type(e).__name__}: {getattr(e, 'strerror', None) or 'no use of it'}",
        )
    # raised outside the handlers: what they hold may quote the mail
    server = f"{settings.SMTP_HOST}:{settings.SMTP_PORT}"
    raise why[0](f"The mail server {server} did not take the mail ({why[1]}).")


def sign_in(connection: smtplib.SMTP, settings: Settings) -> None:
    """Once, in one of the ways that the server offers: smtplib's own ``login`` tries all of them,
    and each failure counts for a server that locks accounts. Raises as ``connected``."""
    # SMTP_USERNAME empty: the server takes mail without knowing from whom
    if not settings.SMTP_USERNAME:
        return
    connection.ehlo_or_helo_if_needed()
    offered = connection.esmtp_features.get("auth", "").split()
    way = next((way for way in WAYS if way in offered), None)
    if way is None:
        raise smtplib.SMTPNotSupportedError
    connection.user = settings.SMTP_USERNAME
    connection.password = settings.SMTP_PASSWORD.reveal()
    connection.auth(way, getattr(connection, f"auth_{way.lower().replace('-', '_')}"))


def _handed_over(
    connection: smtplib.SMTP, sender: str, message: EmailMessage, to: Sequence[str]
) -> Delivery:
    connection.ehlo_or_helo_if_needed()
    _expect(*connection.mail(sender), f"does not take mail from {sender}")
    taken, refused = [], {}
    for address in to:
        code, said = connection.rcpt(address)
        if code == TOO_BUSY:
            raise smtplib.SMTPResponseException(code, said)
        if code in (250, 251):
            taken.append(address)
        else:
            refused[address] = answer_of(code, said)
    if not taken:
        answers = "; ".join(f"{address}, {said}" for address, said in refused.items())
        raise MailRefused(f"it does not take mail for {answers}")
    content = message.as_bytes(policy=SMTP)
    try:
        code, said = connection.data(content)
    except smtplib.SMTPDataError as e:
        code, said = e.smtp_code, _bytes(e.smtp_error)
    _expect(code, said, "does not take what is in it")
    return Delivery(tuple(taken), refused, answer_of(code, said))


def _expect(code: int, said: bytes, refuses: str) -> None:
    if code == TOO_BUSY:
        raise smtplib.SMTPResponseException(code, said)
    if code != 250:
        raise MailRefused(f"it {refuses}: {answer_of(code, said)}")


def answer_of(code: int, said: bytes | str) -> str:
    """What the server answered, on one line that can be shown."""
    text = " ".join(_bytes(said).decode("utf-8", "replace").split())
    return f"{code} {''.join(c for c in text if c.isprintable())[:SAID_LONGEST]}".strip()


def _bytes(said: bytes | str) -> bytes:
    return said if isinstance(said, bytes) else said.encode()


@contextmanager
def connected(settings: Settings, longest_s: float = ATTEMPT_S) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted and not signed in, cut when ``longest_s`` are over.

    Raises OSError or SMTPException, from what is done with it, too.
    """
    context = ssl.create_default_context()
    patience = min(settings.API_TIMEOUT, LONGEST_S)
    # SMTP_SECURITY=TLS: encrypted from the first byte; STARTTLS: before anything is said
    wrap = context if settings.SMTP_SECURITY == "TLS" else None
    connection = _Line(patience, settings.SMTP_HOST, wrap)
    limit = Timer(longest_s, connection.cut)
    limit.daemon = True
    limit.start()
    try:
        code, said = connection.connect(settings.SMTP_HOST, settings.SMTP_PORT)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        if wrap is None:
            connection.starttls(context=context)
        yield connection
        with suppress(OSError, smtplib.SMTPException):
            connection.quit()  # what was taken stays taken, however it says good-bye
    finally:
        limit.cancel()
        connection.end()


class _Line(smtplib.SMTP):
    """A connection that another thread can cut, whatever it is doing."""

    def __init__(self, timeout_s: float, host: str, wrap: ssl.SSLContext | None) -> None:
        super().__init__(timeout=timeout_s)
        self._host = host  # the name that the certificate is for
        self._wrap = wrap
        self._handle: socket.socket | None = None

    def _get_socket(self, host: str, port: int, timeout: Any) -> Any:
        raw = socket.create_connection((host, port), timeout)
        # a second handle on the connection: shutting it down ends every wait on the first
        self._handle = socket.socket(fileno=os.dup(raw.fileno()))
        return self._wrap.wrap_socket(raw, server_hostname=host) if self._wrap else raw

    def cut(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self.close()
        if self._handle is not None:
            self._handle.close()
