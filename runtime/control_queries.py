"""What was asked of the bot and what came of it; the bot's state; books against broker."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

from aggregates import reconciliation as books_and_broker
from aggregates.control import (
    STREAM,
    Control,
    ControlAnswered,
    ControlRequested,
    DefenseSwitched,
    Killed,
    KillReset,
    KillStarted,
    KillStepDone,
)
from config.paths import DataFolder
from eventstore.envelope import Envelope
from eventstore.feed import Feed
from projections.ledger_records import FOREVER, NOW, AsOf
from runtime.bot_state import (
    ANALYZING,
    CLOSING,
    HOLDINGS,
    IDLE,
    KILLED,
    MONITORING,
    STOPPED,
    TRADING,
)
from runtime.live_records import Agreement, Asked, ControlView, DefenseView, Kill, Latched, Step

UNBLOCKED = (IDLE, ANALYZING, TRADING, MONITORING, HOLDINGS)  # a stop is said instead of these


def control_view(feed: Feed, as_of: AsOf = NOW) -> ControlView:
    """What was asked of the bot and what came of it, as of the clock of knowing."""
    control, kill, defense = Control(STREAM), None, None
    waiting: dict[str, Asked] = {}
    for row in _until(feed.stream(STREAM), as_of):
        event = feed.event(row)
        control.fold(event)
        match event:
            case ControlRequested():
                waiting[event.action] = _asked(row, event)
            case ControlAnswered():
                waiting.pop(event.action, None)
            case KillStarted():
                asked = waiting.get("kill") or _asked(row, event)  # by whom, where that is known
                waiting.clear()
                kill = Kill(started=asked, steps=(), latched=None)
            case KillStepDone() if kill:
                kill = Kill(
                    started=kill.started, steps=(*kill.steps, _step(row, event)), latched=None
                )
            case Killed() if kill:
                end = Latched(
                    position=row.position, at=event.occurred_at, flat=event.flat, left=event.left
                )
                kill = Kill(started=kill.started, steps=kill.steps, latched=end)
            case KillReset():
                waiting.clear()
                kill = None
            case DefenseSwitched():
                defense = _defense(row, event)
    return ControlView(
        blocked=control.entries_blocked,
        stopped=control.stopped,
        killing=control.killing,
        killed=control.killed,
        waiting=tuple(waiting.values()),
        kill=kill,
        defense=defense if control.defense else None,
    )


def _until(rows: Sequence[Envelope], as_of: AsOf) -> list[Envelope]:
    last = FOREVER if as_of.position is None else as_of.position
    return [row for row in rows if row.position <= last]


def _asked(row: Envelope, event: ControlRequested | KillStarted) -> Asked:
    return Asked(
        position=row.position,
        at=event.occurred_at,
        actor=row.actor,
        action=event.action if isinstance(event, ControlRequested) else "kill",
        source=event.source,
        reason=event.reason,
    )


def _defense(row: Envelope, event: DefenseSwitched) -> DefenseView:
    return DefenseView(
        position=row.position, at=event.occurred_at, actor=row.actor, reason=event.reason
    )


def _step(row: Envelope, event: KillStepDone) -> Step:
    return Step(
        position=row.position,
        at=event.occurred_at,
        step=event.step,
        detail=event.detail,
        left=event.left,
    )


def bot_state(feed: Feed, folder: DataFolder, otherwise: str) -> str:
    """The bot's state in a word, for the head of every page.

    A latched kill and a stop are what the events say, whatever runs; else it is what main last
    wrote, and ``otherwise`` where there is no main (a demo).
    """
    control = Control(STREAM)
    for row in feed.stream(STREAM):
        control.fold(feed.event(row))
    told = ""
    with suppress(OSError, UnicodeDecodeError):
        told = folder.bot_state.read_text(encoding="utf-8").strip()[:30]
    state = told or otherwise
    if control.killed:
        return KILLED
    if control.killing:
        return CLOSING
    return STOPPED if control.stopped and state in UNBLOCKED else state


def agreement(feed: Feed, as_of: AsOf = NOW, days: Sequence[date] = ()) -> Agreement:
    """Books against broker, as of the clock of knowing. ``days`` are sessions, the newest first,
    among which the last comparison is looked for."""
    line = books_and_broker.Reconciliation()
    for row in _until(feed.stream(books_and_broker.STREAM), as_of):
        line.fold(feed.event(row))
    known = next(filter(None, (_compared(feed, day, as_of) for day in days)), None)
    return Agreement(
        at=known.occurred_at if known else None,
        occasion=known.occasion if known else "",
        open=line.open,
        not_known=line.not_known,
        blocked=line.entries_blocked,
    )


def _compared(feed: Feed, day: date, as_of: AsOf) -> books_and_broker.Compared | None:
    rows = _until(feed.stream(books_and_broker.comparisons_stream(day.isoformat())), as_of)
    event = feed.event(rows[-1]) if rows else None
    return event if isinstance(event, books_and_broker.Compared) else None
