"""The immediate cash top-up that a page asked for (M31): what the float lacks, sold now.

The same check as the daily one, at the prices of the moment. How much follows from the float, so a
top-up that was interrupted sells the rest, and nothing twice.
"""

from __future__ import annotations

from aggregates.holdings_plan import Plan
from aggregates.holdings_requests import Answer, HoldingsRequested
from config.calendar import SessionHours
from runtime.bootstrap import Bot
from runtime.holdings_float import FloatCheck, value_account
from runtime.holdings_orders import HoldingsOrders, Wait


def top_up_now(
    bot: Bot, hours: SessionHours, wait: Wait, plan: Plan, request: HoldingsRequested
) -> tuple[Answer, str]:
    """Carry the request out; how it ended, and in words. Raises BrokerError while the broker cannot
    be asked: nothing was sold, and it may be tried again. Raises KeysRefused, and what ``wait``
    raises."""
    bot.broker.positions()
    valued = value_account(bot, hours, plan, f"top-up {bot.clock.now():%H:%M:%S}")
    orders = HoldingsOrders(bot, hours, wait)
    outcome, _ = FloatCheck(bot, hours, orders).restore(valued.target, request.request_id)
    said = f"The float target is {valued.target:,f}. The float of {outcome}."
    return "done", f"{said} {words}." if (words := valued.in_words()) else said
