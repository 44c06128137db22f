"""Realized gains that nothing is set aside of yet: of whole dates, each once (M32 to M34)."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

from aggregates.holdings import STREAM, Holdings
from aggregates.holdings_plan import STREAM as PLAN
from aggregates.holdings_plan import HoldingsPlan
from projections.holdings_queries import HoldingsQueries
from projections.holdings_records import Realized
from projections.late_results import dates_changed_since
from runtime.bootstrap import Bot
from strategies.holdings_allocation import Due, Result, due_gains

DAY = timedelta(days=1)
_ZERO = Decimal(0)
_NO_RESULT = Realized(trading=_ZERO, holdings=_ZERO, invested=_ZERO)


class Measured(NamedTuple):
    """Results of ``first`` to ``through`` as known at the event ``known_at``, and what became known
    since the last allocation about the dates before."""

    first: date
    through: date
    known_at: int
    current: Realized
    late: Realized
    due: Due


def measure(bot: Bot, through: date) -> Measured | None:
    """None: there is no date up to ``through`` to allocate, or no plan. Before the first allocation
    the plan's first day is the beginning: what was earned before was nobody's to set aside."""
    done, plan = bot.store.load(Holdings, STREAM), bot.store.load(HoldingsPlan, PLAN)
    if not plan.versions:
        return None
    known_at = bot.views.catch_up()
    # sessions go by the exchange's dates, which may differ from those of the entity's zone
    begun = bot.calendar.date_of(plan.versions[1].occurred_at)
    first = done.through + DAY if done.through else begun
    if first > through:
        return None
    ask = HoldingsQueries(bot.views.books, bot.views.trading)
    current = ask.realized(first, through, until_position=known_at)
    results = [Result(first, through, current.trading, current.holdings, current.invested)]
    late = _NO_RESULT
    if done.through:

        def news(first: date, last: date) -> Realized:
            return ask.realized(first, last, since_position=done.known_at, until_position=known_at)

        late = news(min(done.reserved), done.through)
        for stretch in _changed(bot, done, done.through):
            now, invested = ask.realized(*stretch, until_position=known_at), news(*stretch).invested
            results.append(Result(*stretch, now.trading, now.holdings, invested))
    return Measured(first, through, known_at, current, late, due_gains(done.reserved, results))


def _changed(bot: Bot, done: Holdings, through: date) -> list[tuple[date, date]]:
    """Stretches of dates, allocated before, that something was recorded about since."""
    days = dates_changed_since(bot.views.books, done.known_at, through)
    return [
        (stretch.first, stretch.last)
        for stretch in done.reserved.values()
        if any(stretch.first <= day <= stretch.last for day in days)
    ]
