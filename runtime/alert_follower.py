"""The history as alerts, each enqueued exactly once with how far it was followed (M19).

Runs beside the process that trades and only reads what that has committed: nothing waits for it.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta

from aggregates import configuration
from aggregates import session as sessions
from aggregates.base import Event
from config.clock import Clock, from_micros
from config.paths import DataFolder
from config.settings import Settings
from eventstore.envelope import Envelope
from eventstore.errors import UnknownEvent
from eventstore.feed import Feed
from runtime import alert_words
from runtime.alert_outbox import AlertOutbox
from runtime.alert_records import Alert, Followed, Kind
from runtime.alert_words import NOT_KNOWN
from runtime.custody import Custody
from runtime.keys import key_ring
from runtime.log_facts import FactsOf, NotYetKnown, ResultOnDisk
from runtime.log_secrets import VaultValues
from runtime.settings_change import current_settings

BATCH = 500  # events at a time
RESULT_WAIT = timedelta(seconds=30)  # for a view that another process writes
CONFIGURATION = tuple(
    e.topic for e in (configuration.SettingsAdopted, configuration.SettingsChanged)
)
SESSIONS = (sessions.SessionOpened.topic, sessions.SessionClosed.topic)
TOPICS = tuple(dict.fromkeys((*alert_words.TOPICS, *CONFIGURATION, *SESSIONS)))


class AlertFollower:
    """``settings`` are those in force as far as the history was followed."""

    def __init__(
        self, folder: DataFolder, settings: Settings, clock: Clock, outbox: AlertOutbox
    ) -> None:
        self._folder, self._clock, self._outbox = folder, clock, outbox
        self.settings = settings
        self.hidden = VaultValues(folder)
        self._feed = Feed(folder.events, key_ring(folder))
        self._results = ResultOnDisk(folder, settings.CURRENCY_CODE)
        self._facts = FactsOf(self._feed, self._result)
        self._waited_for: tuple[int, datetime] = (0, clock.now())
        self._reached: Followed | None = None
        self.stale = True  # the settings may be others than those that were given

    def close(self) -> None:
        self._feed.close()
        self._results.close()

    def follow(self) -> bool:
        """Enqueue what up to 500 further events lead to; whether there is more.

        Raises TradeBotError, KeyFileError, ConfigError; what was enqueued stays.
        """
        if self.stale:
            self._read_settings()
        known, head = self._known(), self._feed.head()
        if head.position == known.position:
            return False
        rows = self._feed.page(
            after=known.position, before=head.position + 1, topics=TOPICS, limit=BATCH
        )
        last = known._replace(position=head.position, hash=head.hash)
        if len(rows) == BATCH:
            last = _at(last, rows[-1])
        alerts: list[Alert] = []
        done = known
        for row in rows:
            try:
                alerts += self._alerts(row)
            except NotYetKnown:
                last = done
                break
            last = self._session(row, last)
            done = _at(last, row)
            if row.topic in CONFIGURATION:
                # what comes after it is judged by the settings that hold from here on
                last, self.stale = done, True
                break
        self._keep(alerts, known, last)
        if self.stale and self._moves_mail(rows, last.position):
            self._outbox.try_again()
        return known.position < last.position < head.position

    def _keep(self, alerts: list[Alert], known: Followed, last: Followed) -> None:
        """On disk only where something was found: the way up to there is gone again after a kill,
        and finds the same. So the disk of who trades is seldom asked."""
        on = [self.cleaned(alert) for alert in alerts if self.is_on(alert.kind)]
        off = Counter[str](alert.kind for alert in alerts if not self.is_on(alert.kind))
        self._reached = last
        if on or off or self.stale or last.session != known.session:
            self._outbox.enqueue(on, last, off)

    def _moves_mail(self, rows: list[Envelope], position: int) -> bool:
        """Whether the settings changed there are about the mail server."""
        row = next((row for row in rows if row.position == position), None)
        event = self._feed.event(row) if row else None
        if isinstance(event, configuration.SettingsChanged):
            return any(change.key.startswith("SMTP_") for change in event.changes)
        return True

    def is_on(self, kind: Kind) -> bool:
        s = self.settings
        # NOTIFY_ON_FILL=false: entries that are filled stand on the page and in the log only
        # NOTIFY_ON_EXIT=false: so do positions that are closed
        # NOTIFY_ON_FAILURE=false: so do failures; they are told nowhere else
        on = {"fill": s.NOTIFY_ON_FILL, "exit": s.NOTIFY_ON_EXIT, "failure": s.NOTIFY_ON_FAILURE}
        # the report of the day goes to whoever is mailed anything at all
        return on.get(kind, any(on.values()))

    def cleaned(self, alert: Alert) -> Alert:
        """Without a secret of the vault, whoever has written it into a reason."""
        known = self.hidden.now()
        return alert._replace(subject=known.hide(alert.subject), text=known.hide(alert.text))

    def _known(self) -> Followed:
        known = self._reached or self._outbox.followed()
        if known is not None and self._is_ours(known):
            return known
        # a new file, or the folder holds another history: what was before is not mailed
        head = self._feed.head()
        begun = Followed(head.position, head.hash)
        self._outbox.enqueue([], begun, {})
        self._reached = begun
        return begun

    def _is_ours(self, known: Followed) -> bool:
        row = self._feed.at(known.position)
        return not known.position or (row is not None and row.hash == known.hash)

    def _alerts(self, row: Envelope) -> list[Alert]:
        try:
            event = self._feed.event(row)
            words = alert_words.Words(self._feed, self.settings.TIMEZONE)
            return list(words.of(row, event, self._facts.at(row)))
        except UnknownEvent as e:  # a newer version's: said, and gone on
            at = from_micros(row.recorded_at)
            said = "An event that this version cannot read"
            return [Alert(f"event:{row.position}", "failure", at, row.position, said, f"{e}\n")]

    def _session(self, row: Envelope, last: Followed) -> Followed:
        if row.topic not in SESSIONS:
            return last
        event: Event = self._feed.event(row)
        if isinstance(event, sessions.SessionOpened):
            return last._replace(session=event.label, closes=event.closes_at)
        return last._replace(session="", closes=None)

    def _result(self, position: int) -> str | None:
        """Of a round trip; after a while without a view that knows it, what can be said."""
        found = self._results(position)
        if found is not None:
            return found
        now = self._clock.now()
        if self._waited_for[0] != position:
            self._waited_for = (position, now)
        return NOT_KNOWN if now - self._waited_for[1] >= RESULT_WAIT else None

    def _read_settings(self) -> None:
        with closing(Custody.open(self._folder, self._clock)) as custody:
            self.settings = current_settings(custody)
        self.stale = False


def _at(followed: Followed, row: Envelope) -> Followed:
    return followed._replace(position=row.position, hash=row.hash)
