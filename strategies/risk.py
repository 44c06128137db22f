"""Risk rules at submit time (M12, M13): every rule is asked every time, and each says why.

Missing data denies. Comparing is exact; only the text of a quotient is rounded (6 decimals,
half to even), so a value may read like its limit and still be on the other side of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from aggregates.money import divide_half_even, from_scaled
from aggregates.session import Verdict
from strategies.protocol import as_text, minute_of
from strategies.risk_context import RiskContext

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
QUOTE_LIVES = timedelta(minutes=5)
MAX_SKEW = timedelta(seconds=5)
SHOWN = 10**6  # quotients are shown with 6 decimals
NOT_KNOWN = "not known"


class Finding(NamedTuple):
    """What a rule found; with the rule's name it becomes a Verdict."""

    passed: bool
    value: str
    limit: str
    unit: str


Rule = Callable[[RiskContext], Finding]


def trades_enabled(c: RiskContext) -> Finding:
    # DISABLE_ALL_TRADES=true: signals are still judged by every rule, and none is traded.
    off = c.settings.DISABLE_ALL_TRADES
    return Finding(not off, _switch(off), "false", "true/false")


def strategy_enabled(c: RiskContext) -> Finding:
    # STRAT_…_ENABLED=false: the strategy's signals are judged and recorded, none is traded.
    # A strategy without such a switch cannot be switched off, so it may not trade either.
    on = getattr(c.settings, f"STRAT_{c.strategy}_ENABLED", None)
    return Finding(
        on is True, "no such setting" if on is None else _switch(on), "true", "true/false"
    )


def entries_allowed(c: RiskContext) -> Finding:
    """A stop or a kill that was asked for."""
    blocked = c.inputs.entries_blocked
    return Finding(not blocked, blocked or "allowed", "allowed", "start/stop/kill")


def broker_answers(c: RiskContext) -> Finding:
    since = c.inputs.unreachable_since
    value = "answers" if since is None else f"no answer since {as_text(since)}"
    return Finding(since is None, value, "answers", "broker")


def books_agree(c: RiskContext) -> Finding:
    """Differences between the books and the broker that nobody has explained."""
    open_ones = c.inputs.open_differences
    value = NOT_KNOWN if open_ones is None else str(open_ones)
    return Finding(open_ones == 0, value, "0", "open differences from the broker")


def clock_agrees(c: RiskContext) -> Finding:
    skew, limit = c.inputs.clock_skew, f"{MAX_SKEW.total_seconds():g}"
    if skew is None:
        return Finding(False, NOT_KNOWN, limit, "seconds off the broker's clock, at most")
    value = f"{skew.total_seconds():.3f}"
    return Finding(abs(skew) <= MAX_SKEW, value, limit, "seconds off the broker's clock, at most")


def blocklist(c: RiskContext) -> Finding:
    # SCREENER_UNIVERSE_BLOCKLIST: its symbols are judged and recorded, and never bought.
    # Neither is what would be bought in the place of another symbol.
    wanted, blocked = {c.symbol, c.inputs.instrument}, c.settings.SCREENER_UNIVERSE_BLOCKLIST
    listed = not wanted.isdisjoint(blocked)
    # blocked on the page: from the next entry on, without waiting for the next session's settings
    value = c.inputs.blocked or ("listed" if listed else "not listed")
    return Finding(value == "not listed", value, "not listed", "blocklist")


def holdings_symbol(c: RiskContext) -> Finding:
    # ALLOW_HOLDINGS_SYMBOLS=true: strategies may trade what is held long-term or planned to be,
    # apart from it.
    allowed, held = c.settings.ALLOW_HOLDINGS_SYMBOLS, c.inputs.held_long_term
    value = "held long-term" if held else "not held long-term"
    limit = "any" if allowed else "not held long-term"
    return Finding(allowed or not held, value, limit, "long-term holdings")


def tradable(c: RiskContext) -> Finding:
    """A broker that does not tell halts leaves them to the age of the quote."""
    i = c.inputs
    told = "not tradable" if i.tradable is False else "halted" if i.halted else "tradable"
    passed = i.tradable is True and not i.halted
    return Finding(passed, NOT_KNOWN if i.tradable is None else told, "tradable", "broker's word")


def clock_goes_on(c: RiskContext) -> Finding:
    """A clock that was put back: the history is ahead of it."""
    behind, limit = c.inputs.behind_history, f"{MAX_SKEW.total_seconds():g}"
    value = f"{behind.total_seconds():.3f}"
    return Finding(behind <= MAX_SKEW, value, limit, "seconds behind the history, at most")


def trading_day(c: RiskContext) -> Finding:
    # TRADING_DAYS: on other days of the week the bot watches and judges, and buys nothing.
    day = WEEKDAYS[c.hours.day.weekday()]
    allowed = c.settings.TRADING_DAYS
    return Finding(day in allowed, day, ",".join(allowed), "weekdays")


