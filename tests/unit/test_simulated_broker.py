"""The simulated broker as the bot meets it: orders in, fills, refusals and cash out."""

import sqlite3
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aggregates.errors import TradeBotError
from aggregates.market import Bar, Quote
from brokers.port import BrokerError, DuplicateOrder, OrderRefused, OrderRequest
from brokers.simulated import SimulatedBroker
from config.calendar import TradingCalendar
from config.clock import VirtualClock

D = Decimal
FULL_DAY, HALF_DAY = date(2013, 10, 7), date(2013, 11, 29)
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)


def at(minute, second=0):
    return OPEN + timedelta(minutes=minute, seconds=second)


class Market:
    """ALFA and BRVO at 100.00, quoted 99.98 to 100.02, with volumes by minute from the open.

    One bar before the open gives the first known price. The quote of minute ``wide`` and of all
    later ones is 99.00 to 101.00.
    """

    def __init__(self, volumes, first, premarket, wide):
        self.first = first
        by_minute = [(-1, 1_000)][: int(premarket)] + list(enumerate(volumes))
        self.rows = {
            symbol: (
                [
                    Bar(
                        symbol=symbol, start=first + timedelta(minutes=n), open=D("100.00"),
                        high=D("100.00"), low=D("100.00"), close=D("100.00"), volume=volume,
                    )
                    for n, volume in by_minute
                ],
                [
                    Quote(
                        symbol=symbol, start=first + timedelta(minutes=n), bid_size=1, ask_size=1,
                        bid=D("99.98") if n < wide else D("99"),
                        ask=D("100.02") if n < wide else D("101"),
                    )
                    for n in range(-1, len(volumes))
                ],
            )
            for symbol in self.symbols()
        }  # fmt: skip

    def symbols(self):
        return ("ALFA", "BRVO")

    def days(self):
        return (self.first.date(),)

    def describe(self):
        return "made up"

    def bars(self, symbol, _day):
        return self.rows[symbol][0]

    def quotes(self, symbol, _day):
        return self.rows[symbol][1]


@pytest.fixture(scope="module")
def calendar():
    return TradingCalendar("XNYS", date(2013, 10, 1), date(2013, 12, 2))


@pytest.fixture
def make(tmp_path, calendar):
    """``make(volumes)`` gives a broker at the open; the same file again when called again."""
    opened = []

    def make_broker(
        volumes=(1_000,) * 390, first=OPEN, now=None, premarket=True, wide=999, **options
    ):
        clock = VirtualClock(now or first)
        options = {"starting_cash": D("100000"), "seed": 7} | options
        market = Market(volumes, first, premarket, wide)
        broker = SimulatedBroker(tmp_path / "broker.db", market, clock, calendar, **options)
        broker.go = clock.wait_until
        opened.append(broker)
        return broker

    yield make_broker
    for broker in opened:
        broker.close()


def ask(client_order_id="a", side="buy", quantity="10", symbol="ALFA", **more):
    more = {"order_type": "market"} | more
    return OrderRequest(
        client_order_id=client_order_id, symbol=symbol, side=side, quantity=D(quantity), **more
    )


def state(broker, client_order_id="a"):
    order = broker.order(client_order_id)
    return order.state, order.filled_quantity


def test_an_order_fills_across_bars_as_far_as_their_volume_reaches(make):
    broker = make([500, 100, 95, 1_000])
    broker.go(at(1))
    accepted = broker.submit(ask(quantity="24.5"))
    assert (accepted.state, accepted.broker_order_id) == ("accepted", "SIM-000001")

    broker.go(at(1, 59))
    assert state(broker) == ("accepted", 0)  # the bar of its minute is not complete
    broker.go(at(2))
    assert state(broker) == ("partially_filled", 10)
    assert [order.client_order_id for order in broker.open_orders()] == ["a"]
    broker.go(at(4))
    assert state(broker) == ("filled", D("24.5"))
    assert not broker.open_orders()

    fills = broker.fills_since(0)
    assert [(f.sequence, f.quantity) for f in fills] == [(1, 10), (2, 9), (3, D("5.5"))]
    assert [f.executed_at for f in fills] == [
        at(minute) + timedelta(microseconds=1) for minute in (1, 2, 3)
    ]
    assert {f.settles_on for f in fills} == {date(2013, 10, 10)}  # T+3 then
    assert {f.price for f in fills} == {D("100.02")}
    assert fills[2].net_amount == D("-550.14")  # 550.11 + 0.0275, rounded once
    assert broker.account().cash == 100_000 + sum(f.net_amount for f in fills)
    assert [(p.symbol, p.quantity) for p in broker.positions()] == [("ALFA", D("24.5"))]
    assert broker.fills_since(2) == fills[2:]
    assert broker.processed_until() == at(4)


