"""Whatever is ordered, whenever the broker is asked or restarted: same fills, sums that hold."""

import tempfile
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from brokers.port import OrderRefused, OrderRequest
from brokers.simulated import SimulatedBroker
from brokers.synthetic import SyntheticMarketData
from config.calendar import SessionHours
from config.clock import VirtualClock

D = Decimal
DAYS = [date(2025, 11, 24), date(2025, 11, 25)]
SYMBOLS = ("ALFA", "EKHO")
START = D("60000")


class Calendar:
    """Two short sessions of 40 minutes from 14:30 UTC."""

    def session(self, day):
        if day not in DAYS:
            return None
        opened = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
        return SessionHours(day, opened, opened + timedelta(minutes=40))

    def settles_on(self, day):
        return day + timedelta(days=1)


MARKET = SyntheticMarketData(5, [Calendar().session(day) for day in DAYS], SYMBOLS)
OPENED = Calendar().session(DAYS[0]).open

# A step: seconds to wait, then an order, a cancellation of an earlier order, or only a look.
orders = st.tuples(
    st.sampled_from(SYMBOLS),
    st.sampled_from(["buy", "buy", "sell"]),
    st.sampled_from(["market", "market", "limit", "stop"]),
    st.integers(1, 400_000).map(lambda thousandths: D(thousandths) / 1_000),
    st.integers(-40, 40),
)
cancels = st.integers(0, 9)
steps = st.lists(
    st.tuples(st.integers(0, 400), st.one_of(orders, orders, cancels, st.none())),
    min_size=3,
    max_size=14,
)


@contextmanager
def broker_on(folder, now):
    clock = VirtualClock(now)
    broker = SimulatedBroker(
        Path(folder) / "broker.db",
        MARKET,
        clock,
        Calendar(),
        starting_cash=START,
        seed=5,
        reject_share=D("0.1"),
    )
    try:
        yield broker, clock
    finally:
        broker.close()


def act(broker, number, action):
    """One step; a refusal is part of the play, an order that was refused does not exist."""
    if isinstance(action, int):
        if broker.order(f"order-{action}") is not None:
            broker.cancel(f"order-{action}")
    elif action is not None:
        symbol, side, kind, quantity, offset = action
        bars = broker.bars(symbol, OPENED, broker.clock())
        price = (bars[-1].close if bars else D(30)) + D(offset) / 100
        request = OrderRequest(
            client_order_id=f"order-{number}",
            symbol=symbol,
            side=side,
            order_type=kind,
            quantity=quantity,
            limit_price=price if kind == "limit" else None,
            stop_price=price if kind == "stop" else None,
        )
        try:
            broker.submit(request)
        except OrderRefused:
            assert broker.order(f"order-{number}") is None


def check_account(broker):
    """Cash and positions are the sum of the executions, and nobody is short."""
    fills = broker.fills_since(0)
    assert [fill.sequence for fill in fills] == list(range(1, len(fills) + 1))
    assert broker.account().cash == START + sum(fill.net_amount for fill in fills)
    held = {}
    for fill in fills:
        signed = fill.quantity if fill.side == "buy" else -fill.quantity
        held[fill.symbol] = held.get(fill.symbol, D(0)) + signed
        assert held[fill.symbol] >= 0
    positions = {p.symbol: p.quantity for p in broker.positions()}
    assert positions == {symbol: quantity for symbol, quantity in held.items() if quantity}
    for order in broker.open_orders():
        assert order.filled_quantity < order.quantity
    return fills


def check_no_future(broker):
    now = broker.clock()
    for symbol in SYMBOLS:
        bars = broker.bars(symbol, OPENED - timedelta(days=1), now + timedelta(days=9))
        assert all(bar.end <= now for bar in bars)
        quote = broker.quote(symbol)
        assert quote is None or quote.end <= now
    for fill in broker.fills_since(0):
        minute = fill.executed_at.replace(second=0, microsecond=0)
        assert minute + timedelta(minutes=1) <= now
        order = broker.order(fill.client_order_id)
        assert order.submitted_at <= minute
        assert order.updated_at <= now


def play(script, folder, *, restart_at=frozenset(), look_every_s=None):
    """Run a script; the executions at the end of the second session and each order's end."""
    now = OPENED + timedelta(minutes=1)
    position = 0
    while position < len(script):
        with broker_on(folder, now) as (broker, clock):
            while position < len(script):
                wait_s, action = script[position]
                until = now + timedelta(seconds=wait_s)
                while look_every_s and now + timedelta(seconds=look_every_s) < until:
                    now += timedelta(seconds=look_every_s)
                    clock.wait_until(now)
                    check_no_future(broker)
                now = until
                clock.wait_until(now)
                act(broker, position, action)
                check_account(broker)
                position += 1
                if position in restart_at:
                    break
    with broker_on(folder, now + timedelta(days=3)) as (broker, _):
        assert broker.self_check() == []
        assert not broker.open_orders()
        return check_account(broker), [broker.order(f"order-{n}") for n in range(len(script))]


@given(steps, st.sets(st.integers(1, 13), max_size=4), st.integers(7, 90))
@settings(max_examples=40)
def test_restarts_and_looks_change_nothing(script, restart_at, look_every_s):
    with tempfile.TemporaryDirectory() as plain, tempfile.TemporaryDirectory() as disturbed:
        calm = play(script, plain)
        assert play(script, disturbed, restart_at=restart_at, look_every_s=look_every_s) == calm
