"""What a rebalance is planned from, and held against, in a session: by prices of today alone."""

from __future__ import annotations

from datetime import timedelta

from aggregates.holdings_requests import STREAM, HoldingsRequests
from config.calendar import SessionHours
from projections.holdings_queries import HoldingsQueries
from projections.ledger_records import NOW
from runtime.bootstrap import Bot
from runtime.holdings_plan import current_plan
from runtime.holdings_prices import day_prices, mark
from runtime.instruments import as_named, register
from runtime.rebalance_preview import situation_of
from runtime.requests_then import unspent_of
from strategies.rebalance_values import Situation

PRICES_BY = timedelta(hours=1)  # before the close: until then a missing price is waited for


def situation_now(bot: Bot, hours: SessionHours, needed: set[str] | None) -> Situation | None:
    """By the prices of this moment, which are recorded; views must be caught up.

    None without a plan, and while a price of ``needed`` (None: of all) is missing that may still
    come in time. Raises KeysRefused.
    """
    # one reading: a save that comes in between is another plan, under its own number
    version, saved = current_plan(bot)
    if saved is None:
        return None
    plan = as_named(saved, bot.views.books)
    wanted = {s.symbol for s in plan.securities}
    held = {p.symbol for p in bot.views.books.positions()}
    prices = day_prices(bot, hours, wanted | held)
    in_time = bot.clock.now() < hours.close - PRICES_BY
    if in_time and (wanted | held if needed is None else needed) - prices.keys():
        return None
    register(bot, sorted(wanted))
    mark(bot, hours, f"rebalance {bot.clock.now():%H:%M:%S}", prices)
    return situation_of(
        HoldingsQueries(bot.views.books, bot.views.trading).state(NOW, plan),
        version,
        plan,
        broker=bot.settings.BROKER_NAME,
        currency=bot.settings.CURRENCY_CODE,
        step=bot.broker.capabilities.quantity_step,
        unspent=unspent_of(bot.store.load(HoldingsRequests, STREAM)),
        since=hours.open,
    )
