"""The strategies: which run, when, on how much, and what they do on weakness (M10, M11)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from decimal import Decimal

from config.setting_forms import Choice, Exact, Switch, WallTime, Whole, Words
from config.setting_keys import ENV_BOT, group

routing = group("Strategies", ENV_BOT)
opening = group("OPEN: opening-range breakout", ENV_BOT)
midday = group("MID: VWAP reversion", ENV_BOT)
closing = group("CLOSE: end-of-day momentum or fade", ENV_BOT)
puts = group("Long puts", ENV_BOT)

D = Decimal
LOCAL = WallTime("HH:MM, local to TIMEZONE")
SHARE = Exact("of the allocation", "0", "1")
BEARISH = Choice(("disabled", "InverseETF", "LongPut"))
NO_BEARISH = "disabled: weakness is judged and recorded, and nothing is bought on it"
CAP = Whole("in CURRENCY_CODE", 0, 10**15)
GAP = Exact("of the last close", "0", "1")
DELTA = Exact("delta without sign", "0.01", "1")


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Routing:
    STRATEGY_SEQUENCE: tuple[str, ...] = routing(Words("strategies", "OPEN|MID|CLOSE", "OPEN MID CLOSE", 1, 3), ("OPEN", "MID", "CLOSE"), "Strategies that a day runs, in its order; an enabled one must be among them")
    STRATEGY_OVERRIDE: str = routing(Choice(("none", "OPEN", "MID", "CLOSE")), "none", "The only strategy to run, whatever else is enabled", "none: every enabled strategy runs")
    WEIGHT_OPEN: Decimal = routing(SHARE, D(1), "Share of TOTAL_ALLOCATION for OPEN", "0: OPEN is judged and buys nothing")
    WEIGHT_MID: Decimal = routing(SHARE, D(0), "Share of TOTAL_ALLOCATION for MID", "0: MID is judged and buys nothing")
    WEIGHT_CLOSE: Decimal = routing(SHARE, D(0), "Share of TOTAL_ALLOCATION for CLOSE", "0: CLOSE is judged and buys nothing")


@dataclass(frozen=True, kw_only=True)
class Opening:
    STRAT_OPEN_ENABLED: bool = opening(Switch(), True, "Whether OPEN trades", "false: its signals are judged and recorded, and none is traded")
    START_TIME_OPEN: time = opening(LOCAL, time(9, 30), "Start of the analysis window")
    OPEN_ANALYSIS_TIME: int = opening(Whole("minutes", 1, 240), 30, "Length of the opening range")
    OPEN_BREAKOUT_TIME: int = opening(Whole("minutes", 1, 360), 60, "How long entries are allowed")
    OPEN_MONITORING_TIME: int = opening(Whole("minutes", 1, 360), 60, "How long positions are watched after that, before they are sold")
    STRAT_OPEN_BUFFER: Decimal = opening(Exact("of the range's edge", "0", "0.1"), D("0.0005"), "How far a close must be beyond the range to be a breakout")
    SHORT_TYPE_OPEN: str = opening(BEARISH, "disabled", "What is bought on weakness; never a short sale", NO_BEARISH)
    MIN_MARKET_CAP_OPEN: int = opening(CAP, 2 * 10**9, "Least market capitalisation of a candidate", "0: any")
    MAX_MARKET_CAP_OPEN: int = opening(CAP, 10**13, "Greatest market capitalisation of a candidate")
    MAX_GAP_PCT_OPEN: Decimal = opening(GAP, D("0.1"), "Widest gap between last close and open, up or down; before the open, to the newest price", "1: any, also one that is not known")


@dataclass(frozen=True, kw_only=True)
class Midday:
    STRAT_MID_ENABLED: bool = midday(Switch(), False, "Whether MID trades", "false: its phase is recorded as disabled and nothing is judged; WEIGHT_MID = 0 judges and buys nothing")
    START_TIME_MID: time = midday(LOCAL, time(10, 30), "Start of the analysis window, or the end of the holdings phase when that is later")
    MID_ANALYSIS_TIME: int = midday(Whole("minutes", 1, 240), 15, "Length of the analysis window")
    MID_BREAKOUT_TIME: int = midday(Whole("minutes", 1, 360), 60, "How long entries are allowed")
    MID_MONITORING_TIME: int = midday(Whole("minutes", 1, 360), 60, "How long positions are watched after that, before they are sold")
    STRAT_MID_VWAP_THRESHOLD: Decimal = midday(Exact("of VWAP", "0.0001", "0.1"), D("0.003"), "Distance from VWAP that is a signal; the stop lies as far again beyond the price")
    SHORT_TYPE_MID: str = midday(BEARISH, "disabled", "What is bought on weakness; never a short sale", NO_BEARISH)
    MIN_MARKET_CAP_MID: int = midday(CAP, 2 * 10**9, "Least market capitalisation of a candidate", "0: any")
    MAX_MARKET_CAP_MID: int = midday(CAP, 10**13, "Greatest market capitalisation of a candidate")
    MAX_GAP_PCT_MID: Decimal = midday(GAP, D("0.1"), "Widest gap between last close and open, up or down; before the open, to the newest price", "1: any, also one that is not known")


@dataclass(frozen=True, kw_only=True)
class Closing:
    STRAT_CLOSE_ENABLED: bool = closing(Switch(), False, "Whether CLOSE trades", "false: its phase is recorded as disabled and nothing is judged; WEIGHT_CLOSE = 0 judges and buys nothing")
    START_TIME_CLOSE: time = closing(LOCAL, time(14, 30), "Start of the analysis window")
    CLOSE_ANALYSIS_TIME: int = closing(Whole("minutes", 1, 240), 15, "Length of the analysis window")
    CLOSE_BREAKOUT_TIME: int = closing(Whole("minutes", 1, 360), 30, "How long entries are allowed")
    CLOSE_MONITORING_TIME: int = closing(Whole("minutes", 1, 360), 30, "How long positions are watched after that, before they are sold")
    STRAT_CLOSE_VIX_THRESHOLD: Decimal = closing(Exact("VIX points", "1", "200"), D(20), "VIX above which CLOSE may trade; a VIX that is missing refuses")
    SHORT_TYPE_CLOSE: str = closing(BEARISH, "disabled", "What is bought on weakness; never a short sale", NO_BEARISH)
    MIN_MARKET_CAP_CLOSE: int = closing(CAP, 2 * 10**9, "Least market capitalisation of a candidate", "0: any")
    MAX_MARKET_CAP_CLOSE: int = closing(CAP, 10**13, "Greatest market capitalisation of a candidate")
    MAX_GAP_PCT_CLOSE: Decimal = closing(GAP, D("0.1"), "Widest gap between last close and open, up or down; before the open, to the newest price", "1: any, also one that is not known")


@dataclass(frozen=True, kw_only=True)
class Puts:
    PUT_MIN_EXPIRY_DAYS: int = puts(Whole("days", 1, 730), 7, "Nearest expiry of a put that is bought")
    PUT_MAX_EXPIRY_DAYS: int = puts(Whole("days", 1, 730), 45, "Farthest expiry of a put that is bought")
    PUT_MIN_DELTA: Decimal = puts(DELTA, D("0.4"), "Least delta of a put, taken without its sign")
    PUT_MAX_DELTA: Decimal = puts(DELTA, D("0.7"), "Greatest delta of a put, taken without its sign")
    PUT_MAX_SPREAD_PCT: Decimal = puts(Exact("of the mid price", "0.001", "1"), D("0.1"), "Widest spread of a put at which to enter")
    PUT_MIN_OPEN_INTEREST: int = puts(Whole("contracts", 0, 10**9), 100, "Least open interest of a put", "0: any, but one that is not known still refuses")
