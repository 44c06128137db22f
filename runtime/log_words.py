"""The words of log lines, one function for each way of telling an event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aggregates import (
    configuration,
    control,
    holdings_plan,
    reconciliation,
    screen,
    user_activity,
)
from aggregates import order_messages as orders
from aggregates import session as sessions

# Fields of the line. "level" is there when it differs from the route's, "also" names one more file.
Fields = dict[str, str]
Words = Callable[[Any, "Facts"], Fields]
_UNRESOLVED = {"also": "unresolved_orders"}
_RESOLVED = {"also": "unresolved_orders", "level": "INFO"}


class Facts(Protocol):
    """What is known beside the event, as of its position."""

    def order(self, order_id: str) -> orders.OrderIntended | None: ...

    def was_unknown(self, order_id: str) -> bool:
        """Whether the event before this one, in the order's stream, left its outcome open."""

    def result(self) -> str:
        """P/L after costs of the round trip that this fill closed; empty when it closed none."""

    def name(self, user_id: str) -> str: ...

    @property
    def actor(self) -> str:
        """Who did it: a user's name, or a part of the program."""


def says(text: str) -> Words:
    """A sentence with the event's own fields in it."""
    return lambda e, _: {"message": text.format(e=e)}


def of_user(text: str) -> Words:
    """The same, about a user, and who did it when that was another."""

    def words(e: Any, facts: Facts) -> Fields:
        name = facts.name(e.user_id)
        by = "" if facts.actor == name else f", by {facts.actor}"
        return {"message": f"{name} {text.format(e=e)}{by}"}

    return words


def decided(e: sessions.Decided, _: Facts) -> Fields:
    """``ticker`` is what ``size`` counts: on weakness the instrument, once one is chosen."""
    instead = e.inputs.get("instrument", "")
    weak = f", on weakness of {e.symbol}" if instead else ""
    return {
        "strategy_name": e.strategy, "ticker": instead or e.symbol,
        "side": "sell" if e.kind == "exit" else "buy", "size": e.inputs.get("quantity", ""),
        "error_code": ",".join(v.rule for v in e.verdicts if not v.passed),
        "message": f"{e.kind} {e.outcome}: {e.reason}{weak}",
    }  # fmt: skip


def order(text: str) -> Words:
    """About an order, whose strategy and symbol are those of its intent."""

    def words(e: Any, facts: Facts) -> Fields:
        intent = facts.order(e.order_id)
        known = {} if intent is None else of_intent(intent)
        resolved = _RESOLVED if facts.was_unknown(e.order_id) else {}
        said = f"{text.format(e=e)}, order {e.order_id}"
        return known | {"error_code": getattr(e, "error_code", ""), "message": said} | resolved

    return words


def of_intent(e: orders.OrderIntended) -> Fields:
    return {
        "strategy_name": e.strategy, "ticker": e.symbol, "side": e.side,
        "size": format(e.quantity, "f"),
    }  # fmt: skip


def intended(e: orders.OrderIntended, _: Facts) -> Fields:
    limits = [
        f" {name} {price:f}"
        for name, price in (("limit", e.limit_price), ("stop", e.stop_price))
        if price is not None
    ]
    said = f"{e.order_type} order{''.join(limits)} intended: {e.reason}, order {e.order_id}"
    return of_intent(e) | {"message": said}


def filled(e: orders.OrderFilled, facts: Facts) -> Fields:
    return {
        "strategy_name": e.strategy, "ticker": e.symbol, "side": e.side,
        "size": format(e.quantity, "f"),
        "entry_price" if e.side == "buy" else "exit_price": format(e.price, "f"),
        "PnL": facts.result(),
        "message": f"filled, order {e.order_id}",
    } | (_RESOLVED if facts.was_unknown(e.order_id) else {})  # fmt: skip


def unknown(e: orders.OrderOutcomeUnknown, facts: Facts) -> Fields:
    return order("outcome not known: {e.reason}")(e, facts) | _UNRESOLVED


def reconciled(e: sessions.SessionReconciled, _: Facts) -> Fields:
    if not e.differences:
        return {"message": f"reconciled: cash {e.broker_cash:f}, no difference"}
    return {
        "level": "ERROR", "error_code": "difference",
        "message": f"reconciled with differences: {'; '.join(e.differences)}",
    } | _UNRESOLVED  # fmt: skip


