"""Decisions of all strategies derive as recorded, and what was changed in a record is noticed."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from beside import beside

from aggregates.inverse_etfs import InverseEtf
from aggregates.market import Bar, Quote
from aggregates.session import Decided
from config.settings import Settings
from strategies.bearish import Instrument, inverse_etf
from strategies.derivation import Day, differences
from strategies.installed import install
from strategies.protocol import Signal
from strategies.risk import check_entry
from strategies.risk_context import RiskContext, RiskInputs
from strategies.sizing import size, weight_of

days = beside("unit/strategy_days")
D, at, bar, held, fed = Decimal, days.at, days.bar, days.held, days.fed
HOURS = days.HOURS
SETTINGS = Settings(
    OPEN_ANALYSIS_TIME=4, OPEN_BREAKOUT_TIME=10, OPEN_MONITORING_TIME=10,
    STRAT_MID_ENABLED=True, START_TIME_MID=time(10, 30),
    MID_ANALYSIS_TIME=4, MID_BREAKOUT_TIME=10, MID_MONITORING_TIME=10,
    STRAT_CLOSE_ENABLED=True, CLOSE_ANALYSIS_TIME=4, CLOSE_BREAKOUT_TIME=6,
    CLOSE_MONITORING_TIME=10, TRADING_TRAILING_STOP_PCT=D("0.05"), MIN_VOLUME_THRESHOLD=1,
    WEIGHT_OPEN=D("0.4"), WEIGHT_MID=D("0.3"), WEIGHT_CLOSE=D("0.3"),
    SHORT_TYPE_OPEN="InverseETF", SHORT_TYPE_MID="InverseETF", SHORT_TYPE_CLOSE="InverseETF",
)  # fmt: skip
MID_SINCE = at(61) + timedelta(seconds=30)  # so that its window starts a minute later
DAY = Day(SETTINGS, HOURS, MID_SINCE)
# the minute at which each strategy looks at the bar of its signal, and bars that lead there
RANGE = [bar(m, "95", high="100", low="90") for m in range(4)]
MORNING = [bar(m, "100") for m in range(66)]
WINDOW = [bar(0, "94"), *(bar(m, "95", opened="94", high="100", low="90") for m in range(300, 304))]
FALLING = [
    bar(0, "96"), *(bar(m, "95", opened="95.5", high="100", low="90") for m in range(300, 304)),
]  # fmt: skip
BEFORE = {"OPEN": (4, RANGE), "MID": (66, MORNING), "CLOSE": (304, WINDOW)}


def strategy(name: str, *bars: Bar, settings: Settings = SETTINGS) -> Any:
    return fed(install(name, settings, HOURS, ("SPY",), MID_SINCE), *bars)


def seen(name: str, close: str, before: list[Bar] | None = None) -> tuple[Signal, Any, datetime]:
    minute, usual = BEFORE[name]
    playing = strategy(name, *(before or usual), bar(minute, close))
    (signal,) = playing.entries(at(minute + 1), set())
    return signal, playing, at(minute + 1)


def recorded(signal: Signal, now: datetime, **facts: Any) -> Decided:
    return Decided(
        occurred_at=now, effective_date=HOURS.day, decision_id="d", strategy=signal.strategy,
        symbol=signal.symbol, kind=signal.kind, reason=signal.reason, inputs=signal.inputs,
        **{"outcome": "taken", "verdicts": (), "order_id": None} | facts,
    )  # fmt: skip


def judged(
    signal: Signal, playing: Any, now: datetime, instrument: Instrument | None = None
) -> Decided:
    """As the bot records an entry: what was looked at, its size, every verdict."""
    price, stop = (instrument or signal).price, (instrument or signal).stop
    assert price is not None
    assert stop is not None
    sizing = size(
        SETTINGS, equity=D(100000), cash_float=D(90000), price=price, stop=stop, step=D("0.001"),
        weight=weight_of(SETTINGS, signal.strategy),
    )  # fmt: skip
    inputs = RiskInputs(
        entries_blocked="", unreachable_since=None, open_differences=0,
        clock_skew=timedelta(), behind_history=timedelta(),
        entry_deadline=playing.window.breakout_end, equity=D(100000), equity_at_open=D(100100),
        realized_today=D(-50), unrealized_today=D(0), open_exposure=D(0), open_positions=0,
        trades_today=1, cash_float=D(90000), tradable=True, halted=False, held_long_term=False,
        bid=price - D("0.01"), ask=price, quote_known_at=now,
        volume=playing.analysis_volume("SPY"), price=price, stop=stop,
        usual_quantity=sizing.usual, quantity=sizing.quantity,
        instrument=instrument.symbol if instrument else "",
        vix=D("21.5") if signal.strategy == "CLOSE" else None,
    )  # fmt: skip
    verdicts = check_entry(
        RiskContext(settings=SETTINGS, hours=HOURS, strategy=signal.strategy, symbol="SPY",
                    now=now, inputs=inputs)
    )  # fmt: skip
    sized = {
        "risk_per_share": sizing.risk_per_share, "quantity_by_risk": sizing.by_risk,
        "quantity_by_allocation": sizing.by_allocation, "quantity_by_cash": sizing.by_cash,
        "quantity_step": D("0.001"),
    }  # fmt: skip
    chosen = instrument.inputs if instrument else {}
    texts = {name: f"{value:f}" for name, value in sized.items()}
    told = msgspec.structs.replace(signal, inputs=signal.inputs | chosen | inputs.as_text() | texts)
    assert all(v.passed for v in verdicts), [v for v in verdicts if not v.passed]
    return recorded(told, now, verdicts=verdicts, order_id="d")


def fund(signal: Signal, now: datetime) -> Instrument:
    quote = Quote(
        symbol="SH", start=now - days.MINUTE, bid=D("39.99"), bid_size=1, ask=D("40"), ask_size=1
    )
    mapped = InverseEtf(underlying="SPY", etf="SH", leverage=D(1))
    found = inverse_etf(signal, mapped, quote, now)
    assert isinstance(found, Instrument)
    return found


def entry(name: str) -> Decided:
    return judged(*seen(name, "98" if name == "MID" else "101"))


def on_weakness(name: str) -> Decided:
    before = FALLING if name == "CLOSE" else None
    signal, playing, now = seen(name, "102" if name == "MID" else "89.5", before)
    return judged(signal, playing, now, fund(signal, now))


def exits() -> Iterator[tuple[str, Decided]]:
    """Of every strategy and reason, held long and on another's weakness."""
    ends = {"OPEN": 24, "MID": 86, "CLOSE": 320}
    for name, (minute, before) in BEFORE.items():
        last = bar(minute, "95", volume=0)
        for side, holding in (("long", held(minute + 1)), ("mirrored", _mirrored(minute + 1))):
            for what, later in _leading_out(minute + 1, side):
                playing = strategy(name, *before, last, *later)
                (signal,) = playing.exits(at(ends[name]), holding)
                yield f"{name} {side} {what}", recorded(signal, at(ends[name]))


