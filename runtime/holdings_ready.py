"""Whether the long-term holdings may be worked on now, and by which plan (M30, M35)."""

from __future__ import annotations

from contextlib import closing

from aggregates.holdings_plan import Plan
from runtime.bootstrap import Bot
from runtime.custody import Custody
from runtime.holdings_plan import PlanDiffers, check_plan_file, current_plan
from runtime.instruments import as_named
from security.data_keys import PLAIN


def plan_to_work_by(bot: Bot) -> tuple[Plan | None, str]:
    """The plan in force, by the names of today; or None, and why nothing is done."""
    # HOLDINGS_ENABLED=false: float, reserves and securities are left as they are
    if not bot.settings.HOLDINGS_ENABLED:
        return None, "disabled: the long-term holdings are left as they are"
    _, plan = current_plan(bot)
    if plan is None:
        return None, "nothing to do: no holdings plan is saved"
    broker = bot.broker.capabilities
    if not broker.fractional:
        return None, f"refused: {broker.name} takes no fractional orders; nothing was done"
    if bot.store.keys.current != PLAIN:  # a demo has no vault, and so no file of the plan
        try:
            with closing(Custody.open(bot.folder, bot.clock)) as custody:
                check_plan_file(custody)
        except PlanDiffers as e:
            return None, f"refused: {e}"
    bot.views.catch_up_ledger()
    return as_named(plan, bot.views.books), ""
