"""Risk rules: each at its limit, just below and just above; missing data denies (M12, M13)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from aggregates.errors import DomainError
from aggregates.session import Verdict
from config.calendar import SessionHours
from config.settings import Settings
from strategies.risk import RULES, check_entry
from strategies.risk_context import RiskContext, RiskInputs
from strategies.sizing import size

D = Decimal
OPEN = datetime(2013, 10, 7, 13, 30, tzinfo=UTC)  # a Monday
HOURS = SessionHours(date(2013, 10, 7), OPEN, OPEN + timedelta(minutes=390))
NOW = OPEN + timedelta(minutes=31)
SECOND = timedelta(seconds=1)


# Equity 100,000; 50 shares at 100 with a stop at 98: risk 100, cost 5,000.
SOUND = RiskInputs(
    entries_blocked="",
    unreachable_since=None,
    open_differences=0,
    clock_skew=timedelta(0),
    behind_history=timedelta(0),
    entry_deadline=OPEN + timedelta(minutes=90),
    equity=D(100_000),
    equity_at_open=D(100_000),
    realized_today=D(0),
    unrealized_today=D(0),
    open_exposure=D(0),
    open_positions=0,
    trades_today=0,
    cash_float=D(100_000),
    tradable=True,
    halted=None,
    held_long_term=False,
    bid=D("100.00"),
    ask=D("100.02"),
    quote_known_at=NOW,
    volume=50_000,
    price=D(100),
    stop=D(98),
    usual_quantity=D(50),
    quantity=D(50),
)
FINE = RiskContext(
    settings=Settings(), hours=HOURS, strategy="OPEN", symbol="SPY", now=NOW, inputs=SOUND
)


def but(**changes: Any) -> RiskContext:
    inputs = {name: changes.pop(name) for name in SOUND.__struct_fields__ if name in changes}
    return msgspec.structs.replace(FINE, inputs=msgspec.structs.replace(SOUND, **inputs), **changes)


def verdict(rule: str, context: RiskContext) -> Verdict:
    (found,) = [v for v in check_entry(context) if v.rule == rule]
    return found


def says(rule: str, **changes: Any) -> tuple[bool, str, str]:
    v = verdict(rule, but(**changes))
    return v.passed, v.value, v.limit


NAMES = [
    "DISABLE_ALL_TRADES",
    "STRAT_OPEN_ENABLED",
    "CONTROL",
    "BROKER",
    "RECONCILED",
    "CLOCK_SKEW",
    "CLOCK_BEHIND",
    "TRADING_DAYS",
    "SESSION_HOURS",
    "ENTRY_DEADLINE",
    "SCREENER_UNIVERSE_BLOCKLIST",
    "ALLOW_HOLDINGS_SYMBOLS",
    "TRADABLE",
    "DAILY_LOSS_LIMIT",
    "MAX_RISK_PER_TRADE",
    "TOTAL_ALLOCATION",
    "DEFENSE_MODE_TOTAL_ALLOCATION",
    "DEFENSE_MODE_TRADE_LIMIT_PCT",
    "MAX_OPEN_POSITIONS",
    "MAX_TRADES",
    "QUOTE_AGE",
    "MAX_SPREAD_PCT",
    "MIN_VOLUME_THRESHOLD",
    "CASH_FLOAT",
    "SIZE",
]


def test_every_rule_is_asked_and_a_sound_entry_passes_all() -> None:
    verdicts = check_entry(FINE)
    assert [v.rule for v in verdicts] == NAMES
    assert len(RULES) == len(NAMES)
    assert [v.rule for v in verdicts if not v.passed] == []


def test_every_rule_is_asked_even_when_all_of_them_refuse() -> None:
    worst = but(
        settings=Settings(
            DISABLE_ALL_TRADES=True,
            STRAT_OPEN_ENABLED=False,
            TRADING_DAYS=("tue",),
            SCREENER_UNIVERSE_BLOCKLIST=("SPY",),
            DEFENSE_MODE_ACTIVE=True,
        ),
        now=HOURS.close,
        entries_blocked="entries are stopped; a start lifts that",
        unreachable_since=NOW,
        open_differences=None,
        clock_skew=None,
        behind_history=timedelta(minutes=1),
        tradable=None,
        held_long_term=True,
        bid=None,
        ask=None,
        quote_known_at=None,
        usual_quantity=D(0),
        equity=D(0),
        equity_at_open=D(0),
        open_positions=4,
        trades_today=10,
        price=None,
        stop=None,
        quantity=D(0),
        volume=None,
    )
    verdicts = check_entry(worst)
    assert [v.rule for v in verdicts] == NAMES
    assert [v.rule for v in verdicts if v.passed] == []


def test_a_disabled_bot_or_strategy_is_judged_and_said() -> None:
    off = Settings(DISABLE_ALL_TRADES=True, STRAT_OPEN_ENABLED=False)
    assert says("DISABLE_ALL_TRADES") == (True, "false", "false")
    assert says("DISABLE_ALL_TRADES", settings=off) == (False, "true", "false")
    assert says("STRAT_OPEN_ENABLED") == (True, "true", "true")
    assert says("STRAT_OPEN_ENABLED", settings=off) == (False, "false", "true")
    refused = [v.rule for v in check_entry(but(settings=off)) if not v.passed]
    assert refused == ["DISABLE_ALL_TRADES", "STRAT_OPEN_ENABLED"]


def test_a_strategy_without_a_switch_may_not_trade() -> None:
    assert says("STRAT_LUNCH_ENABLED", strategy="LUNCH") == (False, "no such setting", "true")


def test_trading_days_are_those_of_the_exchange_session() -> None:
    days = Settings(TRADING_DAYS=("tue", "mon"))
    assert says("TRADING_DAYS", settings=days) == (True, "mon", "tue,mon")
    for day, name in ((date(2013, 10, 9), "wed"), (date(2013, 10, 13), "sun")):
        hours = SessionHours(day, HOURS.open, HOURS.close)
        assert says("TRADING_DAYS", settings=days, hours=hours) == (False, name, "tue,mon")


@pytest.mark.parametrize(
    ("now", "passed"),
    [
        (HOURS.open - SECOND, False),
        (HOURS.open, True),
        (HOURS.close - SECOND, True),
        (HOURS.close, False),
    ],
    ids=["before the open", "at the open", "before the close", "at the close"],
)
def test_session_hours(now: datetime, passed: bool) -> None:
    limit = "2013-10-07T13:30Z/2013-10-07T20:00Z"
    assert says("SESSION_HOURS", now=now)[0::2] == (passed, limit)


@pytest.mark.parametrize(("late", "passed"), [(-60, True), (0, True), (59, True), (60, False)])
def test_entries_end_with_the_minute_of_the_deadline(late: int, passed: bool) -> None:
    now = SOUND.entry_deadline + late * SECOND
    assert says("ENTRY_DEADLINE", now=now)[0::2] == (passed, "2013-10-07T15:00Z")


@pytest.mark.parametrize(
    ("realized", "unrealized", "passed", "value"),
    [
        ("-1999.99", "0", True, "0.020000"),
        ("-2000", "0", False, "0.020000"),
        ("-2000.01", "0", False, "0.020000"),
        ("0", "-2000", False, "0.020000"),
        ("-1500", "-499.98", True, "0.020000"),
        ("-3000", "1100", True, "0.019000"),
        ("3000", "-1000", True, "-0.020000"),
    ],
)
def test_a_loss_that_reaches_the_daily_limit_ends_entries(
    realized: str, unrealized: str, passed: bool, value: str
) -> None:
    found = says("DAILY_LOSS_LIMIT", realized_today=D(realized), unrealized_today=D(unrealized))
    assert found == (passed, value, "0.02")


def test_the_daily_loss_is_measured_by_the_equity_at_open() -> None:
    changes = {"realized_today": D(-1000), "equity": D(40_000)}
    assert says("DAILY_LOSS_LIMIT", **changes)[:2] == (True, "0.010000")
    assert says("DAILY_LOSS_LIMIT", equity_at_open=D(0))[:2] == (False, "no equity")


@pytest.mark.parametrize(
    ("quantity", "passed"), [("249.999999999", True), ("250", True), ("250.000000001", False)]
)
def test_risk_per_trade(quantity: str, passed: bool) -> None:
    found = says("MAX_RISK_PER_TRADE", quantity=D(quantity))
    assert found == (passed, "0.005000", "0.005")


def test_risk_that_is_not_known_denies() -> None:
    assert says("MAX_RISK_PER_TRADE", stop=None)[:2] == (False, "no stop")
    assert says("MAX_RISK_PER_TRADE", price=None)[:2] == (False, "no price")
    assert says("MAX_RISK_PER_TRADE", stop=D(100))[:2] == (False, "stop not below price")
    assert says("MAX_RISK_PER_TRADE", equity=D(0))[:2] == (False, "no equity")


@pytest.mark.parametrize(
    ("exposure", "passed"), [("44999.99", True), ("45000", True), ("45000.01", False)]
)
def test_total_allocation_counts_this_entry(exposure: str, passed: bool) -> None:
    found = says("TOTAL_ALLOCATION", open_exposure=D(exposure))
    assert found == (passed, "0.500000", "0.5")


def test_allocation_that_is_not_known_denies() -> None:
    assert says("TOTAL_ALLOCATION", price=None)[:2] == (False, "no price")
    assert says("TOTAL_ALLOCATION", equity=D("-1"))[:2] == (False, "no equity")


@pytest.mark.parametrize(("count", "passed"), [(2, True), (3, True), (4, False), (5, False)])
def test_open_positions_count_this_entry(count: int, passed: bool) -> None:
    assert says("MAX_OPEN_POSITIONS", open_positions=count) == (passed, str(count + 1), "4")


@pytest.mark.parametrize(("count", "passed"), [(8, True), (9, True), (10, False)])
def test_trades_of_the_session_count_this_entry(count: int, passed: bool) -> None:
    assert says("MAX_TRADES", trades_today=count) == (passed, str(count + 1), "10")


def test_no_trades_allowed_refuses_the_first() -> None:
    assert says("MAX_TRADES", settings=Settings(MAX_TRADES=0)) == (False, "1", "0")


@pytest.mark.parametrize(
    ("ask", "passed", "value"),
    [
        ("100", True, "0.000000"),
        ("101.4999", True, "0.014999"),
        ("101.5000", True, "0.015000"),
        ("101.5001", False, "0.015001"),
    ],
)
def test_spread_over_the_signal_price(ask: str, passed: bool, value: str) -> None:
    assert says("MAX_SPREAD_PCT", bid=D(100), ask=D(ask)) == (passed, value, "0.015")


def test_the_spread_is_measured_by_the_signal_price_not_by_the_quote() -> None:
    wide = {"bid": D(200), "ask": D(203)}  # 1.5 % of 200
    assert says("MAX_SPREAD_PCT", **wide)[:2] == (False, "1.030000")
    assert says("MAX_SPREAD_PCT", **wide, price=D(200))[:2] == (True, "0.015000")


def test_an_ask_far_above_the_signal_price_counts_as_spread_though_the_bid_is_near_it() -> None:
    absurd = {"bid": D("102.99"), "ask": D(103)}
    assert says("MAX_SPREAD_PCT", **absurd) == (False, "0.030000", "0.015")


@pytest.mark.parametrize(
    ("age", "passed"), [(0, True), (299, True), (300, True), (301, False), (-5, True), (-6, False)]
)
def test_a_quote_older_than_five_minutes_or_from_the_future_is_none(age: int, passed: bool) -> None:
    found = says("QUOTE_AGE", quote_known_at=NOW - age * SECOND)
    assert found == (passed, str(max(age, 0)) if age > -6 else "no quote", "300")
    assert says("QUOTE_AGE", quote_known_at=None)[:2] == (False, "no quote")


@pytest.mark.parametrize(
    ("bid", "ask"), [(None, None), (D("100.02"), D(100)), (D(0), D(1))],
    ids=["none", "crossed", "no bid"],
)  # fmt: skip
def test_no_usable_quote_denies(bid: Decimal | None, ask: Decimal | None) -> None:
    assert says("MAX_SPREAD_PCT", bid=bid, ask=ask) == (False, "no quote", "0.015")


def test_a_stop_or_a_kill_refuses_entries_with_its_reason() -> None:
    assert says("CONTROL")[:2] == (True, "allowed")
    assert says("CONTROL", entries_blocked="a kill is under way")[:2] == (
        False, "a kill is under way",
    )  # fmt: skip


def test_a_broker_that_is_silent_or_differs_refuses_entries() -> None:
    assert says("BROKER", unreachable_since=NOW)[:2] == (False, "no answer since 2013-10-07T14:01Z")
    assert says("RECONCILED", open_differences=2)[:2] == (False, "2")
    assert says("RECONCILED", open_differences=None)[:2] == (False, "not known")


@pytest.mark.parametrize(
    ("skew_ms", "passed"), [(0, True), (5000, True), (5001, False), (-5000, True), (-5001, False)]
)
def test_a_clock_that_is_off_refuses_entries(skew_ms: int, passed: bool) -> None:
    skew = timedelta(milliseconds=skew_ms)
    assert says("CLOCK_SKEW", clock_skew=skew) == (passed, f"{skew_ms / 1000:.3f}", "5")
    assert says("CLOCK_SKEW", clock_skew=None)[:2] == (False, "not known")


def test_a_clock_that_was_put_back_refuses_entries() -> None:
    five = timedelta(seconds=5)
    assert says("CLOCK_BEHIND", behind_history=five) == (True, "5.000", "5")
    assert says("CLOCK_BEHIND", behind_history=five * 1.001)[:2] == (False, "5.005")


def test_a_symbol_on_the_blocklist_is_never_bought() -> None:
    listed = Settings(SCREENER_UNIVERSE_BLOCKLIST=("GME", "SPY"))
    assert says("SCREENER_UNIVERSE_BLOCKLIST")[0]
    assert says("SCREENER_UNIVERSE_BLOCKLIST", settings=listed)[:2] == (False, "listed")


def test_neither_is_a_listed_instrument_bought_in_the_place_of_another_symbol() -> None:
    listed = Settings(SCREENER_UNIVERSE_BLOCKLIST=("SH",))
    assert says("SCREENER_UNIVERSE_BLOCKLIST", settings=listed)[0] is True
    found = says("SCREENER_UNIVERSE_BLOCKLIST", settings=listed, instrument="SH")
    assert found[:2] == (False, "listed")


def test_what_is_held_long_term_is_traded_only_where_the_setting_allows_it() -> None:
    allowed = Settings(ALLOW_HOLDINGS_SYMBOLS=True)
    assert says("ALLOW_HOLDINGS_SYMBOLS", held_long_term=True)[0] is False
    assert says("ALLOW_HOLDINGS_SYMBOLS", held_long_term=True, settings=allowed)[0] is True
    assert says("ALLOW_HOLDINGS_SYMBOLS", settings=allowed)[0] is True


@pytest.mark.parametrize(
    ("tradable", "halted", "passed", "value"),
    [
        (True, None, True, "tradable"),  # this broker does not tell halts
        (True, False, True, "tradable"),
        (True, True, False, "halted"),
        (False, None, False, "not tradable"),
        (None, None, False, "not known"),
    ],
)
def test_a_symbol_that_is_halted_or_not_known_to_trade_denies(
    tradable: bool | None, halted: bool | None, passed: bool, value: str
) -> None:
    assert says("TRADABLE", tradable=tradable, halted=halted)[:2] == (passed, value)


DEFENSE = Settings(DEFENSE_MODE_ACTIVE=True)


def test_defense_mode_is_said_when_it_is_off_and_asked_when_it_is_on() -> None:
    for rule in ("DEFENSE_MODE_TOTAL_ALLOCATION", "DEFENSE_MODE_TRADE_LIMIT_PCT"):
        assert says(rule)[:2] == (True, "not active")
    held = {"settings": DEFENSE, "open_exposure": D("20000.01")}
    assert says("DEFENSE_MODE_TOTAL_ALLOCATION", **held) == (False, "0.250000", "0.25")
    assert says("DEFENSE_MODE_TRADE_LIMIT_PCT", settings=DEFENSE) == (False, "1.000000", "0.5")
    half = says("DEFENSE_MODE_TRADE_LIMIT_PCT", settings=DEFENSE, quantity=D(25))
    assert half == (True, "0.500000", "0.5")


def test_the_recorded_text_is_exact_and_whole() -> None:
    odd = msgspec.structs.replace(
        SOUND, clock_skew=timedelta(microseconds=-1_500_001), unreachable_since=NOW,
        halted=True, volume=None, price=None, equity=D("1E+5"), bid=D("0.000001"),
    )  # fmt: skip
    for inputs in (SOUND, odd):
        text = inputs.as_text()
        assert all(isinstance(value, str) for value in text.values())
        assert RiskInputs.read(text | {"range_high": "101.5"}) == inputs


def test_a_recorded_decision_that_lacks_an_input_is_named() -> None:
    text = SOUND.as_text()
    del text["cash_float"]
    with pytest.raises(DomainError, match="cash_float"):
        RiskInputs.read(text)


def test_a_spread_without_a_price_denies() -> None:
    assert says("MAX_SPREAD_PCT", price=None)[:2] == (False, "no price")


@pytest.mark.parametrize(("shares", "passed"), [(9_999, False), (10_000, True), (10_001, True)])
def test_volume_of_the_analysis_window(shares: int, passed: bool) -> None:
    found = says("MIN_VOLUME_THRESHOLD", volume=shares)
    assert found == (passed, str(shares), "10000")


def test_an_unknown_volume_denies_even_without_a_threshold() -> None:
    none = Settings(MIN_VOLUME_THRESHOLD=0)
    assert says("MIN_VOLUME_THRESHOLD", settings=none, volume=0)[0]
    found = says("MIN_VOLUME_THRESHOLD", settings=none, volume=None)
    assert found == (False, "no volume", "0")


@pytest.mark.parametrize(
    ("cash", "passed"), [("4999.99", False), ("5000", True), ("5000.01", True)]
)
def test_cash_float(cash: str, passed: bool) -> None:
    assert says("CASH_FLOAT", cash_float=D(cash)) == (passed, "5000", cash)
    assert verdict("CASH_FLOAT", FINE).unit == "USD"


def test_a_cost_that_is_not_known_denies() -> None:
    assert says("CASH_FLOAT", price=None)[:2] == (False, "no price")


@pytest.mark.parametrize(
    ("quantity", "passed"), [("0", False), ("0.000000001", True), ("-1", False)]
)
def test_size_is_above_zero(quantity: str, passed: bool) -> None:
    assert says("SIZE", quantity=D(quantity)) == (passed, quantity, "0")


def test_values_are_plain_decimals_never_scientific() -> None:
    tiny = but(quantity=D("1E-9"), cash_float=D("1E+5"))
    assert verdict("SIZE", tiny).value == "0.000000001"
    assert verdict("CASH_FLOAT", tiny).limit == "100000"


def test_what_was_sized_by_the_present_equity_passes_after_a_gain_and_after_a_loss() -> None:
    for equity in (D("101234.56"), D("98765.43")):
        sizing = size(
            FINE.settings, equity=equity, cash_float=equity, price=D("33.33"), stop=D("27.11"),
            step=D("0.000000001"), weight=D(1),
        )  # fmt: skip
        entry = but(
            equity=equity,
            usual_quantity=sizing.usual,
            price=D("33.33"),
            stop=D("27.11"),
            quantity=sizing.quantity,
        )
        assert sizing.quantity == sizing.by_risk
        assert verdict("MAX_RISK_PER_TRADE", entry).passed
