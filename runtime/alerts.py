"""Alerts by mail, in a thread of `tbot run`: followed, kept, sent, and told how they stand (M19).

Never in the process that trades, and nothing here is waited for: a mail server that hangs holds up
this thread alone. What main itself finds (a supervisor that died) is told to it and enqueued too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread

import msgspec

from aggregates.errors import TradeBotError
from config.clock import Clock
from config.errors import ConfigError
from config.paths import DataFolder
from config.settings import Settings
from runtime import logs
from runtime.alert_follower import AlertFollower
from runtime.alert_outbox import AlertOutbox
from runtime.alert_records import Alert
from runtime.alert_sender import AlertSender
from runtime.alert_status import AlertsStatus
from runtime.alert_words import table, when
from runtime.custody import Custody
from runtime.log_files import log_path
from runtime.mail import can_send
from runtime.settings_change import current_settings
from runtime.status import OLD_S, read_status, replace_quietly
from security.keyfile import KeyFileError

TICK_S = 1.0
NOTIFY = ("NOTIFY_ON_FILL", "NOTIFY_ON_EXIT", "NOTIFY_ON_FAILURE")
LOOK = timedelta(seconds=10)  # how often it is looked at what no event tells
TOLD_AGAIN = timedelta(seconds=30)
AFTER_A_FAULT = timedelta(seconds=30)
SILENT = timedelta(minutes=1)  # of the broker, while a session runs
NOT_CLOSED = timedelta(hours=4)  # after the close; the universe is rebuilt before a session ends,
REBUILT = timedelta(hours=11)  # and while it is, nothing is wrong for longer
LEAVE_S = 3.0  # for an attempt that is under way when all ends; it is made again by the next start
FAULTS = (TradeBotError, KeyFileError, ConfigError, OSError)
NUMBERS = re.compile(r"\d+(\.\d+)?")


class Alerts:
    """For one data folder. ``settings`` hold until those in force could be read."""

    def __init__(self, folder: DataFolder, settings: Settings, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._settings = settings
        self._told: SimpleQueue[tuple[datetime, str]] = SimpleQueue()
        self._outbox: AlertOutbox | None = None
        self._follower: AlertFollower | None = None
        self._sender: AlertSender | None = None
        self._looked_at: datetime | None = None
        self._fault = ""
        self._not_before: datetime | None = None
        self._state: AlertsStatus | None = None
        self._ending = Event()
        self._thread = Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is told up to now is on disk when this returns, unless a mail is under way."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(LEAVE_S)
        if self._thread.is_alive() and self._follower is not None:
            with suppress(*FAULTS), closing(AlertOutbox(self._folder.alerts_outbox)) as beside:
                self._take_told(beside, self._follower)

    def tell(self, text: str) -> None:
        """A failure that is no event. Never waits and never raises."""
        self._told.put((self._clock.now(), text))

    def _run(self) -> None:
        while not self._ending.wait(TICK_S):
            self.tick()
        with closing(self):
            self._carefully(self._enqueue)

    def tick(self) -> None:
        """Enqueue what is new, then try one mail. Never raises: it is tried again."""
        self._carefully(self._enqueue)
        self._carefully(self._send)
        self._carefully(self._tell_state)

    def close(self) -> None:
        for each in (self._follower, self._outbox):
            if each is not None:
                each.close()
        self._follower = self._outbox = self._sender = None

    def _carefully(self, step: Callable[[], None]) -> None:
        now = self._clock.now()
        if self._not_before is not None and now < self._not_before <= now + AFTER_A_FAULT:
            return
        try:
            step()
        except FAULTS as e:
            self.close()
            self._fail(str(e))
        except Exception as e:
            self.close()
            logs.log_error(self._folder, self._clock.now(), e, "Alerts could not go on.")
            self._fail(f"{type(e).__name__}; see error_tracebacks.log.")

    def _fail(self, why: str) -> None:
        if why != self._fault:
            self._log("ERROR", f"Alerts cannot be followed or mailed: {why} It is tried again.")
        self._fault, self._not_before = why, self._clock.now() + AFTER_A_FAULT

    def _log(self, level: str, message: str) -> None:
        logs.append_line(log_path(self._folder, "main_bot"), self._clock.now(), level, message)

    # -- what is new -----------------------------------------------------------------------------

    def _opened(self) -> tuple[AlertOutbox, AlertFollower, AlertSender]:
        if self._outbox is None:
            self._outbox = AlertOutbox(self._folder.alerts_outbox)
        if self._follower is None:
            self._follower = AlertFollower(self._folder, self._settings, self._clock, self._outbox)
        if self._sender is None:
            self._sender = AlertSender(
                self._folder, self._clock, self._outbox, self._follower.hidden, self._log
            )
        return self._outbox, self._follower, self._sender

    def _enqueue(self) -> None:
        outbox, follower, _ = self._opened()
        self._take_told(outbox, follower)
        while follower.follow():
            pass
        self._settings = follower.settings
        now = self._clock.now()
        if self._looked_at is None or now - self._looked_at >= LOOK:
            self._looked_at = now
            self._look_around(now, outbox)
        self._fault = ""

    def _take_told(self, outbox: AlertOutbox, follower: AlertFollower) -> None:
        while True:
            try:
                at, text = self._told.get_nowait()
            except Empty:
                return
            # the same within an hour, whatever numbers are in it, is one alert
            shape = NUMBERS.sub("#", text)
            self._fact(outbox, follower, f"main:{at:%Y-%m-%dT%H}:{_digest(shape)}", at, text)

    def _look_around(self, now: datetime, outbox: AlertOutbox) -> None:
        """What no event tells, and only time does."""
        _, follower, _ = self._opened()
        known, told = outbox.followed(), read_status(self._folder)
        if told is None or abs((now - told.at).total_seconds()) > OLD_S:
            told = None
        patience = REBUILT if told and told.phase == "universe" else NOT_CLOSED
        if known and known.session and known.closes and now - known.closes > patience:
            said = f"The session {known.session} is not closed, {patience} after its end."
            self._fact(outbox, follower, f"open:{known.session}", now, said)
        if told and told.session and told.broker and not told.broker.reachable:
            since = told.broker.unreachable_since or now
            if now - since >= SILENT:
                said = f"The broker {told.broker.name} has not answered since {since:%H:%M:%S} UTC."
                self._fact(outbox, follower, f"broker:{since}", now, said)
        trouble = logs.trouble() or (told.logs if told else "")
        if trouble:
            said = f"The logs have gaps: {trouble}."
            self._fact(outbox, follower, f"logs:{now.date()}:{_digest(trouble)}", now, said)

    def _fact(
        self, outbox: AlertOutbox, follower: AlertFollower, key: str, at: datetime, text: str
    ) -> None:
        # NOTIFY_ON_FAILURE=false: it stands on the page and in the log only
        if follower.is_on("failure"):
            rows = table([("What", text), ("Time", when(at, follower.settings.TIMEZONE))])
            alert = Alert(key, "failure", at, 0, text.splitlines()[0][:120], rows)
            outbox.add(follower.cleaned(alert))

    # -- out, and how it stands ------------------------------------------------------------------

    def _send(self) -> None:
        _, follower, sender = self._opened()
        if not follower.stale:
            sender.send_one(follower.settings)

    def _tell_state(self) -> None:
        outbox, follower, _ = self._opened()
        now = self._clock.now()
        state = _status_of(outbox, follower.settings, now, self._fault)
        told = self._state
        if (
            told is None
            or now - told.at >= TOLD_AGAIN
            or state != msgspec.structs.replace(told, at=now)
        ):
            replace_quietly(self._folder.alerts, msgspec.json.encode(state) + b"\n")
            self._state = state


def _status_of(outbox: AlertOutbox, settings: Settings, now: datetime, fault: str) -> AlertsStatus:
    counts, sender = outbox.counts(), outbox.sender()
    failing = sender.failures > 0 or outbox.refused_mails() > 0
    return AlertsStatus(
        at=now,
        on=tuple(name for name in NOTIFY if getattr(settings, name)),
        # SMTP_HOST, SMTP_SENDER or SMTP_RECIPIENTS empty: nobody can be mailed
        recipients=len(settings.SMTP_RECIPIENTS) if can_send(settings) else 0,
        sent=counts.get("alerts", 0),
        mails=counts.get("mails", 0),
        waiting=outbox.unsent(),
        off=sum(number for name, number in counts.items() if name.startswith("off ")),
        last_sent=outbox.last_sent(),
        error=sender.said,
        error_at=sender.said_at,
        failing=failing,
        next_try=sender.not_before if sender.failures else None,
        fault=fault,
    )


def _digest(text: str) -> str:
    """Names a text that may hold what must not be kept."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def last_words(folder: DataFolder, clock: Clock, text: str) -> None:
    """Why the bot does not run, from a process that ends: enqueued, and tried once at most an hour
    for the same. Never raises; without settings that can be read nobody can be mailed."""
    with suppress(*FAULTS):
        if folder.alerts_outbox.exists():
            with closing(Custody.open(folder, clock)) as custody:
                settings = current_settings(custody)
            with closing(Alerts(folder, settings, clock)) as alerts:
                alerts.tell(text)
                alerts.tick()
