"""Start, stop, kill and reset: what is asked, what forbids entries, and what can follow what."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from aggregates.control import (
    AnswerControl,
    Control,
    ControlAnswered,
    ControlRequested,
    DefenseSwitched,
    Killed,
    KillReset,
    KillStarted,
    KillStepDone,
    LatchKill,
    RecordKillStep,
    RequestControl,
    ResetKill,
    StartKill,
    SwitchDefense,
)

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WHEN: dict[str, Any] = {"at": AT, "effective_date": date(2026, 3, 2)}
THEN: dict[str, Any] = {"occurred_at": AT, "effective_date": date(2026, 3, 2)}
WHY: dict[str, Any] = {"source": "page", "reason": "test"}
STARTED = KillStarted(**THEN, **WHY)
KILLED = Killed(**THEN, flat=True, left=())


def asked(action: Any) -> ControlRequested:
    return ControlRequested(**THEN, action=action, **WHY)


def answered(action: Any) -> ControlAnswered:
    return ControlAnswered(**THEN, action=action, effect="done")


def test_a_whole_kill_in_events(given: Any) -> None:
    case = given(Control())
    case.when(Control.request, RequestControl(**WHEN, action="kill", **WHY)).then(asked("kill"))
    case.when(Control.start_kill, StartKill(**WHEN, **WHY)).then(STARTED)
    step: dict[str, Any] = {"step": "orders_cancelled", "detail": "none was open", "left": ()}
    case.when(Control.record_step, RecordKillStep(**WHEN, **step))
    case.then(KillStepDone(**THEN, **step))
    case.when(Control.latch, LatchKill(**WHEN, flat=True, left=())).then(KILLED)
    case.when(Control.reset, ResetKill(**WHEN, reason="checked"))
    case.then(KillReset(**THEN, reason="checked"))


@pytest.mark.parametrize(
    ("past", "words"),
    [
        ([], ""),
        ([asked("stop")], "stopped"),
        ([asked("stop"), answered("stop")], "stopped"),
        ([asked("stop"), answered("stop"), asked("start"), answered("start")], ""),
        ([asked("kill")], "a kill is under way"),
        ([STARTED], "a kill is under way"),
        ([STARTED, KILLED], "latched"),
        ([STARTED, KILLED, KillReset(**THEN, reason="checked")], "stopped"),
    ],
)
def test_what_forbids_entries(past: list[Any], words: str) -> None:
    control = Control()
    for event in past:
        control.fold(event)
    assert words in control.entries_blocked
    assert bool(words) == bool(control.entries_blocked)


def test_asked_twice_it_is_one_request(given: Any) -> None:
    case = given(Control(), asked("stop"))
    case.when(Control.request, RequestControl(**WHEN, action="stop", **WHY)).then()


def test_a_start_does_not_lift_a_kill(given: Any) -> None:
    case = given(Control(), STARTED, KILLED)
    start = RequestControl(**WHEN, action="start", **WHY)
    case.when(Control.request, start).refused("does not lift a kill", "Nothing was changed")


def test_a_kill_that_is_asked_for_again_changes_nothing(given: Any) -> None:
    for past in ([STARTED], [STARTED, KILLED]):
        case = given(Control(), *past)
        case.when(Control.request, RequestControl(**WHEN, action="kill", **WHY)).then()
        case.when(Control.start_kill, StartKill(**WHEN, **WHY)).then()


def test_a_step_is_recorded_once_and_belongs_to_a_kill(given: Any) -> None:
    step = RecordKillStep(**WHEN, step="orders_cancelled", detail="none was open")
    given(Control()).when(Control.record_step, step).refused("No kill is under way")
    case = given(Control(), STARTED)
    case.when(Control.record_step, step, step)
    assert case.event.step == "orders_cancelled"


def test_what_cannot_be_latched_or_reset(given: Any) -> None:
    latch = LatchKill(**WHEN, flat=True, left=())
    given(Control()).when(Control.latch, latch).refused("nothing to latch")
    reset = ResetKill(**WHEN, reason="checked")
    given(Control(), STARTED).when(Control.reset, reset).refused("not latched")
    blank = ResetKill(**WHEN, reason=" ")
    given(Control(), STARTED, KILLED).when(Control.reset, blank).refused("needs a reason")


def test_the_next_kill_begins_anew(given: Any) -> None:
    step = KillStepDone(**THEN, step="orders_cancelled", detail="x", left=())
    past = [STARTED, step, KILLED, KillReset(**THEN, reason="checked"), STARTED]
    control = given(Control(), *past).aggregate
    assert (control.kills, control.steps, control.killing) == (2, {}, True)


def test_an_answer_needs_a_request(given: Any) -> None:
    answer = AnswerControl(**WHEN, action="stop", effect="done")
    given(Control()).when(Control.answer, answer).then()
    given(Control(), asked("stop")).when(Control.answer, answer).then(answered("stop"))


def test_defense_mode_holds_through_everything_until_it_is_switched_off(given: Any) -> None:
    on = DefenseSwitched(**THEN, active=True, reason="nerves")
    case = given(Control(), on, STARTED, KILLED, KillReset(**THEN, reason="checked"))
    assert case.aggregate.defense
    case.when(Control.switch_defense, SwitchDefense(**WHEN, active=True, reason="again")).then()
    case.when(Control.switch_defense, SwitchDefense(**WHEN, active=False, reason="calm"))
    case.then(DefenseSwitched(**THEN, active=False, reason="calm"))
    assert not case.aggregate.defense
    blank = SwitchDefense(**WHEN, active=True, reason=" ")
    given(Control()).when(Control.switch_defense, blank).refused("needs a reason")
