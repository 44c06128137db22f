"""A recorded decision, derived again from what was recorded with it and the settings of its day.

The rules, the sizes and the stops are computed by the code that trades; what is compared is every
number and every verdict of the record. A difference means that the record was not made by these
rules from these inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from aggregates.errors import DomainError
from aggregates.session import Decided
from config.calendar import SessionHours
from config.settings import Settings
from strategies.indicators import is_range, is_trailing, trailing_level
from strategies.opening_range import edges, window_of
from strategies.protocol import as_text
from strategies.risk import check_entry
from strategies.risk_context import RiskContext, RiskInputs
from strategies.sizing import size, weight_of

NONE = "none"
NOT_OF_A_STRATEGY = ("carried over",)  # exits that no price gave rise to


class Day(NamedTuple):
    """What else a decision rests on: the settings in force and the session's hours."""

    settings: Settings
    hours: SessionHours


class Inputs:
    """Recorded inputs as values. A missing one raises DomainError that names it."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts

    def text(self, name: str) -> str:
        try:
            return self.texts[name]
        except KeyError:
            raise DomainError(f"The input {name} is not recorded.") from None

    def number(self, name: str) -> Decimal:
        return Decimal(self.text(name))

    def maybe(self, name: str) -> Decimal | None:
        return None if self.text(name) == NONE else self.number(name)

    def time(self, name: str) -> datetime:
        return datetime.fromisoformat(self.text(name))


def differences(decided: Decided, day: Day) -> list[str]:
    """What comes out otherwise, in words; empty when the decision is derived as recorded."""
    try:
        return [
            f"{what}: recorded {recorded}, derived {derived}"
            for what, recorded, derived in DERIVE[decided.kind](
                decided, Inputs(decided.inputs), day
            )
            if recorded != derived
        ]
    except (DomainError, ArithmeticError, ValueError) as e:
        return [str(e)]


Compared = tuple[str, object, object]


def _entry(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    yield from _breakout(i, day)
    found = RiskInputs.read(d.inputs)
    close, low = i.number("close"), i.number("range_low")
    yield "signal", "strength", _side(i)
    yield "price", found.price, close
    yield "stop", found.stop, low
    yield "volume", i.text("volume"), i.text("analysis_volume")
    yield "initial_stop", i.number("initial_stop"), low
    yield "entry_deadline", found.entry_deadline, window_of(day.settings, day.hours).breakout_end
    yield from _sizes(d, i, day, found)
    context = RiskContext(
        settings=day.settings, hours=day.hours, strategy=d.strategy, symbol=d.symbol,
        now=d.occurred_at, inputs=found,
    )  # fmt: skip
    verdicts = check_entry(context)
    for told, again in zip(d.verdicts, verdicts, strict=False):
        yield f"verdict of {told.rule}", told, again
    yield "number of verdicts", len(d.verdicts), len(verdicts)
    yield "outcome", d.outcome, "taken" if all(v.passed for v in verdicts) else "refused"


def _sizes(d: Decided, i: Inputs, day: Day, found: RiskInputs) -> Iterator[Compared]:
    assert found.price is not None  # noqa: S101 - compared with the close before
    assert found.stop is not None  # noqa: S101
    sized = size(
        day.settings,
        equity=found.equity,
        cash_float=found.cash_float,
        price=found.price,
        stop=found.stop,
        step=i.number("quantity_step"),
        weight=weight_of(day.settings, d.strategy),
    )
    yield "quantity", found.quantity, sized.quantity
    yield "usual_quantity", found.usual_quantity, sized.usual
    yield "risk_per_share", i.number("risk_per_share"), sized.risk_per_share
    yield "quantity_by_risk", i.number("quantity_by_risk"), sized.by_risk
    yield "quantity_by_allocation", i.number("quantity_by_allocation"), sized.by_allocation
    yield "quantity_by_cash", i.number("quantity_by_cash"), sized.by_cash


def _breakout(i: Inputs, day: Day) -> Iterator[Compared]:
    """What every signal of the opening range rests on."""
    buffer, window = day.settings.STRAT_OPEN_BUFFER, window_of(day.settings, day.hours)
    above, below = edges(i.number("range_high"), i.number("range_low"), buffer)
    yield "buffer", i.number("buffer"), buffer
    yield "breakout_above", i.number("breakout_above"), above
    yield "breakdown_below", i.number("breakdown_below"), below
    yield "range_start", i.text("range_start"), as_text(window.start)
    yield "range_end", i.text("range_end"), as_text(window.analysis_end)
    yield (
        "range that holds",
        True,
        is_range(int(i.text("range_bars")), int(i.text("range_minutes"))),
    )


def _side(i: Inputs) -> str:
    close = i.number("close")
    if close > i.number("breakout_above"):
        return "strength"
    return "weakness" if close < i.number("breakdown_below") else "neither"


def _bearish(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    yield from _breakout(i, day)
    yield "signal", "weakness", _side(i)
    yield "short_type", i.text("short_type"), day.settings.SHORT_TYPE_OPEN
    yield "outcome", d.outcome, "no_instrument"


def _no_range(d: Decided, i: Inputs, _day: Day) -> Iterator[Compared]:
    held = is_range(int(i.text("range_bars")), int(i.text("range_minutes")))
    yield "range that holds", False, held
    yield "outcome", d.outcome, "no_trade"


def _exit(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    """An exit sells what is held, whatever the rules say; its reason is what is derived."""
    yield "outcome", d.outcome, "taken"
    yield "quantity above 0", True, i.number("quantity") > 0
    if "low" in i.texts:
        yield from _stop(d, i, day)
    elif "monitoring_end" in i.texts:
        end = window_of(day.settings, day.hours).monitoring_end
        yield "reason", d.reason, "end of monitoring"
        yield "monitoring_end", i.text("monitoring_end"), as_text(end)
        yield "at or after the end of monitoring", True, d.occurred_at >= end
    elif "at_broker" in i.texts:  # sold by the kill switch: what both sides knew of
        yield "no more than at the broker", True, i.number("quantity") <= i.number("at_broker")
    else:
        yield "reason", True, d.reason in NOT_OF_A_STRATEGY


def _stop(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    fraction, mark = day.settings.TRADING_TRAILING_STOP_PCT, i.maybe("high_water_mark")
    initial = i.maybe("initial_stop")
    trailing = None if mark is None else trailing_level(mark, fraction)
    stop = max(level for level in (initial, trailing) if level is not None)
    yield "trailing_fraction", i.number("trailing_fraction"), fraction
    yield "trailing_stop", i.maybe("trailing_stop"), trailing
    yield "stop", i.number("stop"), stop
    yield "bar touches the stop", True, i.number("low") <= stop
    yield "reason", d.reason, "trailing stop" if is_trailing(initial, trailing) else "stop"


def _disabled(_d: Decided, _i: Inputs, _day: Day) -> Iterator[Compared]:
    """Nothing was looked at, so nothing follows."""
    yield from ()


DERIVE: dict[str, Callable[[Decided, Inputs, Day], Iterator[Compared]]] = {
    "entry": _entry,
    "bearish": _bearish,
    "no_range": _no_range,
    "exit": _exit,
    "disabled": _disabled,
}
