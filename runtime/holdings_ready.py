"""Whether the long-term holdings may be worked on now, and by which plan (M30, M35)."""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

from aggregates.holdings_plan import Plan
from runtime.bootstrap import Bot
from runtime.custody import Custody
from runtime.holdings_plan import PlanDiffers, check_plan_file, current_plan
from runtime.instruments import as_named
from security.data_keys import PLAIN


class Ready(NamedTuple):
    """The plan in force by the names of today, with its version; or None, and ``why``."""

    plan: Plan | None
    why: str = ""
    version: int = 0


def plan_to_work_by(bot: Bot) -> Ready:
    # HOLDINGS_ENABLED=false: float, reserves and securities are left as they are
    if not bot.settings.HOLDINGS_ENABLED:
        return Ready(None, "disabled: the long-term holdings are left as they are")
    version, plan = current_plan(bot)
    if plan is None:
        return Ready(None, "nothing to do: no holdings plan is saved")
    broker = bot.broker.capabilities
    if not broker.fractional:
        said = f"refused: {broker.name} takes no fractional orders; nothing was done"
        return Ready(None, said)
    if bot.store.keys.current != PLAIN:  # a demo has no vault, and so no file of the plan
        try:
            with closing(Custody.open(bot.folder, bot.clock)) as custody:
                check_plan_file(custody)
        except PlanDiffers as e:
            return Ready(None, f"refused: {e}")
    bot.views.catch_up_ledger()
    return Ready(as_named(plan, bot.views.books), version=version)
