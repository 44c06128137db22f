"""A recorded decision, derived again from what was recorded with it and the settings of its day.

The rules, the sizes and the stops are computed by the code that trades; what is compared is every
number and every verdict of the record. A difference means that the record was not made by these
rules from these inputs. Here is what all strategies have in common; each has its own half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aggregates.errors import DomainError
from aggregates.session import Decided
from strategies import closing_derivation, opening_range_derivation, vwap_reversion_derivation
from strategies.bearish_derivation import compared_instrument
from strategies.derived import Compared, Day, Half, Inputs
from strategies.installed import short_type
from strategies.protocol import as_text
from strategies.risk import check_entry
from strategies.risk_context import RiskContext, RiskInputs
from strategies.session_strategy import DISABLED, ENDED, UNBOUGHT
from strategies.sizing import size, weight_of
from strategies.stops import nearest, trailing_level, trails

__all__ = ["Compared", "Day", "Inputs", "differences"]

NOT_OF_A_STRATEGY = ("carried over",)  # exits that no price gave rise to
TOLD = ("execution_id", "activity_id")  # a sale by hand, an expiry: what the broker told
HALVES = {
    "OPEN": opening_range_derivation.HALF,
    "MID": vwap_reversion_derivation.HALF,
    "CLOSE": closing_derivation.HALF,
}


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


def _half(d: Decided) -> Half:
    try:
        return HALVES[d.strategy]
    except KeyError:
        raise DomainError(f"There is no strategy {d.strategy}.") from None


# -- entries -----------------------------------------------------------------------------------


def _entry(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    half = _half(d)
    yield from half.signal(i, day)
    found = RiskInputs.read(d.inputs)
    stop, _ = half.stops(i, day)
    yield "signal", "strength", half.side(i, day)
    yield "reason", d.reason, half.reasons(i)[0]
    yield "price", found.price, i.number("close")
    yield "stop", found.stop, stop
    yield "initial_stop", i.number("initial_stop"), stop
    yield from _judged(d, i, day, found)


def _bearish(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    half, kind = _half(d), short_type(day.settings, d.strategy)
    yield from half.signal(i, day)
    yield "signal", "weakness", half.side(i, day)
    yield "short_type", i.text("short_type"), kind
    # SHORT_TYPE_…=disabled: nothing was looked for, so nothing is recorded but the weakness.
    if kind == DISABLED:
        yield "reason", d.reason, UNBOUGHT
        yield "outcome", d.outcome, "no_instrument"
        return
    yield "initial_stop", i.number("initial_stop"), half.stops(i, day)[1]
    if d.outcome == "no_instrument":  # why not is said in words, of what was there then
        yield "no order", None, d.order_id
        return
    yield from compared_instrument(i, day)
    yield "reason", d.reason, half.reasons(i)[1]
    yield from _judged(d, i, day, RiskInputs.read(d.inputs))


def _judged(d: Decided, i: Inputs, day: Day, found: RiskInputs) -> Iterator[Compared]:
    """The size and every rule, of the symbol itself or of what is bought in its place."""
    yield "volume", i.text("volume"), i.text("analysis_volume")
    yield "entry_deadline", found.entry_deadline, _half(d).window(i, day).breakout_end
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
    if found.price is None or found.stop is None:
        raise DomainError("There was no price or no stop, so nothing could be sized.")
    sized = size(
        day.settings,
        equity=found.equity,
        cash_float=found.cash_float,
        price=found.price * found.multiplier,
        stop=found.stop * found.multiplier,
        step=i.number("quantity_step"),
        weight=weight_of(day.settings, d.strategy),
        defense=found.defense,
    )
    yield "quantity", found.quantity, sized.quantity
    yield "usual_quantity", found.usual_quantity, sized.usual
    yield "risk_per_share", i.number("risk_per_share"), sized.risk_per_share
    yield "quantity_by_risk", i.number("quantity_by_risk"), sized.by_risk
    yield "quantity_by_allocation", i.number("quantity_by_allocation"), sized.by_allocation
    yield "quantity_by_cash", i.number("quantity_by_cash"), sized.by_cash


def _no_range(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    yield from _half(d).why_not(d.reason, i, day)
    yield "outcome", d.outcome, "no_trade"


def _disabled(_d: Decided, _i: Inputs, _day: Day) -> Iterator[Compared]:
    """Nothing was looked at, so nothing follows."""
    yield from ()


# -- exits -------------------------------------------------------------------------------------


def _exit(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    """An exit sells what is held, whatever the rules say; its reason is what is derived."""
    yield "outcome", d.outcome, "taken"
    yield "quantity above 0", True, i.number("quantity") > 0
    if "stop" in i.texts:
        yield from _stop(d, i, day)
    elif "monitoring_end" in i.texts:
        window = _half(d).window(i, day)
        end = window.monitoring_end
        yield "reason", d.reason, ENDED
        if "range_start" in i.texts:
            yield "range_start", i.text("range_start"), as_text(window.start)
        yield "monitoring_end", i.text("monitoring_end"), as_text(end)
        yield "at or after the end of monitoring", True, d.occurred_at >= end
    elif "vwap" in i.texts and (own := _half(d).own_exit) is not None:
        yield from own(d.reason, i, day)
    elif "at_broker" in i.texts:  # sold by the kill switch: what both sides knew of
        yield "no more than at the broker", True, i.number("quantity") <= i.number("at_broker")
    elif i.texts.keys().isdisjoint(TOLD):
        yield "reason", True, d.reason in NOT_OF_A_STRATEGY


def _stop(d: Decided, i: Inputs, day: Day) -> Iterator[Compared]:
    """Below a long position; above the underlying of one that was bought on weakness."""
    fraction, initial = day.settings.TRADING_TRAILING_STOP_PCT, i.maybe("initial_stop")
    mirrored = "underlying" in i.texts
    mark = i.maybe("low_water_mark" if mirrored else "high_water_mark")
    trailing = None if mark is None else trailing_level(mark, fraction, mirrored)
    stop = nearest([stop for stop in (initial, trailing) if stop is not None], mirrored)
    touched = i.number("high") >= stop if mirrored else i.number("low") <= stop
    yield "trailing_fraction", i.number("trailing_fraction"), fraction
    yield "trailing_stop", i.maybe("trailing_stop"), trailing
    yield "stop", i.number("stop"), stop
    yield "bar touches the stop", True, touched
    yield "reason", d.reason, "trailing stop" if trails(initial, trailing, mirrored) else "stop"


DERIVE: dict[str, Callable[[Decided, Inputs, Day], Iterator[Compared]]] = {
    "entry": _entry,
    "bearish": _bearish,
    "no_range": _no_range,
    "exit": _exit,
    "disabled": _disabled,
}
