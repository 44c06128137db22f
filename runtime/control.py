"""Start, stop and kill on their way to the bot: an event, and a flag as the call to look (M21).

A page records the request and lays the flag; whoever trades reads and removes flags within its
waits, and answers with events. A flag that somebody lays by hand counts as a request, too. The
event is the truth: a request without its flag is taken up all the same.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import get_args

from aggregates.configuration import STREAM as SETTINGS
from aggregates.configuration import Configuration
from aggregates.control import STREAM, Action, AnswerControl, Control, RequestControl, Source
from aggregates.errors import DomainError
from config.clock import Clock, local_date
from config.paths import DataFolder
from eventstore.application import Store
from runtime.custody import Custody
from runtime.dispatch import Dispatcher, Recorded
from runtime.followed import Followed
from runtime.guard import KillOrder
from runtime.json_log import append_line
from runtime.status import replace_quietly

ACTIONS: tuple[Action, ...] = get_args(Action)
REASON_LONGEST = 200  # characters of a flag's content
EFFECTS = {
    "start": "Entries are allowed again.",
    "stop": "Nothing more is bought for trading; exits and stops go on.",
}


def ask(
    custody: Custody,
    action: Action,
    *,
    source: Source = "page",
    reason: str,
    actor: str,
    command_id: str,
) -> Recorded:
    """Record what somebody asks for, and lay its flag. Entries are blocked from the event on.

    Raises DomainError, such as for a start after a kill; then there is no flag either.
    """
    now = custody.clock.now()
    asked = RequestControl(
        at=now,
        effective_date=_today(custody.store, now),
        action=action,
        source=source,
        reason=reason,
    )
    done = custody.record(asked, actor=actor, command_id=command_id, correlation=STREAM)
    replace_quietly(custody.folder.flag(action), reason.encode() + b"\n")
    return done


class Flags:
    """What is asked of the bot, for the one who trades: looked at, taken up, answered."""

    def __init__(
        self, folder: DataFolder, store: Store, dispatch: Dispatcher, clock: Clock
    ) -> None:
        self._folder, self._store, self._do, self._clock = folder, store, dispatch, clock
        self._control = Followed(store, Control, STREAM)

    @property
    def control(self) -> Control:
        """To be read only."""
        return self._control.now

    def look(self) -> KillOrder | None:
        """Take up every flag, answer starts and stops; a kill is returned, to be carried out.

        So is one that was under way when its process ended.
        """
        for action in ACTIONS:
            if self._folder.flag(action).exists():
                self._take_up(action)
        asked = dict(self.control.asked)
        if request := asked.get("kill"):
            return KillOrder(request.source, request.reason)
        if self.control.killing:
            return KillOrder("watchdog", "a kill that was interrupted goes on")
        # of a stop and a start that were both asked for, the later one holds
        for event in sorted(asked.values(), key=lambda request: request.occurred_at):
            self._answer(event.action)
        return None

    def _take_up(self, action: Action) -> None:
        """Whose request is not recorded yet was laid by hand: it is recorded first."""
        flag, control = self._folder.flag(action), self.control
        if action not in control.asked:
            now = self._clock.now()
            request = RequestControl(
                at=now,
                effective_date=_today(self._store, now),
                action=action,
                source="flag",
                reason=self._words(action),
            )
            try:
                self._do(request, command_id=f"flag:{action}:{control.version}", correlation=STREAM)
            except DomainError as e:  # a start while the bot is killed
                append_line(self._folder.global_logs / "main_bot.log", now, "WARNING", str(e))
        flag.unlink(missing_ok=True)

    def _words(self, action: Action) -> str:
        """What the file says, if it says anything that can be shown."""
        text = ""
        with suppress(OSError, UnicodeDecodeError):
            text = self._folder.flag(action).read_bytes()[: REASON_LONGEST * 4].decode().strip()
        if not text or not text.isprintable():
            return f"the file control_{action}.flag was laid"
        return text[:REASON_LONGEST]

    def _answer(self, action: Action) -> None:
        now, control = self._clock.now(), self.control
        self._do(
            AnswerControl(
                at=now,
                effective_date=_today(self._store, now),
                action=action,
                effect=EFFECTS[action],
            ),
            command_id=f"answer:{action}:{control.version}",
            correlation=STREAM,
        )


def _today(store: Store, now: datetime) -> date:
    """The date in the entity's zone: the effective date of what is no trade."""
    zone = store.load(Configuration, SETTINGS).values["TIMEZONE"]
    return local_date(now, zone)