def test_a_bar_fills_at_the_spread_that_was_known_when_it_started(make):
    broker = make([100] * 390, wide=1)
    broker.submit(ask(quantity="30"))
    broker.go(at(3))
    assert [f.price for f in broker.fills_since(0)] == [D("100.02"), D("100.02"), D("101")]


def test_executions_of_a_minute_are_numbered_in_order_of_arrival_across_symbols(make):
    broker = make()
    broker.submit(ask("b", symbol="BRVO"))
    broker.submit(ask("a", symbol="ALFA"))
    broker.go(at(1))
    assert [(f.symbol, f.executed_at.microsecond) for f in broker.fills_since(0)] == [
        ("BRVO", 1),
        ("ALFA", 2),
    ]


def test_only_bars_inside_the_session_fill(make):
    # Given data that goes on after the close at minute 390
    broker = make([1_000] * 400, now=at(389, 1))
    broker.submit(ask())
    broker.go(at(395))
    assert state(broker) == ("expired", 0)


def test_the_market_is_closed_outside_the_session(make):
    for moment in (at(-1), at(390), OPEN + timedelta(days=5)):  # the last one is a Saturday
        with pytest.raises(OrderRefused, match="market_closed"):
            make(now=moment).submit(ask())


def test_a_clock_that_steps_back_over_the_close_fills_nothing_after_it(make):
    broker = make([1_000] * 400, now=at(389, 1))
    broker.submit(ask())
    broker.go(at(391))
    assert state(broker) == ("expired", 0)

    broker = make([1_000] * 400, now=at(389, 30))
    broker.submit(ask("late"))
    broker.go(at(395))
    assert state(broker, "late") == ("expired", 0)


def test_day_orders_expire_at_the_close_of_a_half_day(make):
    opened = datetime(2013, 11, 29, 14, 30, tzinfo=UTC)
    broker = make([1_000] * 390, first=opened)
    broker.submit(ask(order_type="limit", limit_price=D("90")))
    broker.go(opened + timedelta(minutes=209))
    assert state(broker) == ("accepted", 0)
    broker.go(opened + timedelta(minutes=210))
    assert state(broker) == ("expired", 0)
    broker.go(opened + timedelta(days=2))
    assert broker.order("a").updated_at == datetime(2013, 11, 29, 18, 0, tzinfo=UTC)


def test_cancelling_a_partly_filled_order_keeps_its_fills(make):
    broker = make([100] * 390)
    broker.submit(ask(quantity="25"))
    broker.go(at(1, 30))
    broker.cancel("a")
    broker.go(at(5))
    assert state(broker) == ("cancelled", 10)
    assert [p.quantity for p in broker.positions()] == [10]

    broker.cancel("a")  # final: nothing changes
    assert broker.order("a").updated_at == at(1, 30)
    with pytest.raises(BrokerError, match="no order nobody"):
        broker.cancel("nobody")


@pytest.mark.parametrize(
    ("request_", "error_code"),
    [
        (ask(symbol="NONE"), "unknown_symbol"),
        (ask(quantity="0"), "invalid_quantity"),
        (ask(quantity="-1"), "invalid_quantity"),
        (ask(quantity="NaN"), "invalid_quantity"),
        (ask(quantity="0.0000000001"), "invalid_quantity"),
        (ask(order_type="limit"), "invalid_price"),
        (ask(order_type="stop", limit_price=D("9")), "invalid_price"),
        (ask(limit_price=D("9")), "invalid_price"),
        (ask(order_type="limit", limit_price=D("-9")), "invalid_price"),
        (ask(side="sell"), "short_sale"),
        (ask(quantity="1000.01"), "insufficient_cash"),
    ],
)
def test_what_the_broker_refuses_does_not_exist_there(make, request_, error_code):
    broker = make(now=at(1))
    with pytest.raises(OrderRefused) as refusal:
        broker.submit(request_)
    assert refusal.value.error_code == error_code
    assert broker.order("a") is None
    assert not broker.open_orders()