def session_hours(c: RiskContext) -> Finding:
    limit = f"{as_text(c.hours.open)}/{as_text(c.hours.close)}"
    return Finding(
        c.hours.open <= c.now < c.hours.close, as_text(c.now), limit, "UTC, before the close"
    )


def entry_deadline(c: RiskContext) -> Finding:
    in_time = minute_of(c.now) <= c.inputs.entry_deadline
    return Finding(in_time, as_text(c.now), as_text(c.inputs.entry_deadline), "UTC")


def daily_loss(c: RiskContext) -> Finding:
    """A loss that reaches the limit ends the day's entries; a gain shows as a negative loss."""
    limit, unit = c.settings.DAILY_LOSS_LIMIT, "loss as fraction of equity at open, below"
    if c.inputs.equity_at_open <= 0:
        return Finding(False, "no equity", as_text(limit), unit)
    lost = -(Fraction(c.inputs.realized_today) + Fraction(c.inputs.unrealized_today))
    share = lost / Fraction(c.inputs.equity_at_open)
    return Finding(share < Fraction(limit), _shown(share), as_text(limit), unit)


def risk_per_trade(c: RiskContext) -> Finding:
    limit, unit = c.settings.MAX_RISK_PER_TRADE, "fraction of equity"
    if c.inputs.price is None or c.inputs.stop is None:
        missing = "no price" if c.inputs.price is None else "no stop"
        return Finding(False, missing, as_text(limit), unit)
    if c.inputs.stop >= c.inputs.price:
        return Finding(False, "stop not below price", as_text(limit), unit)
    units = Fraction(c.inputs.quantity) * c.inputs.multiplier
    risk = (Fraction(c.inputs.price) - Fraction(c.inputs.stop)) * units
    return _of_equity(c, risk, limit, unit)


def total_allocation(c: RiskContext) -> Finding:
    """The worst case: what is held, every pending entry filled whole, and this one."""
    return _allocated(c, c.settings.TOTAL_ALLOCATION)


def defense_allocation(c: RiskContext) -> Finding:
    unit = "fraction of equity, this entry included"
    # DEFENSE_MODE_ACTIVE=false, and not switched on by hand: TOTAL_ALLOCATION alone holds.
    if not c.defense:
        return Finding(True, "not active", as_text(c.settings.DEFENSE_MODE_TOTAL_ALLOCATION), unit)
    return _allocated(c, c.settings.DEFENSE_MODE_TOTAL_ALLOCATION)


def defense_size(c: RiskContext) -> Finding:
    limit, unit = c.settings.DEFENSE_MODE_TRADE_LIMIT_PCT, "of the usual size"
    # DEFENSE_MODE_ACTIVE=false, and not switched on by hand: a trade has its usual size.
    if not c.defense:
        return Finding(True, "not active", as_text(limit), unit)
    usual, quantity = Fraction(c.inputs.usual_quantity), Fraction(c.inputs.quantity)
    if usual <= 0:
        return Finding(False, "no usual size", as_text(limit), unit)
    share = quantity / usual
    return Finding(share <= Fraction(limit), _shown(share), as_text(limit), unit)


def open_positions(c: RiskContext) -> Finding:
    count, limit = c.inputs.open_positions + 1, c.settings.MAX_OPEN_POSITIONS
    return Finding(count <= limit, str(count), str(limit), "positions, this one included")


def trades_today(c: RiskContext) -> Finding:
    # MAX_TRADES=0: every signal is judged, none is traded.
    count, limit = c.inputs.trades_today + 1, c.settings.MAX_TRADES
    return Finding(count <= limit, str(count), str(limit), "trades, this one included")


def quote_age(c: RiskContext) -> Finding:
    """Since the quote became known. One of the future is none, but for what clocks may differ."""
    known, limit = c.inputs.quote_known_at, f"{QUOTE_LIVES.total_seconds():g}"
    unit = "seconds since the quote, at most"
    if known is None or known > c.now + MAX_SKEW:
        return Finding(False, "no quote", limit, unit)
    age = max(c.now - known, timedelta(0))
    return Finding(age <= QUOTE_LIVES, f"{age.total_seconds():g}", limit, unit)


def spread(c: RiskContext) -> Finding:
    """Spread ÷ signal price, or how far the ask is above that price when this is more: either is
    paid at once. A quote that is crossed or not above 0 is none."""
    # Of a put, PUT_MAX_SPREAD_PCT is the limit: options are quoted wider than shares.
    s, option = c.settings, c.inputs.multiplier > 1
    limit, unit = s.PUT_MAX_SPREAD_PCT if option else s.MAX_SPREAD_PCT, "fraction of price"
    price, bid, ask = c.inputs.price, c.inputs.bid, c.inputs.ask
    if bid is None or ask is None or not 0 < bid <= ask:
        return Finding(False, "no quote", as_text(limit), unit)
    if price is None or price <= 0:
        return Finding(False, "no price", as_text(limit), unit)
    share = (Fraction(ask) - Fraction(min(bid, price))) / Fraction(price)
    return Finding(share <= Fraction(limit), _shown(share), as_text(limit), unit)


