"""What stands in a mail: one alert, or all that wait in one digest. Plain text, no secret."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from config.settings import Settings
from runtime.alert_records import Alert, Mail
from runtime.alert_words import when

LISTED = 200  # alerts in one digest; more go into the next one
SUBJECT_LONGEST = 150  # characters
WORDS = {"fill": "bought", "exit": "closed", "failure": "FAILURE", "day": "report"}


def single(alert: Alert, identity: str) -> tuple[str, str]:
    """Subject and text of a mail about one thing."""
    more = f"\nTold {alert.times} times since then.\n" if alert.times > 1 else ""
    text = f"{alert.subject}\n\n{alert.text}{more}{footer(identity)}"
    return subject(identity, _urgent(alert)), text


def digest(alerts: Sequence[Alert], identity: str, zone: str) -> tuple[str, str]:
    """The same about many: failures are counted in the subject and stand first."""
    failures = sum(alert.kind == "failure" for alert in alerts)
    said = f"{len(alerts)} alerts" + _counted(failures)
    lines = [f"{said}, from {when(alerts[0].at, zone)}", f"to {when(alerts[-1].at, zone)}.", ""]
    for title, of in (("Failures", ("failure",)), ("Fills and exits", ("fill", "exit"))):
        found = [alert for alert in alerts if alert.kind in of]
        if found:
            lines += [title, "-" * len(title), *(_line(alert) for alert in found), ""]
    lines += ["In full", "-------"]
    lines += [f"{alert.subject}\n{_indented(alert.text)}" for alert in alerts]
    return subject(identity, said), "\n".join(lines) + footer(identity)


def _counted(failures: int) -> str:
    return f", {failures} FAILURE{'S' * (failures > 1)}" if failures else ""


def subject(identity: str, said: str) -> str:
    """One line, whatever it is made of: a header ends at a line break."""
    line = " ".join(f"[{identity}] {said}".split())
    return "".join(c for c in line if c.isprintable())[:SUBJECT_LONGEST]


def footer(identity: str) -> str:
    return (
        f"\n-- \nTradeBot {identity}. Nobody reads answers to this mail. Its pages show more;\n"
        "NOTIFY_ON_FILL, NOTIFY_ON_EXIT and NOTIFY_ON_FAILURE say what is mailed.\n"
    )


def message_of(mail: Mail, settings: Settings) -> EmailMessage:
    """The mail as it goes out, the same with every try: id and date are those of its making."""
    message = EmailMessage()
    sender = settings.SMTP_SENDER
    message["From"] = Address(display_name=settings.identity, addr_spec=sender)
    message["To"] = ", ".join(settings.SMTP_RECIPIENTS)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.made)
    message["Message-ID"] = message_id(mail, settings.identity)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(mail.text, cte="quoted-printable")
    if mail.attached_as:
        # as bytes: what is signed must arrive as it was signed
        message.add_attachment(
            mail.attached, maintype="application", subtype="octet-stream", filename=mail.attached_as
        )
    return message


def message_id(mail: Mail, identity: str) -> str:
    """Follows from the mail alone: one that is sent twice is shown once."""
    about = f"{identity}\n{mail.mail_id}\n{mail.made.isoformat()}\n{mail.subject}"
    return f"<{hashlib.sha256(about.encode()).hexdigest()[:32]}@tradebot.invalid>"


def _urgent(alert: Alert) -> str:
    return f"FAILURE: {alert.subject}" if alert.kind == "failure" else alert.subject


def _line(alert: Alert) -> str:
    times = f" (told {alert.times} times)" if alert.times > 1 else ""
    return f"{alert.at:%Y-%m-%d %H:%M:%S} UTC  {WORDS[alert.kind]:7}  {alert.subject}{times}"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def made_at(moment: datetime) -> datetime:
    """A mail's date has whole seconds."""
    return moment.replace(microsecond=0)