def _mirrored(minute: int) -> Any:
    return held(minute, "SH", on_weakness_of="SPY")


def _leading_out(minute: int, side: str) -> Iterator[tuple[str, list[Bar]]]:
    yield "stop", [bar(minute, "80" if side == "long" else "120", volume=0)]
    risen, back = ("99", "93") if side == "long" else ("90.5", "96")
    yield "trail", [bar(minute, risen, volume=0), bar(minute + 1, back, volume=0)]
    yield "end", [bar(minute, "95", volume=0)]
    yield "vwap", [bar(minute, "95", volume=0), bar(minute + 1, "100" if side == "long" else "95")]


EXITS = dict(exits())
ENTRIES = {
    **{f"{name} long": entry(name) for name in BEFORE},
    **{f"{name} bearish": on_weakness(name) for name in BEFORE},
}


@pytest.mark.parametrize("which", [*ENTRIES, *EXITS])
def test_every_decision_derives_as_it_was_recorded(which: str) -> None:
    assert differences((ENTRIES | EXITS)[which], DAY) == []


def test_the_exits_are_of_every_reason() -> None:
    told = {(d.strategy, d.symbol, d.reason) for d in EXITS.values()}
    for name in BEFORE:
        for symbol in ("SPY", "SH"):
            own = {"VWAP reached"} if name == "MID" else {"end of monitoring"}
            found = {reason for n, s, reason in told if (n, s) == (name, symbol)}
            assert found >= {"stop", *own}, (name, symbol, found)
    assert {s for _, s, reason in told if reason == "trailing stop"} == {"SPY", "SH"}


@pytest.mark.parametrize(
    ("reason", "told"),
    [("sold by hand: in a hurry", "execution_id"), ("expired worthless", "activity_id")],
)
def test_what_the_broker_told_of_an_open_session_needs_no_derivation(
    reason: str, told: str
) -> None:
    signal = Signal(
        strategy="CLOSE", symbol="SPY", kind="exit", reason=reason, price=None, stop=None,
        inputs={"quantity": "5", told: "4711"},
    )  # fmt: skip
    assert differences(recorded(signal, at(30)), DAY) == []
    unsaid = msgspec.structs.replace(signal, inputs={"quantity": "5"})
    assert differences(recorded(unsaid, at(30)), DAY) != []


def altered(value: str) -> Iterator[str]:
    """Another value of the same sort."""
    if value in ("up", "down", "momentum", "fade"):
        yield {"up": "down", "down": "up", "momentum": "fade", "fade": "momentum"}[value]
    elif "T" in value and value.startswith("20"):
        yield "2001" + value[4:]
    elif value.replace(".", "").replace("-", "").isdigit():
        yield f"{Decimal(value) * 3 + 7:f}"
        if Decimal(value):
            yield f"{Decimal(value) / 8:f}"