def difference(e: reconciliation.DifferenceFound, _: Facts) -> Fields:
    d = e.difference
    said = f"difference {d.difference_id}: ours {d.ours}, theirs {d.theirs}; {d.known}; {d.to_do}"
    return {"error_code": d.kind, "ticker": d.subject if d.kind in _OF_SYMBOLS else "",
            "message": said}  # fmt: skip


_OF_SYMBOLS = (
    "stranger_position", "missing_position", "closed_by_hand", "split_overnight", "option_expired",
    "option_changed",
)  # fmt: skip


def compared(e: reconciliation.Compared, _: Facts) -> Fields:
    said = [f"compared ({e.occasion}): cash ours {e.our_cash:f}, theirs {e.broker_cash:f}"]
    said += [f"repaired: {'; '.join(e.repaired)}"] if e.repaired else []
    said += [f"still open: {', '.join(e.still_open)}"] if e.still_open else []
    return {"message": "; ".join(said)}


def done_by(text: str) -> Words:
    """A sentence, and who did it."""
    return lambda e, facts: {"message": f"{text.format(e=e)}, by {facts.actor}"}


def asked(e: control.ControlRequested, facts: Facts) -> Fields:
    said = f"{e.action} asked for ({e.source}): {e.reason}, by {facts.actor}"
    return {"message": said, "also": control_file(e.action)}


def answered(e: control.ControlAnswered, _: Facts) -> Fields:
    return {"message": f"{e.action} answered: {e.effect}", "also": control_file(e.action)}


def control_file(action: str) -> str:
    return "kill_switch" if action == "kill" else f"{action}_log"


def step(e: control.KillStepDone, _: Facts) -> Fields:
    left = f"; left: {', '.join(e.left)}" if e.left else ""
    return {"message": f"kill, {e.step.replace('_', ' ')}: {e.detail}{left}"}


def killed(e: control.Killed, _: Facts) -> Fields:
    left = f"; left: {', '.join(e.left)}" if e.left else ""
    said = "the broker says that trading holds nothing" if e.flat else "NOT flat"
    return {"message": f"killed and latched: {said}{left}"}


def defense(e: control.DefenseSwitched, facts: Facts) -> Fields:
    return {"message": f"defense mode {'on' if e.active else 'off'}: {e.reason}, by {facts.actor}"}


def failed(e: user_activity.SignInFailed, facts: Facts) -> Fields:
    who = facts.name(e.user_id) if e.user_id else "somebody"
    waits = f"; waits {e.waits_s} s" if e.waits_s else ""
    said = f"{who} failed to sign in from {e.address}: {e.cause}{waits}"
    return {"message": said, "error_code": "sign_in_failed"}


def settings(e: configuration.SettingsChanged, facts: Facts) -> Fields:
    names = ", ".join(change.key for change in e.changes)
    return {"message": f"settings changed ({names}): {e.reason}, by {facts.actor}"}


def plan_saved(e: holdings_plan.HoldingsPlanSaved, facts: Facts) -> Fields:
    back = f", version {e.rolled_back_to} put back" if e.rolled_back_to else ""
    changes = "; ".join(map(holdings_plan.in_words, holdings_plan.plan_changes(e.before, e.after)))
    why = f": {e.reason}" if e.reason else ""
    said = f"holdings plan version {e.version}{back} ({changes}){why}, by {facts.actor}"
    return {"message": said}


def universe(e: screen.UniverseRebuilt, _: Facts) -> Fields:
    return {
        "message": f"universe from {e.source}: {len(e.symbols)} of {e.looked_at} looked at"
        + _rejected(e.rejected)
    }


def candidates(e: screen.CandidatesChosen, _: Facts) -> Fields:
    chosen = ", ".join(e.symbols) or "none"
    said = f"candidates of {e.strategy} ({e.source}, {e.mode}): {chosen}; {e.looked_at} looked at"
    level = {} if e.symbols else {"level": "WARNING"}
    return {
        "strategy_name": e.strategy,
        "message": said + _rejected(e.rejected) + (f"; {e.said}" if e.said else ""),
    } | level


def _rejected(rejected: tuple[screen.Rejected, ...]) -> str:
    return "".join(f"; {r.count} × {r.why}" for r in rejected)


def capital(text: str) -> Words:
    return says(text + " {e.amount:f} {e.currency}: {e.reason}")
