"""What is asked of the bot while it runs: start, stop, kill, reset, and what came of it (M14, M21).

A stop blocks entries until a start lifts it. A kill goes on to the end: entries blocked, orders
cancelled, trading positions sold, and then nothing more is sent, through every restart, until an
admin resets it. Long-term holdings are never touched by either.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from aggregates.base import Aggregate, Command, Event, check, record, topic

STREAM = "control"

LATCHED = "the kill switch is latched; an admin resets it on its page"

Action = Literal["start", "stop", "kill"]
# who asked: a person on a page or by a file, a loss limit, or what watches broker and process
Source = Literal["page", "flag", "loss", "broker", "error", "watchdog"]
KillStep = Literal["entries_blocked", "orders_cancelled", "positions_sold"]


@topic("Control.Requested")
class ControlRequested(Event, frozen=True, kw_only=True):
    action: Action
    source: Source
    reason: str


@topic("Control.Answered")
class ControlAnswered(Event, frozen=True, kw_only=True):
    """The supervisor took a start or a stop up: ``effect`` says what holds since, in words."""

    action: Action
    effect: str


@topic("Control.KillStarted")
class KillStarted(Event, frozen=True, kw_only=True):
    source: Source
    reason: str


@topic("Control.KillStepDone")
class KillStepDone(Event, frozen=True, kw_only=True):
    """``detail`` says in words what was done; ``left`` what could not be: symbols or order ids."""

    step: KillStep
    detail: str
    left: tuple[str, ...]


@topic("Control.Killed")
class Killed(Event, frozen=True, kw_only=True):
    """Latched. ``flat``: the broker itself said that trading holds nothing more."""

    flat: bool
    left: tuple[str, ...]


@topic("Control.KillReset")
class KillReset(Event, frozen=True, kw_only=True):
    reason: str


@topic("Control.DefenseSwitched")
class DefenseSwitched(Event, frozen=True, kw_only=True):
    """Defense mode by hand: on or off from here on, through restarts and days."""

    active: bool
    reason: str


class RequestControl(Command, frozen=True, kw_only=True):
    action: Action
    source: Source
    reason: str


class AnswerControl(Command, frozen=True, kw_only=True):
    action: Action
    effect: str


class StartKill(Command, frozen=True, kw_only=True):
    circumstances: ClassVar[frozenset[str]] = frozenset({"at", "effective_date"})

    source: Source
    reason: str


class RecordKillStep(Command, frozen=True, kw_only=True):
    step: KillStep
    detail: str
    left: tuple[str, ...] = ()


class LatchKill(Command, frozen=True, kw_only=True):
    flat: bool
    left: tuple[str, ...]


class ResetKill(Command, frozen=True, kw_only=True):
    reason: str


class SwitchDefense(Command, frozen=True, kw_only=True):
    active: bool
    reason: str


class Control(Aggregate):
    """One for each bot."""

    def __init__(self, stream: str = STREAM) -> None:
        super().__init__(stream)
        self.stopped = False
        self.killing = False
        self.killed = False
        self.flat = False  # of the last kill: the broker said that trading holds nothing
        self.kills = 0
        self.defense = False  # switched on by hand; the setting is not looked at here
        self.steps: dict[KillStep, KillStepDone] = {}
        self.asked: dict[Action, ControlRequested] = {}

    @property
    def kill_asked(self) -> bool:
        """Whether one is asked for, under way or latched."""
        return self.killed or self.killing or "kill" in self.asked

    @property
    def entries_blocked(self) -> str:
        """Why nothing may be bought for trading; empty while it may."""
        if self.killed:
            return LATCHED
        if self.killing or "kill" in self.asked:
            return "a kill is under way"
        if self.stopped or "stop" in self.asked:
            return "entries are stopped; a start lifts that"
        return ""

    def request(self, c: RequestControl) -> None:
        """Asked again before it was taken up, it is still one request."""
        if c.action == "kill" and (self.killing or self.killed):
            return  # it cannot be killed twice
        check(
            c.action != "start" or not (self.killing or self.killed),
            "A start does not lift a kill. Nothing was changed: entries stay blocked. An admin "
            "resets the kill switch on its page; then it can be started.",
        )
        if c.action not in self.asked:
            self.emit(record(ControlRequested, c))

    def answer(self, c: AnswerControl) -> None:
        if c.action in self.asked:
            self.emit(record(ControlAnswered, c))

    def start_kill(self, c: StartKill) -> None:
        if not (self.killing or self.killed):
            self.emit(record(KillStarted, c))

    def record_step(self, c: RecordKillStep) -> None:
        check(self.killing, f"No kill is under way; {c.step} belongs to none.")
        if c.step not in self.steps:
            self.emit(record(KillStepDone, c))

    def latch(self, c: LatchKill) -> None:
        check(self.killing, "No kill is under way; there is nothing to latch.")
        self.emit(record(Killed, c))

    def reset(self, c: ResetKill) -> None:
        check(self.killed, "The kill switch is not latched; there is nothing to reset.")
        check(bool(c.reason.strip()), "A reset needs a reason; the kill stays latched.")
        self.emit(record(KillReset, c))

    def switch_defense(self, c: SwitchDefense) -> None:
        """Switched to what it is already, nothing changes."""
        check(bool(c.reason.strip()), "Defense mode needs a reason; nothing was switched.")
        if c.active != self.defense:
            self.emit(record(DefenseSwitched, c))

    def apply(self, event: Event) -> None:
        match event:
            case ControlRequested():
                self.asked[event.action] = event
            case ControlAnswered():
                self.asked.pop(event.action, None)
                self.stopped = event.action == "stop" or (self.stopped and event.action != "start")
            case KillStarted():
                self.killing, self.steps = True, {}
                self.kills += 1
                self.asked.clear()
            case KillStepDone():
                self.steps[event.step] = event
            case Killed():
                self.killing, self.killed, self.flat = False, True, event.flat
            case KillReset():
                # entries stay stopped: trading begins again only when somebody starts it
                self.killed, self.stopped = False, True
                self.asked.clear()
            case DefenseSwitched():
                self.defense = event.active
