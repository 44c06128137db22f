"""The strategies that are here, one for each trading phase (M10).

The phase of a strategy has its name in small letters. A day's phases follow each other: open,
holdings, mid, close.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from config.calendar import SessionHours
from config.settings import Settings
from strategies.closing import Closing
from strategies.opening_range import OpeningRangeBreakout
from strategies.protocol import Strategy
from strategies.vwap_reversion import VwapReversion

Install = Callable[[Settings, SessionHours, Sequence[str], datetime], Strategy]

INSTALLED: dict[str, Install] = {
    "OPEN": lambda settings, hours, symbols, _: OpeningRangeBreakout(settings, hours, symbols),
    "MID": VwapReversion,
    "CLOSE": lambda settings, hours, symbols, _: Closing(settings, hours, symbols),
}


def install(
    name: str,
    settings: Settings,
    hours: SessionHours,
    symbols: Sequence[str],
    not_before: datetime,
) -> Strategy:
    """A fresh instance for one session; ``symbols`` are those it may enter.

    ``not_before`` (UTC) is when the phase before it ended, as recorded. MID's window starts at the
    later of START_TIME_MID and the first whole minute from then on. The others have windows of
    their own, whatever came before. ``name`` is a key of ``INSTALLED``.
    """
    return INSTALLED[name](settings, hours, symbols, not_before)


def passed_over(settings: Settings, strategy: str) -> str:
    """Why it does not run at all, as its phase's outcome; empty when it does."""
    only = settings.STRATEGY_OVERRIDE
    # STRATEGY_OVERRIDE=NAME: the others are passed over, whatever else is enabled.
    if only not in ("none", strategy):
        return f"passed over: STRATEGY_OVERRIDE is {only}"
    # STRATEGY_SEQUENCE: what it does not name is passed over.
    if strategy not in settings.STRATEGY_SEQUENCE:
        return "passed over: it is not in STRATEGY_SEQUENCE"
    # STRAT_MID_ENABLED=false, STRAT_CLOSE_ENABLED=false: the phase is recorded as disabled. OPEN's
    # signals are judged all the same, and none is traded.
    if strategy != "OPEN" and not getattr(settings, f"STRAT_{strategy}_ENABLED"):
        return f"disabled: STRAT_{strategy}_ENABLED is false; nothing was judged"
    return ""


def running(settings: Settings) -> list[str]:
    """The strategies that are not passed over, in the day's order."""
    return [name for name in INSTALLED if not passed_over(settings, name)]


def short_type(settings: Settings, name: str) -> str:
    """What the strategy buys on weakness: disabled, InverseETF or LongPut."""
    # SHORT_TYPE_…=disabled: weakness is judged and recorded, and nothing is bought on it.
    return str(getattr(settings, f"SHORT_TYPE_{name}"))
