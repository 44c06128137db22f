"""What must hold after a day at the fake Alpaca, judged by the fake's own books."""

from collections import Counter
from decimal import Decimal
from typing import Any

from config.settings import demo_settings
from runtime.differences import units_of

D = Decimal
CASH = D(100_000)
CENT = D("0.01")
TOLERANCE = D("1.02")  # an order is filled above the price that it was judged with
BY_HAND = "hand-"
OF_UNITS = ("stranger_position", "missing_position", "closed_by_hand")


def check(day: Any) -> None:
    """After ``day.run()``."""
    bot, found = day.last_look()
    try:
        assert found.known, found.why
        bot.views.catch_up()
        feed = bot.views.feed
        events = [feed.event(row) for row in feed.page(limit=10_000)]
        orders = {
            number: o for number, o in day.books.orders.items()
            if not o["client_order_id"].startswith(BY_HAND)
        }  # fmt: skip
        fills = [f for f in day.books.fills if f["order_id"] in orders]
        check_orders(day, events, orders)
        check_fills(day, events, fills)
        check_limits(day, events, fills)
        assert not bot.views.orders.unfinished(), "an order never ended"
        check_books(day, bot, found, fills)
        check_close(day, events, found)
    finally:
        bot.close()


def check_orders(day: Any, events: list[Any], orders: dict[str, Any]) -> None:
    """No double order: by client order id, by decision, and by what was bought of a symbol."""
    there = Counter(o["client_order_id"] for o in orders.values())
    twice = {name: n for name, n in there.items() if n > 1}
    assert not twice, f"double orders: {twice}"
    sent_twice = [name for name in there if sent_again(day, name)]
    assert not sent_twice, f"sent again after an unclear outcome: {sent_twice}"
    intents = [e for e in events if e.topic == "Order.Intended"]
    decided = Counter(e.order_id for e in events if e.topic == "Session.Decided" and e.order_id)
    assert all(n == 1 for n in decided.values()), f"one decision, two orders: {decided}"
    assert set(decided) <= {e.order_id for e in intents}
    assert set(there) <= {e.client_order_id for e in intents}, "an order without an intent"
    bought = Counter(o["symbol"] for o in orders.values() if o["side"] == "buy")
    assert all(n == 1 for n in bought.values()), f"bought twice: {bought}"
    day.counts["orders at the broker"] += len(there)
    day.counts["orders intended"] += len(intents)
    unclear = sum(e.topic == "Order.OutcomeUnknown" for e in events)
    day.counts["unknown outcomes"] += unclear


def sent_again(day: Any, name: str) -> bool:
    """Whether it left more than once, although nobody was killed between intent and answer."""
    return bool(day.server.posts(name) > 1 and not day.counts["restarts"])


def check_fills(day: Any, events: list[Any], fills: list[Any]) -> None:
    told = Counter(
        (e.execution_id, e.quantity, e.price, e.side, e.symbol)
        for e in events if e.topic == "Order.Filled"
    )  # fmt: skip
    true = Counter(
        (f["id"].partition("::")[2], D(f["qty"]), D(f["price"]), f["side"], f["symbol"])
        for f in fills
    )
    assert told == true, f"lost {true - told}, invented or doubled {told - true}"
    day.counts["fills"] += len(fills)


def check_books(day: Any, bot: Any, found: Any, fills: list[Any]) -> None:
    """Equal to the cent and to the unit, but for what the script moved by hand, which is open."""
    ours, theirs = units_of(bot.views.books), day.books.positions
    for symbol in ours.keys() | theirs.keys():
        apart = theirs.get(symbol, D(0)) - ours.get(symbol, D(0))
        assert apart == day.hand[symbol], f"{symbol}: {apart} apart, by hand {day.hand[symbol]}"
    open_ones = {d.subject: D(d.amount) for d in found.open_differences if d.kind in OF_UNITS}
    assert open_ones == {s: q for s, q in day.hand.items() if q}, f"open: {found.open_differences}"
    cash = bot.views.books.broker_cash()
    apart = day.books.cash - cash
    if not open_ones and not day.hand_cash:
        assert not found.open_differences, f"unexplained: {found.open_differences}"
        assert cash == day.books.cash.quantize(CENT), f"cash {apart} apart"
        return
    rounding = CENT + CENT / 2 * len(fills)  # it is settled when nothing else differs
    assert abs(apart - day.hand_cash) <= rounding, f"cash {apart} apart, by hand {day.hand_cash}"
    if abs(day.hand_cash) > rounding:
        assert any(d.kind == "cash" for d in found.open_differences), "the cash is not said"
    day.counts["days that end with what was done by hand, open"] += 1


