"""The tax reserve made whole: what its security lost or cost comes from the float (M32)."""

from __future__ import annotations

from decimal import Decimal

from aggregates.capital import Earmark
from aggregates.holdings import HoldingsDay, day_stream
from config.calendar import SessionHours
from config.failpoints import reach
from projections.reserve_losses import PUT_BACK, reserve_short
from runtime.bootstrap import Bot
from runtime.holdings_sizes import HoldingsSizes


def make_whole(bot: Bot, hours: SessionHours) -> str:
    """What became of it, in words; empty when the reserve is whole.

    As much as the float holds beside open purchases; the rest is put back by a later run. It
    follows from the books alone, so neither a crash nor a day that is left out loses any of it.
    """
    bot.views.catch_up()
    short = reserve_short(bot.views.books)
    if not short.amount:
        return ""
    day = bot.store.load(HoldingsDay, day_stream(hours.day))
    amount = min(short.amount, max(HoldingsSizes(bot, day).unspent()["float"], Decimal(0)))
    if amount:
        _put_back(bot, hours, amount, PUT_BACK.format(position=short.position))
        reach("holdings.whole")
    said = f"{amount:,f} that the tax reserve's security lost or cost is put back from the float"
    left = short.amount - amount
    return said + (f", {left:,f} more when the float holds it" if left else "")


def _put_back(bot: Bot, hours: SessionHours, amount: Decimal, reference: str) -> None:
    bot.dispatch(
        Earmark(
            at=bot.clock.now(),
            effective_date=hours.day,
            reference=reference,
            currency=bot.settings.CURRENCY_CODE,
            amount=amount,
            reason="costs of holding the tax reserve in a security",
            purse_from="float",
            purse_to="tax_reserve",
            context="tax-reserve",
        ),
        command_id=reference,
    )
    bot.views.catch_up()