def unnoticed(decided: Decided) -> set[str]:
    """The inputs that can be another one without its being seen."""
    return {
        name
        for name, value in decided.inputs.items()
        for other in altered(value)
        if not differences(
            msgspec.structs.replace(decided, inputs=decided.inputs | {name: other}), DAY
        )
    }


# what a decision is taken at, but nothing follows from; of CLOSE only on which side the moves are
TOLD = {
    "OPEN": {"bar_start", "range_bars"},
    "MID": {"bar_start", "range_bars", "range_high", "range_low"},
    "CLOSE": {
        "bar_start", "range_bars", "range_high", "range_low",
        "session_open", "window_open", "window_close",
    },
}  # fmt: skip
HELD = {"bar_start", "close", "quantity", "average_price", "first_fill_at"}
OF_A_STOP = {"stop": {"low", "high"}, "trailing stop": {"low", "high", "initial_stop"}}


@pytest.mark.parametrize("which", ENTRIES)
def test_a_changed_entry_is_noticed(which: str) -> None:
    decided = ENTRIES[which]
    assert unnoticed(decided) <= TOLD[decided.strategy]


@pytest.mark.parametrize("which", EXITS)
def test_a_changed_exit_is_noticed(which: str) -> None:
    decided = EXITS[which]
    assert unnoticed(decided) <= HELD | OF_A_STOP.get(decided.reason, set())


@pytest.mark.parametrize("which", ["MID long", "MID bearish", "CLOSE long", "CLOSE bearish"])
@pytest.mark.parametrize(
    "change",
    [
        {"vwap": "50"}, {"stretched_below": "1"}, {"initial_stop": "1"}, {"threshold": "0.5"},
        {"plan": "fade"}, {"direction": "sideways"}, {"range_end": "2013-10-07T14:35Z"},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_signal_rests_on_is_named(which: str, change: dict[str, str]) -> None:
    decided, (name,) = ENTRIES[which], change
    if name not in decided.inputs:
        return
    found = differences(msgspec.structs.replace(decided, inputs=decided.inputs | change), DAY)
    assert any(name in line for line in found), found


def test_a_reason_or_an_outcome_that_was_changed_is_named() -> None:
    for decided in (*ENTRIES.values(), *EXITS.values()):
        for change in ({"reason": "stop it"}, {"outcome": "refused"}):
            assert differences(msgspec.structs.replace(decided, **change), DAY), change


def test_the_window_of_mid_is_by_when_its_phase_was_begun() -> None:
    early = Day(SETTINGS, HOURS, at(60))
    assert any("range_start" in line for line in differences(ENTRIES["MID long"], early))
    assert differences(ENTRIES["MID long"], Day(SETTINGS, HOURS)) == []  # as far as is known


def test_weakness_without_an_instrument_and_with_none_to_be_had() -> None:
    signal, _, now = seen("MID", "102")
    none = msgspec.structs.replace(signal, reason="bearish, no inverse ETF is mapped to SPY")
    assert differences(recorded(none, now, outcome="no_instrument"), DAY) == []
    assert differences(recorded(none, now, outcome="no_instrument", order_id="d"), DAY)
    disabled = Settings(
        **{f: getattr(SETTINGS, f) for f in ("START_TIME_MID", "MID_ANALYSIS_TIME")},
        SHORT_TYPE_MID="disabled",
    )
    assert any("short_type" in line for line in differences(
        recorded(none, now, outcome="no_instrument"), Day(disabled, HOURS, MID_SINCE)
    ))  # fmt: skip


@pytest.mark.parametrize("name", ["OPEN", "MID", "CLOSE"])
def test_no_range_derives_and_a_range_that_held_is_noticed(name: str) -> None:
    minute, before = BEFORE[name]
    thin = [b for b in before if b.start < at(minute - 3)]
    (signal,) = strategy(name, *thin).entries(at(minute), set())
    decided = recorded(signal, at(minute), outcome="no_trade")
    assert differences(decided, DAY) == []
    lie = msgspec.structs.replace(decided, inputs=decided.inputs | {"range_bars": "4"})
    assert any("range that holds" in line for line in differences(lie, DAY))


def test_a_day_without_a_move_derives() -> None:
    still = [bar(0, "95"), *(bar(m, "95", opened="94") for m in range(300, 304))]
    (signal,) = strategy("CLOSE", *still).entries(at(304), set())
    decided = recorded(signal, at(304), outcome="no_trade")
    assert differences(decided, DAY) == []
    lie = msgspec.structs.replace(decided, inputs=decided.inputs | {"session_open": "94"})
    assert any(line.startswith("plan") for line in differences(lie, DAY))


def test_a_strategy_that_there_is_not_is_named() -> None:
    lie = msgspec.structs.replace(ENTRIES["OPEN long"], strategy="NIGHT")
    assert differences(lie, DAY) == ["There is no strategy NIGHT."]