def test_shares_and_cash_are_promised_once(make):
    broker = make(now=at(1))
    broker.submit(ask("bought", quantity="500"))
    with pytest.raises(OrderRefused, match="insufficient_cash"):
        broker.submit(ask("too much", quantity="501"))
    broker.go(at(20))
    broker.submit(ask("half", side="sell", quantity="300"))
    with pytest.raises(OrderRefused, match="Only 200 ALFA"):
        broker.submit(ask("again", side="sell", quantity="201"))
    broker.submit(ask("rest", side="sell", quantity="200"))
    broker.go(at(60))
    assert not broker.positions()


def test_a_purchase_needs_a_last_known_price(make):
    with pytest.raises(OrderRefused, match="no_price"):
        make(premarket=False).submit(ask())


def test_an_id_that_is_known_is_a_duplicate_and_changes_nothing(make):
    broker = make(now=at(1))
    first = broker.submit(ask())
    with pytest.raises(DuplicateOrder):
        broker.submit(ask(quantity="99"))
    assert broker.open_orders() == [first]


def test_random_refusals_follow_from_seed_and_id(make):
    def refused(broker):
        ids = set()
        for n in range(300):
            try:
                broker.submit(ask(f"o{n}", quantity="0.001"))
            except OrderRefused as e:
                ids.add((f"o{n}", e.error_code))
            except DuplicateOrder:
                pass
        return ids

    broker = make(now=at(1), reject_share=D("0.1"))
    first = refused(broker)
    assert {error_code for _, error_code in first} == {"random_refusal"}
    assert 15 < len(first) < 45
    broker.close()
    assert refused(make(now=at(2), reject_share=D("0.1"))) == first  # asked again after a restart
    assert refused(make(now=at(2), reject_share=D("0.1"), seed=8)) != first


def test_a_broker_without_random_refusals_refuses_none(make):
    broker = make(now=at(1))
    for n in range(100):
        broker.submit(ask(f"o{n}", quantity="0.001"))


def test_nothing_is_shown_before_it_is_complete(make):
    broker = make()
    assert broker.quote("ALFA").end == OPEN
    broker.go(at(3, 59))
    assert [bar.start for bar in broker.bars("ALFA", at(1), at(300))] == [at(1), at(2)]
    assert broker.quote("ALFA").start == at(2)
    assert [bar.start for bar in broker.bars("ALFA", at(0), at(2))] == [at(0), at(1)]
    with pytest.raises(BrokerError, match="NONE"):
        broker.quote("NONE")


def test_a_file_keeps_its_own_cash_and_may_be_read_beside(make, tmp_path):
    broker = make(now=at(1))
    broker.submit(ask(quantity="10"))
    again = make(now=at(5), starting_cash=D("5"))  # while the first one is still open
    assert again.account().cash == D("100000") - D("1000.25")
    with sqlite3.connect(f"file:{tmp_path / 'broker.db'}?mode=ro", uri=True) as reader:
        assert reader.execute("SELECT cash FROM account").fetchone() == (9_899_975,)
    reader.close()
    assert broker.fills_since(0) == again.fills_since(0)


def test_a_file_of_another_currency_program_or_kind_is_refused_untouched(make, tmp_path):
    make().close()
    with pytest.raises(BrokerError, match="in USD, not in EUR"):
        make(currency="EUR")

    file = tmp_path / "broker.db"
    file.unlink()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE addresses (name TEXT)")
    other.close()
    for content in (file.read_bytes(), b"date,amount\n" * 100):
        file.write_bytes(content)
        with pytest.raises(BrokerError, match=r"broker\.db"):
            make()
        assert file.read_bytes() == content


def test_starting_cash_is_exact_and_not_negative(make):
    for wrong in ("100.001", "-1"):
        with pytest.raises(TradeBotError):
            make(starting_cash=D(wrong))


def test_self_check_tells_of_missing_data_a_wrong_clock_and_sums_that_do_not_hold(make, tmp_path):
    broker = make(now=at(1))
    broker.submit(ask())
    broker.go(at(5))
    assert broker.self_check() == []

    broker.go(OPEN + timedelta(days=1))
    assert "no market data for the session of 2013-10-08" in broker.self_check()[0]
    assert "processed already" in make(now=at(0)).self_check()[0]
    with sqlite3.connect(tmp_path / "broker.db") as other:
        other.execute("UPDATE account SET cash = cash + 1")
        other.execute("UPDATE positions SET quantity = 1")
    other.close()
    faults = make(now=at(5)).self_check()
    assert len(faults) == 2
    assert "cash is not" in faults[0]
    assert "positions are not" in faults[1]
