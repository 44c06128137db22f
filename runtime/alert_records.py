"""What an outbox of alerts holds: alerts, the mails that they go out with, and how far it is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

Kind = Literal["fill", "exit", "failure", "day"]


class Alert(NamedTuple):
    """One thing to tell. ``key`` names it: told again under the same key it is the same alert.

    ``position`` is that of the event, 0 where there is none; ``times`` how often it was told.
    """

    key: str
    kind: Kind
    at: datetime
    position: int
    subject: str
    text: str
    times: int = 1
    alert_id: int = 0


class Mail(NamedTuple):
    """Fixed from its first try on. ``taken_for``: the addresses that the server took it for."""

    mail_id: int
    made: datetime
    subject: str
    text: str
    attached_as: str
    attached: bytes
    taken_for: tuple[str, ...]
    tries: int


class Followed(NamedTuple):
    """Up to where the history was followed; ``session`` is one that is open, else empty."""

    position: int
    hash: bytes
    session: str = ""
    closes: datetime | None = None


class Sender(NamedTuple):
    """How the mail server was last met. ``failures`` in a row; ``said`` is the last one of all."""

    failures: int
    not_before: datetime
    said: str
    said_at: datetime | None
