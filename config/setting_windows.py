"""Rules about the strategies' windows, counted in minutes of the local day (M17).

An enabled strategy's windows follow each other without a gap from START_TIME_… on. OPEN may reach
past START_TIME_MID: MID then starts when the holdings phase ends. Nothing may reach past
START_TIME_CLOSE, and nothing past midnight. What the exchange's hours allow is asked day by day;
so is a MID that a late holdings phase puts off: it is cut where CLOSE starts.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from itertools import pairwise

from config.clock import utc_to_local
from config.setting_model import Settings

WINDOWS = ("ANALYSIS", "BREAKOUT", "MONITORING")
WINDOW_KEYS = {
    n: (f"STRAT_{n}_ENABLED", f"START_TIME_{n}", *(f"{n}_{w}_TIME" for w in WINDOWS))
    for n in ("OPEN", "MID", "CLOSE")
}
MIDNIGHT = 24 * 60
WINTER, SUMMER = (1, 15), (7, 15)  # with and without daylight saving, on either half of the earth
YEAR = 2026


def outside_the_day(strategy: str, s: Settings) -> str:
    # Switched off: it enters nothing, whenever its windows end.
    if not _on(s, strategy) or _end(s, strategy) <= MIDNIGHT:
        return ""
    return (
        f"{_said(s, strategy)}: the windows end after midnight; start earlier or shorten "
        f"{strategy}_ANALYSIS_TIME, {strategy}_BREAKOUT_TIME or {strategy}_MONITORING_TIME"
    )


def windows_out_of_order(s: Settings) -> str:
    """Strategies that start in another order than they run, or reach into CLOSE."""
    on = [n for n in WINDOW_KEYS if _on(s, n)]
    for earlier, later in pairwise(on):
        if _start(s, earlier) >= _start(s, later):
            return (
                f"{_said(s, earlier)}, {_said(s, later)}: {earlier} runs before {later} and must "
                "start before it"
            )
    if "CLOSE" not in on:
        return ""
    for strategy, end in _ends_before_close(s, on):
        if end > _start(s, "CLOSE"):
            return (
                f"{_said(s, strategy)}, {_said(s, 'CLOSE')}: {strategy} runs until {_clock(end)} "
                "and overlaps CLOSE; start CLOSE later or shorten "
                f"{strategy}_ANALYSIS_TIME, {strategy}_BREAKOUT_TIME or {strategy}_MONITORING_TIME"
            )
    return ""


def supervisor_too_late(s: Settings) -> str:
    """The trigger is UTC and the windows are local: compared in winter and in summer."""
    starts = {n: getattr(s, f"START_TIME_{n}") for n in WINDOW_KEYS if _on(s, n)}
    # No strategy is on: the supervisor has holdings and reports alone to see to, at any time.
    if not starts:
        return ""
    first = min(starts, key=lambda n: starts[n])
    trigger = s.TBOT_SUPERVISOR_UTC_HHMM
    local = max(_local(trigger, day, s.TIMEZONE) for day in (WINTER, SUMMER))
    if local <= starts[first]:
        return ""
    return (
        f"TBOT_SUPERVISOR_UTC_HHMM = {trigger:%H%M}, {_said(s, first)}: the supervisor would start "
        f"at {local:%H:%M} {s.TIMEZONE} (TIMEZONE), after {first} should have begun"
    )


def _ends_before_close(s: Settings, on: list[str]) -> list[tuple[str, int]]:
    """When OPEN and MID end, MID being put off by OPEN and the holdings phase."""
    # OPEN that is switched off is judged to the end of its windows, unless STRATEGY_SEQUENCE leaves
    # it out; MID that is switched off takes no time.
    runs = [n for n in ("OPEN", "MID") if n in on or (n == "OPEN" and n in s.STRATEGY_SEQUENCE)]
    ends: list[tuple[str, int]] = []
    free = 0
    for strategy in runs:
        end = max(_start(s, strategy), free) + _length(s, strategy)
        ends.append((strategy, end))
        free = end + s.HOLDINGS_DELAY_MINUTES
    return ends


def _on(s: Settings, strategy: str) -> bool:
    return bool(getattr(s, f"STRAT_{strategy}_ENABLED"))


def _start(s: Settings, strategy: str) -> int:
    start: time = getattr(s, f"START_TIME_{strategy}")
    return start.hour * 60 + start.minute


def _length(s: Settings, strategy: str) -> int:
    return sum(getattr(s, f"{strategy}_{window}_TIME") for window in WINDOWS)


def _end(s: Settings, strategy: str) -> int:
    return _start(s, strategy) + _length(s, strategy)


def _said(s: Settings, strategy: str) -> str:
    return f"START_TIME_{strategy} = {_clock(_start(s, strategy))}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _local(trigger: time, day: tuple[int, int], zone: str) -> time:
    return utc_to_local(
        datetime.combine(datetime(YEAR, *day, tzinfo=UTC), trigger, UTC), zone
    ).time()
