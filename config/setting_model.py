"""All settings of one bot in one typed class, made of the tables in ``setting_groups`` (M25)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from config.setting_groups.identity import Identity, Schedule
from config.setting_groups.operation import Books, Holdings, Logs, Pages, Users
from config.setting_groups.risk import Defense, Risk
from config.setting_groups.screening import Candidates, Universe
from config.setting_groups.services import Access, Broker, Mail
from config.setting_groups.strategies import Closing, Midday, Opening, Puts, Routing
from config.setting_keys import Key

# Always in Configuration.Adopted, in this order, since its first form. A newer key is recorded
# when it differs from its default, so a history that does not use it stays the same, hash by hash.
# Whoever changes a default writes the old one into older events (aggregates/upcasters.py).
FIRST_RECORDED = tuple(
    """
    ENTITY_CODE JURISDICTION_CODE BROKER_CODE BOT_ID CURRENCY_CODE TIMEZONE EXCHANGE_CALENDAR
    TRADING_DAYS DISABLE_ALL_TRADES FRACTIONAL STRAT_OPEN_ENABLED START_TIME_OPEN OPEN_ANALYSIS_TIME
    OPEN_BREAKOUT_TIME OPEN_MONITORING_TIME STRAT_OPEN_BUFFER TRADING_TRAILING_STOP_PCT
    SHORT_TYPE_OPEN WEIGHT_OPEN TOTAL_ALLOCATION MAX_RISK_PER_TRADE DAILY_LOSS_LIMIT
    MAX_OPEN_POSITIONS MAX_TRADES MAX_SPREAD_PCT MIN_VOLUME_THRESHOLD LOG_FORMAT WEB_HOST WEB_PORT
    """.split()
)
# What this version reads; the rest is checked and kept. A test compares with the code.
IN_EFFECT = frozenset(FIRST_RECORDED) | frozenset(
    """
    TBOT_SUPERVISOR_UTC_HHMM
    HOLDINGS_ENABLED HOLDINGS_FILE HOLDINGS_FLOAT_CHECK HOLDINGS_DELAY_MINUTES
    ALLOW_HOLDINGS_SYMBOLS SCREENER_UNIVERSE_BLOCKLIST
    CANDIDATE_MULTIPLIER MIN_PRICE MAX_PRICE MIN_SHARE_FLOAT MAX_SHARE_FLOAT
    MIN_MARKET_CAP_OPEN MAX_MARKET_CAP_OPEN MAX_GAP_PCT_OPEN
    MIN_MARKET_CAP_MID MAX_MARKET_CAP_MID MAX_GAP_PCT_MID
    MIN_MARKET_CAP_CLOSE MAX_MARKET_CAP_CLOSE MAX_GAP_PCT_CLOSE
    SCREENER_UNIVERSE_EXCHANGES SCREENER_UNIVERSE_MIN_PRICE SCREENER_UNIVERSE_MAX_PRICE
    SCREENER_UNIVERSE_MIN_MARKET_CAP SCREENER_UNIVERSE_MAX_MARKET_CAP
    SCREENER_UNIVERSE_MAX_SIZE SCREENER_UNIVERSE_MAX_AGE_DAYS FINNHUB_API_KEY
    DEFENSE_MODE_ACTIVE DEFENSE_MODE_TOTAL_ALLOCATION DEFENSE_MODE_TRADE_LIMIT_PCT
    STRATEGY_SEQUENCE STRATEGY_OVERRIDE WEIGHT_MID WEIGHT_CLOSE
    STRAT_MID_ENABLED START_TIME_MID MID_ANALYSIS_TIME MID_BREAKOUT_TIME MID_MONITORING_TIME
    STRAT_MID_VWAP_THRESHOLD SHORT_TYPE_MID
    STRAT_CLOSE_ENABLED START_TIME_CLOSE CLOSE_ANALYSIS_TIME CLOSE_BREAKOUT_TIME
    CLOSE_MONITORING_TIME STRAT_CLOSE_VIX_THRESHOLD SHORT_TYPE_CLOSE
    PUT_MIN_EXPIRY_DAYS PUT_MAX_EXPIRY_DAYS PUT_MIN_DELTA PUT_MAX_DELTA PUT_MAX_SPREAD_PCT
    PUT_MIN_OPEN_INTEREST
    ENABLE_LOGGING DEBUG_LOG_LEVEL LOG_MAX_MB LOG_RETENTION_DAYS
    BROKER_NAME ALPACA_ENABLED IBKR_ENABLED ALPACA_PAPER SCREENER_NAME API_TIMEOUT
    API_RETRY_LIMIT ALPACA_API_KEY ALPACA_SECRET_KEY
    IBKR_HOST IBKR_PORT IBKR_CLIENT_ID IBKR_ACCOUNT
    WEB_ENABLED TRUSTED_HOSTS TRUSTED_PROXY FLASK_SECRET_KEY
    SMTP_HOST SMTP_PORT SMTP_SECURITY SMTP_USERNAME SMTP_PASSWORD SMTP_SENDER SMTP_RECIPIENTS
    NOTIFY_ON_FILL NOTIFY_ON_EXIT NOTIFY_ON_FAILURE
    DEFAULT_USER_ROLE SESSION_IDLE_MINUTES SESSION_MAX_HOURS LOGIN_ATTEMPT_LIMIT
    LOGIN_LOCKOUT_MINUTES PASSWORD_MIN_LENGTH RESET_LINK_MINUTES REQUIRE_SECOND_FACTOR
    """.split()
)


@dataclass(frozen=True, kw_only=True)
class Settings(
    Identity, Schedule, Risk, Defense, Routing, Opening, Midday, Closing, Puts, Candidates,
    Universe, Broker, Access, Mail, Logs, Pages, Users, Books, Holdings,
):  # fmt: skip
    """All settings of one bot, the names being the keys. Build it with ``settings_from``.

    The bare constructor checks nothing; without arguments it gives what a demo runs with.
    """

    @property
    def identity(self) -> str:
        """ENTITY_JURISDICTION_BROKER_BOT: names the output folder and every file in it (M02)."""
        parts = (self.ENTITY_CODE, self.JURISDICTION_CODE, self.BROKER_CODE, self.BOT_ID)
        return "_".join(parts)

    def as_text(self) -> dict[str, str]:
        """What is recorded: ``settings_from`` of it gives the same settings but for the secrets."""
        newer = [n for n in KEYS if n not in FIRST_RECORDED and not KEYS[n].secret]
        return {name: text_of(self, name) for name in FIRST_RECORDED} | {
            name: text_of(self, name)
            for name in newer
            if text_of(self, name) != KEYS[name].default_text
        }


KEYS: dict[str, Key] = {
    f.name: f.metadata["key"] for table in Settings.__bases__ for f in fields(table)
}


def text_of(settings: Settings, name: str) -> str:
    """One value as text, a secret's too."""
    return KEYS[name].form.text(getattr(settings, name))