def check_close(day: Any, events: list[Any], found: Any) -> None:
    """A day whose end was calm ends flat and equal: nothing is left to mend in the morning."""
    if not day.calm_early or day.hand or day.hand_cash:
        return
    gave_up = any(e.topic == "Control.Killed" and not e.flat for e in events)
    held = {s: q for s, q in day.books.positions.items() if q}
    assert gave_up or not held, f"not flat: {held}"
    assert not found.repaired, f"mended in the morning: {found.repaired}"
    (said,) = (e for e in events if e.topic == "Session.Reconciled")
    assert not said.differences, f"said at the close: {said.differences}"


def check_limits(day: Any, events: list[Any], fills: list[Any]) -> None:
    """At each execution by what the broker held in truth; at each decision by what it had then,
    with all that was on its way counted as bought."""
    settings = demo_settings(day.world.SETTINGS)
    most = settings.TOTAL_ALLOCATION * CASH * TOLERANCE
    held: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    for f in fills:
        symbol, quantity = f["symbol"], D(f["qty"])
        held[symbol] += quantity if f["side"] == "buy" else -quantity  # type: ignore[assignment]
        if f["side"] == "buy":
            cost[symbol] += quantity * D(f["price"])  # type: ignore[assignment]
        elif not held[symbol]:
            cost[symbol] = 0
        assert held[symbol] >= 0, f"short of {symbol}"
        positions = [s for s, units in held.items() if units and s not in day.late]
        assert len(positions) <= settings.MAX_OPEN_POSITIONS, f"{positions} at one time"
        assert sum(cost.values()) <= most, f"{cost} is more than {most}"
    buys = [e for e in events if e.topic == "Order.Intended" and e.side == "buy"]
    assert len(buys) <= settings.MAX_TRADES
    for buy in buys:
        check_decision(buy, events, settings, most)
    killed = [i for i, e in enumerate(events) if e.topic == "Control.KillStarted"]
    late = [e for e in events[killed[0] :] if e.topic == "Order.Intended"] if killed else []
    assert all(e.side == "sell" for e in late), "bought after a kill"
    day.counts["kill switches"] += bool(killed)
    day.counts["exits"] += sum(e.topic == "Order.Intended" and e.side == "sell" for e in events)


def check_decision(buy: Any, events: list[Any], settings: Any, most: Decimal) -> None:
    """``buy`` with everything that was held or could still be bought by what was recorded then."""
    held: Counter[str] = Counter()
    on_order: dict[str, tuple[str, Decimal]] = {}
    spent = D(0)
    for e in events[: events.index(buy) + 1]:
        if e.topic == "Order.Filled":
            held[e.symbol] += e.quantity if e.side == "buy" else -e.quantity  # type: ignore[assignment]
            spent += e.quantity * e.price if e.side == "buy" else -e.quantity * e.price
            if e.order_id in on_order:
                on_order[e.order_id] = e.symbol, on_order[e.order_id][1] - e.quantity
        elif e.topic == "Order.Intended" and e.side == "buy":
            on_order[e.order_id] = e.symbol, e.quantity
        elif e.topic in ("Order.Cancelled", "Order.Expired", "Order.Rejected"):
            on_order.pop(e.order_id, None)
    names = {s for s, units in held.items() if units} | {s for s, left in on_order.values() if left}
    assert len(names) <= settings.MAX_OPEN_POSITIONS, f"{buy.order_id}: {names} at one time"
    prices = {
        e.symbol: D(e.inputs["close"])
        for e in events
        if e.topic == "Session.Decided" and e.kind == "entry"
    }
    waiting = sum((left * prices[s] for s, left in on_order.values()), D(0))
    assert spent + waiting <= most, f"{buy.order_id}: {spent} and {waiting} on its way, of {most}"
