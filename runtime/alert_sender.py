"""Alerts from their outbox to the mail server: a few mails a minute, one digest of what is more.

A server that is down or refuses delays mails and loses none: the same mail is tried again, more and
more slowly. A password that is refused is tried seldom, so that no account is locked by it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta

from aggregates.errors import TradeBotError
from config.clock import Clock
from config.failpoints import reach
from config.paths import DataFolder
from config.settings import Settings
from runtime import alert_mails
from runtime.alert_outbox import AlertOutbox
from runtime.alert_records import Alert, Mail
from runtime.day_report import checkpoint_of, day_report
from runtime.log_secrets import VaultValues
from runtime.mail import MailNotSent, MailRefused, SignInRefused, can_send, deliver

MINUTE = timedelta(minutes=1)
BURST = 5  # mails in a minute; beyond, what waits is told in one
OLD = timedelta(minutes=10)  # alerts that waited longer come together
FILES_WAIT = timedelta(minutes=15)  # for the signed note of a session that is closed
WAITS = tuple(timedelta(seconds=s) for s in (30, 60, 120, 300, 600, 1800, 3600))
SIGN_IN_WAITS = tuple(timedelta(minutes=m) for m in (15, 60, 360))
LONGEST_WAIT = SIGN_IN_WAITS[-1]
Say = Callable[[str, str], None]


class AlertSender:
    """``say`` tells level and message to log and terminal."""

    def __init__(
        self, folder: DataFolder, clock: Clock, outbox: AlertOutbox, hidden: VaultValues, say: Say
    ) -> None:
        self._folder, self._clock, self._outbox = folder, clock, outbox
        self._hidden, self._say = hidden, say
        self._said = ""

    def send_one(self, settings: Settings) -> bool:
        """Try one mail; whether one was taken whole. Raises OutboxUnusable."""
        now = self._clock.now()
        if not (can_send(settings) and settings.SMTP_RECIPIENTS):
            return False  # no server, or nobody to tell: what waits goes on waiting
        sender = self._outbox.sender()
        if now < sender.not_before <= now + LONGEST_WAIT:
            return False
        mail = self._outbox.due(now, LONGEST_WAIT)
        if mail is None and self._make(settings, now):
            mail = self._outbox.due(now, LONGEST_WAIT)
        return mail is not None and self._try(mail, settings, now)

    # -- what stands in the next mail ----------------------------------------------------------

    def _make(self, settings: Settings, now: datetime) -> bool:
        """Put alerts that wait into one mail; False: there are none, or it is too early."""
        made_lately = self._outbox.made_since(now - MINUTE)
        if made_lately >= BURST:
            return False
        if self._make_report(settings, now):
            return True
        alerts = self._outbox.waiting(alert_mails.LISTED)
        if not alerts:
            return False
        old = len(alerts) > 1 and now - alerts[0].at > OLD
        together = alerts if old or len(alerts) + made_lately > BURST else alerts[:1]
        identity, made = settings.identity, alert_mails.made_at(now)
        if len(together) == 1:
            subject, text = alert_mails.single(together[0], identity)
        else:
            subject, text = alert_mails.digest(together, identity, settings.TIMEZONE)
        self._outbox.make(together, made, subject, text)
        return True

    def _make_report(self, settings: Settings, now: datetime) -> bool:
        """The report of a day whose signed note is there, or does not come."""
        for alert in self._outbox.waiting(1, days=True):
            attached = checkpoint_of(self._folder, alert.position)
            if not attached[0] and now - alert.at < FILES_WAIT:
                continue
            text = self._hidden.now().hide(self._report(alert, attached[0]))
            subject = alert_mails.subject(settings.identity, alert.subject)
            text = f"{alert.subject}\n\n{text}\n{alert.text}{alert_mails.footer(settings.identity)}"
            self._outbox.make([alert], alert_mails.made_at(now), subject, text, attached)
            return True
        return False

    def _report(self, alert: Alert, attached: str) -> str:
        day = date.fromisoformat(alert.key.removeprefix("day:"))
        try:
            text = day_report(self._folder, day, alert.position)
        except TradeBotError as e:
            text = f"The books could not be read for this report: {e}\nSee the page of the day.\n"
        if attached:
            return f"{text}\nThe signed checkpoint is attached. Keep it away from the bot.\n"
        return f"{text}\nNO signed checkpoint was written for this session: see main_bot.log.\n"

    # -- to the server -------------------------------------------------------------------------

    def _try(self, mail: Mail, settings: Settings, now: datetime) -> bool:
        to = [each for each in settings.SMTP_RECIPIENTS if each not in mail.taken_for]
        if not to:  # who it was still for has gone from the settings
            self._outbox.taken(mail, (), now, whole=True)
            return True
        try:
            done = deliver(settings, alert_mails.message_of(mail, settings), to)
        except MailRefused as e:
            self._outbox.refused(mail, self._words(e), now, now + _wait(WAITS[1:], mail.tries))
            self._tell(f"{self._words(e)} The mail is tried again, others go on.")
            return False
        except MailNotSent as e:
            self._put_off(e, now)
            return False
        reach("alerts.sent")
        whole = not done.refused
        self._outbox.taken(mail, done.taken, now, whole=whole)
        if not whole:
            said = "; ".join(f"not taken for {a}: {why}" for a, why in done.refused.items())
            said = self._hidden.now().hide(f"{said}.")
            self._outbox.refused(mail, said, now, now + _wait(WAITS[1:], mail.tries))
        self._tell("" if whole else said)
        return whole

    def _put_off(self, e: MailNotSent, now: datetime) -> None:
        """The server cannot be used: everything waits. A refused sign-in is repeated seldom."""
        waits = SIGN_IN_WAITS if isinstance(e, SignInRefused) else WAITS
        self._outbox.unreachable(
            self._words(e), now, now + _wait(waits, self._outbox.sender().failures)
        )
        more = " It is tried again seldom, until the settings change." * (waits is SIGN_IN_WAITS)
        self._tell(f"{self._words(e)}{more} Alerts wait and are not lost; trading goes on.")

    def _words(self, e: MailNotSent) -> str:
        return self._hidden.now().hide(str(e))

    def _tell(self, said: str) -> None:
        """Once when it begins, and once when it is over."""
        if said == self._said:
            return
        if said or self._said:
            level = "ERROR" if said else "INFO"
            with suppress(OSError):
                self._say(level, said or "Alerts are mailed again.")
        self._said = said


def _wait(waits: tuple[timedelta, ...], failures: int) -> timedelta:
    return waits[min(failures, len(waits) - 1)]
