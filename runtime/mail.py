"""Mail to people: one text to one address, sent at once or not at all."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage

from aggregates.errors import TradeBotError
from config.settings import Settings

LONGEST_S = 10  # of a connection, whatever API_TIMEOUT says: a person is waiting

Send = Callable[[str, str, str], None]


class MailNotSent(TradeBotError):
    """The mail server did not take it. The text quotes neither the mail nor the password."""


def can_send(settings: Settings) -> bool:
    # SMTP_HOST or SMTP_SENDER empty: no mail is sent; links are shown once to the admin instead.
    return bool(settings.SMTP_HOST and settings.SMTP_SENDER)


def send(settings: Settings, to: str, subject: str, text: str) -> None:
    """Raises MailNotSent."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings.SMTP_SENDER, to, subject
    message.set_content(text)
    server = f"{settings.SMTP_HOST}:{settings.SMTP_PORT}"
    try:
        with connected(settings) as connection:
            if settings.SMTP_USERNAME:
                connection.login(settings.SMTP_USERNAME, settings.SMTP_PASSWORD.reveal())
            connection.send_message(message)
            return
    except smtplib.SMTPAuthenticationError:
        why = "it refuses the user name or the password"
    except smtplib.SMTPRecipientsRefused:
        why = f"it does not take mail for {to}"
    except (OSError, smtplib.SMTPException) as e:
        why = f"{type(e).__name__}: {getattr(e, 'strerror', None) or 'no use of it'}"
    # raised outside the handlers: what they hold may quote the mail
    raise MailNotSent(f"The mail server {server} did not take the mail ({why}).")


def connected(settings: Settings) -> smtplib.SMTP:
    """A connection that is encrypted and not signed in. Raises OSError or SMTPException."""
    context, patience = ssl.create_default_context(), min(settings.API_TIMEOUT, LONGEST_S)
    host, port = settings.SMTP_HOST, settings.SMTP_PORT
    if settings.SMTP_SECURITY == "TLS":
        return smtplib.SMTP_SSL(host, port, timeout=patience, context=context)
    connection = smtplib.SMTP(host, port, timeout=patience)
    try:
        connection.starttls(context=context)
    except BaseException:
        connection.close()
        raise
    return connection
