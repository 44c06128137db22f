"""A broker that adds up fractions of a cent and the books that round each trade: brought together.

A broker that states the cash of every trade leaves nothing to bring together, and nothing is.
"""

from __future__ import annotations

from decimal import Decimal

from aggregates.capital import RecordRounding
from aggregates.money import exponent, from_scaled, minor_units
from runtime.bootstrap import Bot
from runtime.broker_reports import Reports


def in_minor_units(bot: Bot, amount: Decimal) -> Decimal:
    """The broker's cash as money: rounded once, half to even."""
    digits = exponent(bot.settings.CURRENCY_CODE)
    return from_scaled(minor_units(amount, digits), 10**digits)


def settle_rounding(bot: Bot, broker_cash: Decimal, reports: Reports) -> list[str]:
    """Book the difference to the rounding account when rounding explains it; else nothing.

    At most half a minor unit for each trade whose cash was not stated since the last time that both
    sides were equal, and one for the broker's own rounding. Views must be caught up.
    """
    difference = broker_cash - bot.views.books.broker_cash()
    minor = abs(minor_units(difference, exponent(bot.settings.CURRENCY_CODE)))
    unstated, now = reports.unstated, bot.clock.now()
    if not unstated or minor > 1 + unstated // 2:
        return []
    reports.unstated = 0
    if not minor:
        return []
    place = bot.store.head().position + 1
    bot.dispatch(
        RecordRounding(
            at=now,
            effective_date=bot.today(),
            reference=f"rounding:{place}",
            currency=bot.settings.CURRENCY_CODE,
            amount=abs(difference),
            gained=difference > 0,
            reason=f"rounding of {unstated} trades",
        ),
        command_id=f"rounding:{place}",
    )
    bot.views.catch_up()
    return [f"rounding of {unstated} trades: {difference:f}"]
