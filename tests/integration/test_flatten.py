"""Selling until the broker says that it is gone: asked for anew, never twice, and said honestly."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregates.market import Bar
from brokers.port import OrderRefused, OutcomeUnknown
from runtime.flatten import Flatten
from runtime.loss_limit import loss_breached

D = Decimal
OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def flatten(rig: Any, wait: Any = None) -> Any:
    return Flatten(rig.bot, rig.desk, rig.outbox, wait).run("end of monitoring")


def exits(rig: Any) -> list[tuple[str, str]]:
    """The exits that were decided, each with what became of its order."""
    rig.bot.views.catch_up()
    states = {o.order_id: o.state for o in rig.bot.views.orders.orders()}
    return [
        (d.decision_id.removeprefix("2026-03-02-"), states[d.decision_id])
        for d in rig.session().decided.values()
        if d.kind == "exit"
    ]


def test_what_is_held_is_sold_once(rig: Any) -> None:
    rig.buy("ALFA", "10")
    rig.buy("BRVO", "3")
    assert flatten(rig) == (True, ())
    assert exits(rig) == [("ALFA-flatten-1", "filled"), ("BRVO-flatten-1", "filled")]
    assert flatten(rig) == (True, ())
    assert len(exits(rig)) == 2


def test_an_exit_that_fills_in_parts_is_left_to_fill(make_rig: Any) -> None:
    rig = make_rig(volume=40)  # four shares a minute
    rig.order("buy", "ALFA", "buy", "10")
    rig.pass_minutes(4)
    assert flatten(rig) == (True, ())
    assert exits(rig) == [("ALFA-flatten-1", "filled")]


def test_a_refused_exit_is_asked_for_with_a_new_order(rig: Any, monkeypatch: Any) -> None:
    rig.buy("ALFA", "10")
    submit, refusals = rig.simulated.submit, iter([OrderRefused("no", "not now")] * 2)

    def refusing(request: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return submit(request)

    monkeypatch.setattr(rig.simulated, "submit", refusing)
    assert flatten(rig) == (True, ())
    assert exits(rig) == [
        ("ALFA-flatten-1", "rejected"), ("ALFA-flatten-2", "rejected"), ("ALFA-flatten-3", "filled")
    ]  # fmt: skip


def test_an_exit_that_is_always_refused_is_named_with_the_brokers_words(
    rig: Any, monkeypatch: Any
) -> None:
    rig.buy("ALFA", "10")

    def refuse(_: Any) -> None:
        raise OrderRefused("account_blocked", "the account is blocked")

    monkeypatch.setattr(rig.simulated, "submit", refuse)
    found = flatten(rig)
    assert not found.flat
    assert len(exits(rig)) == 10
    (left,) = found.left
    assert left.startswith("ALFA 10: order ")
    assert "the account is blocked" in left


def test_an_answer_that_got_lost_leads_to_no_second_sale(rig: Any, monkeypatch: Any) -> None:
    rig.buy("ALFA", "10")
    submit = rig.simulated.submit

    def lost(request: Any) -> None:
        submit(request)
        raise OutcomeUnknown("no answer in time.")

    monkeypatch.setattr(rig.simulated, "submit", lost)
    assert flatten(rig) == (True, ())
    assert exits(rig) == [("ALFA-flatten-1", "filled")]
    assert rig.sold() == {"ALFA": "10"}


def test_an_exit_that_fills_nothing_is_cancelled_and_asked_for_anew(make_rig: Any) -> None:
    rig = make_rig(stops=5)
    rig.buy("ALFA", "10")
    rig.pass_minutes(4)
    found = flatten(rig)
    assert not found.flat
    assert [state for _, state in exits(rig)][:-1] == ["cancelled"] * (len(exits(rig)) - 1)
    assert len(exits(rig)) >= 2


def test_a_wait_that_is_called_off_ends_it(rig: Any) -> None:
    rig.buy("ALFA", "10")
    found = flatten(rig, wait=lambda _: "a kill was asked for")
    assert not found.flat
    assert rig.clock.now() < OPEN + timedelta(minutes=3)


def test_it_takes_up_an_exit_that_another_process_sent(rig: Any) -> None:
    rig.buy("ALFA", "10")
    Flatten(rig.bot, rig.desk, rig.outbox).ask("end of monitoring")
    rig.take_up()
    assert flatten(rig) == (True, ())
    assert exits(rig) == [("ALFA-flatten-1", "filled")]


# The day's loss limit


def priced(rig: Any, price: str) -> str:
    rig.bot.views.catch_up()
    of_day = {"open": D(price), "high": D(price), "low": D(price), "close": D(price)}
    rig.desk.bars["ALFA"] = Bar(symbol="ALFA", start=rig.clock.now(), volume=1, **of_day)
    return loss_breached(rig.desk, rig.bot.settings)


def test_the_loss_limit_counts_what_is_not_realized(rig: Any) -> None:
    limit = rig.bot.settings.DAILY_LOSS_LIMIT * D(100_000)
    assert priced(rig, "100") == ""
    rig.buy("ALFA", "900")
    costs = D(100_000) - rig.bot.views.books.broker_cash() - D(900) * D(100)
    falls = (limit - costs) / 900  # exactly at the limit
    assert priced(rig, f"{D(100) - falls + D('0.01')}") == ""
    assert "DAILY_LOSS_LIMIT" in priced(rig, f"{D(100) - falls}")
    assert priced(rig, "150") == ""
