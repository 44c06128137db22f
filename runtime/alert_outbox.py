"""Alerts on their way to people: a file of its own, so that a mail server that is down loses none.

What an event leads to is written in one transaction with how far the history was followed: each
alert exactly once. Alerts are then put into mails, one or many in each; a mail's content and its
Message-ID are fixed before it is first sent, so a mail that is sent twice is the same one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from config.clock import from_micros, to_micros
from config.failpoints import reach
from runtime.alert_file import AlertFile, OutboxUnusable
from runtime.alert_records import Alert, Followed, Mail, Sender

__all__ = ["AlertOutbox", "OutboxUnusable"]

KEPT_FOR = timedelta(days=30)  # what was sent
_NEVER = 0


class AlertOutbox(AlertFile):
    """Every call that changes something is one transaction."""

    # -- from the history ----------------------------------------------------------------------

    def followed(self) -> Followed | None:
        """None in a new file: nothing was followed yet."""
        row = self._one("SELECT position, hash, session, closes_us FROM followed")
        if row is None:
            return None
        position, head, session, closes = row
        return Followed(position, head, session, from_micros(closes) if closes else None)

    def enqueue(
        self, alerts: Sequence[Alert], followed: Followed, switched_off: Mapping[str, int]
    ) -> None:
        """What events led to, and how far they were followed. ``switched_off`` counts, by kind,
        what the settings say not to send."""
        closes = to_micros(followed.closes) if followed.closes else _NEVER
        with self._transaction() as c:
            self._add(c, alerts)
            c.execute(
                "INSERT OR REPLACE INTO followed VALUES (1, ?, ?, ?, ?)",
                (followed.position, followed.hash, followed.session, closes),
            )
            for kind, number in switched_off.items():
                self._count(c, f"off {kind}", number)
            reach("alerts.written")
        reach("alerts.enqueued")

    def add(self, alert: Alert) -> None:
        """What no event tells. Told again before it was put into a mail, it is counted."""
        with self._transaction() as c:
            self._add(c, [alert])

    def _add(self, c: sqlite3.Connection, alerts: Sequence[Alert]) -> None:
        c.executemany(
            "INSERT INTO alerts (key, kind, at_us, position, subject, text) VALUES"
            " (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET times = times + 1",
            [(a.key, a.kind, to_micros(a.at), a.position, a.subject, a.text) for a in alerts],
        )

    # -- into mails ----------------------------------------------------------------------------

    def waiting(self, limit: int, *, days: bool = False) -> list[Alert]:
        """Alerts that are in no mail yet, the oldest first; ``days``: reports of days alone."""
        return [
            Alert(key, kind, from_micros(at), position, subject, text, times, number)
            for number, key, kind, at, position, subject, text, times in self._all(
                "SELECT alert_id, key, kind, at_us, position, subject, text, times FROM alerts"
                " WHERE mail_id IS NULL AND (kind = 'day') = ? ORDER BY alert_id LIMIT ?",
                (days, limit),
            )
        ]

    def made_since(self, moment: datetime) -> int:
        return int(
            self._number("SELECT count(*) FROM mails WHERE made_us > ?", (to_micros(moment),))
        )

    def make(
        self,
        alerts: Sequence[Alert],
        made: datetime,
        subject: str,
        text: str,
        attached: tuple[str, bytes] = ("", b""),
    ) -> None:
        """Put alerts into one mail, for good."""
        with self._transaction() as c:
            mail_id = c.execute(
                "INSERT INTO mails (made_us, subject, text, attached_as, attached, taken_for)"
                " VALUES (?, ?, ?, ?, ?, '[]')",
                (to_micros(made), subject, text, *attached),
            ).lastrowid
            c.executemany(
                "UPDATE alerts SET mail_id = ? WHERE alert_id = ?",
                [(mail_id, alert.alert_id) for alert in alerts],
            )
        reach("alerts.mail_made")

    def due(self, now: datetime, longest_wait: timedelta) -> Mail | None:
        """The mail to try next: those that were never refused first. A clock that went back keeps
        none for longer than ``longest_wait``."""
        row = self._one(
            "SELECT mail_id, made_us, subject, text, attached_as, attached, taken_for, tries FROM"
            " mails WHERE sent_us = 0 AND (not_before_us <= ? OR not_before_us > ?)"
            " ORDER BY tries, mail_id LIMIT 1",
            (to_micros(now), to_micros(now + longest_wait)),
        )
        if row is None:
            return None
        number, made, subject, text, name, content, taken_for, tries = row
        taken = msgspec.json.decode(taken_for, type=tuple[str, ...])
        return Mail(number, from_micros(made), subject, text, name, content, taken, tries)

    # -- what became of them -------------------------------------------------------------------

    def taken(self, mail: Mail, by: Sequence[str], now: datetime, *, whole: bool) -> None:
        """The server took the mail for these addresses; ``whole``: for all that it was for."""
        known = msgspec.json.encode((*mail.taken_for, *by)).decode()
        with self._transaction() as c:
            c.execute(
                "UPDATE mails SET taken_for = ?, sent_us = ? WHERE mail_id = ?",
                (known, to_micros(now) if whole else _NEVER, mail.mail_id),
            )
            c.execute("UPDATE sender SET failures = 0, not_before_us = 0")
            if whole:
                self._count(c, "mails", 1)
                found = c.execute(
                    "SELECT count(*) FROM alerts WHERE mail_id = ?", (mail.mail_id,)
                ).fetchone()
                self._count(c, "alerts", found[0])
                self._drop_old(c, now)

    def refused(self, mail: Mail, said: str, now: datetime, again: datetime) -> None:
        """The server answers and does not take this mail: tried again later, behind others."""
        with self._transaction() as c:
            c.execute(
                "UPDATE mails SET tries = tries + 1, not_before_us = ? WHERE mail_id = ?",
                (to_micros(again), mail.mail_id),
            )
            c.execute(
                "UPDATE sender SET failures = 0, not_before_us = 0, said = ?, said_us = ?",
                (said, to_micros(now)),
            )

    def unreachable(self, said: str, now: datetime, again: datetime) -> None:
        """The server does not answer, or not to us: nothing is tried before ``again``."""
        with self._transaction() as c:
            c.execute(
                "UPDATE sender SET failures = failures + 1, not_before_us = ?, said = ?,"
                " said_us = ?",
                (to_micros(again), said, to_micros(now)),
            )

    def try_again(self) -> None:
        """Other settings: whatever waited for its time is tried at once."""
        with self._transaction() as c:
            c.execute("UPDATE sender SET failures = 0, not_before_us = 0")
            c.execute("UPDATE mails SET not_before_us = 0 WHERE sent_us = 0")

    def sender(self) -> Sender:
        row = self._one("SELECT failures, not_before_us, said, said_us FROM sender")
        failures, not_before, said, said_us = row or (0, 0, "", 0)
        said_at = from_micros(said_us) if said_us else None
        return Sender(failures, from_micros(not_before), said, said_at)

    def counts(self) -> dict[str, int]:
        """``mails`` and ``alerts`` that were sent; ``off KIND`` what is switched off."""
        return dict(self._all("SELECT name, number FROM counts ORDER BY name"))

    def unsent(self) -> int:
        """Alerts that nobody has got yet, whether they are in a mail or not."""
        return int(
            self._number(
                "SELECT count(*) FROM alerts LEFT JOIN mails USING (mail_id)"
                " WHERE mail_id IS NULL OR sent_us = 0"
            )
        )

    def refused_mails(self) -> int:
        """Mails that the server has refused and that are tried again."""
        return int(self._number("SELECT count(*) FROM mails WHERE sent_us = 0 AND tries > 0"))

    def last_sent(self) -> datetime | None:
        found = int(self._number("SELECT coalesce(max(sent_us), 0) FROM mails"))
        return from_micros(found) if found else None

    def _count(self, c: sqlite3.Connection, name: str, number: int) -> None:
        c.execute(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
            " SET number = number + excluded.number",
            (name, number),
        )

    def _drop_old(self, c: sqlite3.Connection, now: datetime) -> None:
        old = "SELECT mail_id FROM mails WHERE sent_us > 0 AND sent_us < ?"
        before = (to_micros(now - KEPT_FOR),)
        c.execute(f"DELETE FROM alerts WHERE mail_id IN ({old})", before)
        c.execute("DELETE FROM mails WHERE sent_us > 0 AND sent_us < ?", before)
