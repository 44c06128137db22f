"""What may be risked, and what is checked before every entry (M12, M13, M18)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from config.setting_forms import Exact, Switch, Whole
from config.setting_keys import ENV_BOT, group

risk = group("Risk limits", ENV_BOT)
defense = group("Defense mode", ENV_BOT)
D = Decimal


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Risk:
    DISABLE_ALL_TRADES: bool = risk(Switch(), False, "Whether entries are refused altogether", "true: every signal is judged by every rule and recorded, and none is traded; exits go on")
    FRACTIONAL: bool = risk(Switch(), True, "Whether trading buys parts of a share", "false: trading buys whole shares only; holdings need fractions all the same")
    TOTAL_ALLOCATION: Decimal = risk(Exact("of equity", "0", "1"), D("0.5"), "Most that may be invested by trading at one time", "0: nothing is bought")
    MAX_RISK_PER_TRADE: Decimal = risk(Exact("of equity", "0.0001", "0.2"), D("0.005"), "Most that a trade may lose at its stop")
    DAILY_LOSS_LIMIT: Decimal = risk(Exact("of equity at open", "0.0001", "1"), D("0.02"), "Loss, unrealized included, that ends the day's entries")
    MAX_OPEN_POSITIONS: int = risk(Whole("positions", 1, 50), 4, "Positions open at one time, pending entries included")
    MAX_TRADES: int = risk(Whole("trades", 0, 500), 10, "Entries in one session, all strategies together", "0: every signal is judged, and none is traded")
    TRADING_TRAILING_STOP_PCT: Decimal = risk(Exact("of the high", "0.0001", "0.5"), D("0.005"), "How far the trailing stop lies below the highest price since entry, or above the lowest price of the underlying of what was bought on weakness")
    MAX_SPREAD_PCT: Decimal = risk(Exact("of entry price", "0.0001", "0.2"), D("0.015"), "Widest spread between bid and ask at which to enter")
    MIN_VOLUME_THRESHOLD: int = risk(Whole("shares", 0, 10**12), 10_000, "Least volume of the analysis window", "0: any volume will do, but one that is not known still refuses")
    ALLOW_HOLDINGS_SYMBOLS: bool = risk(Switch(), False, "Whether strategies may trade what is held long-term, in their own sleeve", "false: an entry in a security of the holdings plan is refused")


@dataclass(frozen=True, kw_only=True)
class Defense:
    DEFENSE_MODE_ACTIVE: bool = defense(Switch(), False, "Whether the two smaller limits below hold", "false: TOTAL_ALLOCATION and the usual trade size hold")
    DEFENSE_MODE_TOTAL_ALLOCATION: Decimal = defense(Exact("of equity", "0", "1"), D("0.25"), "TOTAL_ALLOCATION while defense mode is active", "0: nothing is bought while it is active")
    DEFENSE_MODE_TRADE_LIMIT_PCT: Decimal = defense(Exact("of the usual size", "0.01", "1"), D("0.5"), "Size of a trade while defense mode is active")