def volume(c: RiskContext) -> Finding:
    # MIN_VOLUME_THRESHOLD=0: any volume will do, but a volume that is not known still denies.
    limit, unit = c.settings.MIN_VOLUME_THRESHOLD, "shares in the analysis window, at least"
    if c.inputs.volume is None:
        return Finding(False, "no volume", str(limit), unit)
    return Finding(c.inputs.volume >= limit, str(c.inputs.volume), str(limit), unit)


def cash_float(c: RiskContext) -> Finding:
    """Strategies spend the cash float only, never the broker's buying power."""
    limit, unit = as_text(c.inputs.cash_float), c.settings.CURRENCY_CODE
    if c.cost is None:
        return Finding(False, "no price", limit, unit)
    return Finding(c.cost <= c.inputs.cash_float, as_text(c.cost), limit, unit)


def quantity(c: RiskContext) -> Finding:
    return Finding(c.inputs.quantity > 0, as_text(c.inputs.quantity), "0", "shares, above")


def vix_gate(c: RiskContext) -> Finding:
    """CLOSE trades on nervous days only. A VIX that is not known denies (M18)."""
    vix, limit = c.inputs.vix, c.settings.STRAT_CLOSE_VIX_THRESHOLD
    value = NOT_KNOWN if vix is None else as_text(vix)
    return Finding(vix is not None and vix > limit, value, as_text(limit), "VIX points, above")


# The order in which verdicts are recorded. The names are those of the settings where one exists.
RULES: dict[str, Rule] = {
    "DISABLE_ALL_TRADES": trades_enabled,
    "STRAT_{strategy}_ENABLED": strategy_enabled,
    "CONTROL": entries_allowed,
    "BROKER": broker_answers,
    "RECONCILED": books_agree,
    "CLOCK_SKEW": clock_agrees,
    "CLOCK_BEHIND": clock_goes_on,
    "TRADING_DAYS": trading_day,
    "SESSION_HOURS": session_hours,
    "ENTRY_DEADLINE": entry_deadline,
    "SCREENER_UNIVERSE_BLOCKLIST": blocklist,
    "ALLOW_HOLDINGS_SYMBOLS": holdings_symbol,
    "TRADABLE": tradable,
    "DAILY_LOSS_LIMIT": daily_loss,
    "MAX_RISK_PER_TRADE": risk_per_trade,
    "TOTAL_ALLOCATION": total_allocation,
    "DEFENSE_MODE_TOTAL_ALLOCATION": defense_allocation,
    "DEFENSE_MODE_TRADE_LIMIT_PCT": defense_size,
    "MAX_OPEN_POSITIONS": open_positions,
    "MAX_TRADES": trades_today,
    "QUOTE_AGE": quote_age,
    "MAX_SPREAD_PCT": spread,
    "MIN_VOLUME_THRESHOLD": volume,
    "CASH_FLOAT": cash_float,
    "SIZE": quantity,
}


# Asked of entries of one strategy only, after the others.
OWN_RULES: dict[str, dict[str, Rule]] = {"CLOSE": {"STRAT_CLOSE_VIX_THRESHOLD": vix_gate}}


def check_entry(context: RiskContext) -> tuple[Verdict, ...]:
    """The verdict of every rule, in the table's order; one that has not passed refuses."""
    asked = RULES | OWN_RULES.get(context.strategy, {})
    return tuple(_verdict(name, rule(context), context) for name, rule in asked.items())


def _verdict(name: str, found: Finding, c: RiskContext) -> Verdict:
    return Verdict(
        rule=name.format(strategy=c.strategy),
        passed=found.passed,
        value=found.value,
        limit=found.limit,
        unit=found.unit,
    )


def _allocated(c: RiskContext, limit: Decimal) -> Finding:
    unit = "fraction of equity, this entry included"
    if c.cost is None:
        return Finding(False, "no price", as_text(limit), unit)
    return _of_equity(c, Fraction(c.inputs.open_exposure) + Fraction(c.cost), limit, unit)


def _of_equity(c: RiskContext, amount: Fraction, limit: Decimal, unit: str) -> Finding:
    if c.inputs.equity <= 0:
        return Finding(False, "no equity", as_text(limit), unit)
    share = amount / Fraction(c.inputs.equity)
    return Finding(share <= Fraction(limit), _shown(share), as_text(limit), unit)


def _shown(share: Fraction) -> str:
    return as_text(from_scaled(divide_half_even(share.numerator * SHOWN, share.denominator), SHOWN))


def _switch(on: bool) -> str:
    return "true" if on else "false"
