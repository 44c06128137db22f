"""Values that contradict each other are refused, each contradiction with every key it is about."""

from typing import Any

import pytest

from config.errors import ConfigError
from config.setting_model import KEYS, Settings
from config.setting_rules import RULES, Rule
from config.settings import demo_settings, settings_from

BOT = {n: key.default_text for n, key in KEYS.items() if key.required}
MID = {"STRAT_MID_ENABLED": "true", "WEIGHT_OPEN": "0.5", "WEIGHT_MID": "0.5"}
CLOSE = {"STRAT_CLOSE_ENABLED": "true", "WEIGHT_OPEN": "0.5", "WEIGHT_CLOSE": "0.5"}
SMTP = {"SMTP_HOST": "mail.example", "SMTP_SENDER": "a@b.example", "SMTP_RECIPIENTS": "c@d.example"}
ALPACA = {
    "BROKER_NAME": "ALPACA",
    "ALPACA_ENABLED": "true",
    "ALPACA_API_KEY": "a-key-id",
    "ALPACA_SECRET_KEY": "hunter2hunter2",
}
LATE = {"TBOT_SUPERVISOR_UTC_HHMM": "1400"}
EARLY_OPEN = {"STRAT_OPEN_ENABLED": "false", "START_TIME_MID": "09:30"}


def told(values: dict[str, str]) -> list[str]:
    """The lines of a refusal."""
    try:
        settings_from(BOT | values)
    except ConfigError as e:
        return [line.strip() for line in str(e).splitlines()[1:]]
    return []


# what contradicts, what mends it, what is said
CASES: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({"MIN_PRICE": "10", "MAX_PRICE": "9.99"}, {"MAX_PRICE": "10"},
     "MIN_PRICE = 10, MAX_PRICE = 9.99: nothing lies between"),
    ({"MIN_SHARE_FLOAT": "9", "MAX_SHARE_FLOAT": "8"}, {"MIN_SHARE_FLOAT": "8"},
     "MIN_SHARE_FLOAT = 9, MAX_SHARE_FLOAT = 8"),
    *(({f"MAX_MARKET_CAP_{n}": "1"}, {f"MIN_MARKET_CAP_{n}": "0"}, f"MIN_MARKET_CAP_{n} = 2")
      for n in ("OPEN", "MID", "CLOSE")),
    ({"SCREENER_UNIVERSE_MAX_PRICE": "1"}, {"SCREENER_UNIVERSE_MIN_PRICE": "1"},
     "SCREENER_UNIVERSE_MIN_PRICE = 5, SCREENER_UNIVERSE_MAX_PRICE = 1"),
    ({"SCREENER_UNIVERSE_MAX_MARKET_CAP": "1"}, {"SCREENER_UNIVERSE_MIN_MARKET_CAP": "1"},
     "SCREENER_UNIVERSE_MIN_MARKET_CAP = 2000000000, SCREENER_UNIVERSE_MAX_MARKET_CAP = 1"),
    ({"PUT_MIN_EXPIRY_DAYS": "46"}, {"PUT_MAX_EXPIRY_DAYS": "46"},
     "PUT_MIN_EXPIRY_DAYS = 46, PUT_MAX_EXPIRY_DAYS = 45"),
    ({"PUT_MIN_DELTA": "0.8"}, {"PUT_MAX_DELTA": "0.8"},
     "PUT_MIN_DELTA = 0.8, PUT_MAX_DELTA = 0.7"),
    ({"MAX_RISK_PER_TRADE": "0.021"}, {"DAILY_LOSS_LIMIT": "0.021"},
     "MAX_RISK_PER_TRADE = 0.021, DAILY_LOSS_LIMIT = 0.02: one trade may lose more"),
    ({"DAILY_LOSS_LIMIT": "0.6"}, {"TOTAL_ALLOCATION": "0.6"},
     "DAILY_LOSS_LIMIT = 0.6, TOTAL_ALLOCATION = 0.5: more than is invested"),
    ({"TOTAL_ALLOCATION": "0.2"}, {"DEFENSE_MODE_TOTAL_ALLOCATION": "0.2"},
     "DEFENSE_MODE_TOTAL_ALLOCATION = 0.25, TOTAL_ALLOCATION = 0.2"),
    ({"STRAT_OPEN_BUFFER": "0.005"}, {"TRADING_TRAILING_STOP_PCT": "0.0051"},
     "TRADING_TRAILING_STOP_PCT = 0.005, STRAT_OPEN_BUFFER = 0.005: a stop tighter"),
    (MID | {"WEIGHT_OPEN": "0.6"}, {"WEIGHT_MID": "0.4"},
     "WEIGHT_OPEN = 0.6, WEIGHT_MID = 0.5: together more than 1"),
    *(({"STRATEGY_SEQUENCE": sequence} | more, {"STRATEGY_SEQUENCE": "OPEN,MID,CLOSE"},
       f"STRAT_{missing}_ENABLED = true, STRATEGY_SEQUENCE = {sequence}")
      for sequence, missing, more in
      (("MID", "OPEN", {}), ("OPEN", "MID", MID), ("OPEN,MID", "CLOSE", CLOSE))),
    ({"STRATEGY_SEQUENCE": "MID,OPEN,CLOSE"}, {"STRATEGY_SEQUENCE": "OPEN,CLOSE"},
     "STRATEGY_SEQUENCE = MID,OPEN,CLOSE: the phases of a day come in one order"),
    ({"STRATEGY_OVERRIDE": "MID"}, {"STRATEGY_OVERRIDE": "OPEN"},
     "STRATEGY_OVERRIDE = MID, STRAT_MID_ENABLED = false"),
    (ALPACA | {"ALPACA_ENABLED": "false"}, {"ALPACA_ENABLED": "true"},
     "BROKER_NAME = ALPACA, ALPACA_ENABLED = false: the named broker is switched off"),
    (ALPACA | {"IBKR_ENABLED": "true", "IBKR_ACCOUNT": "U1234567"}, {"IBKR_ENABLED": "false"},
     "BROKER_NAME = ALPACA, IBKR_ENABLED = true: only the named broker may be on; a bot has one "
     "active broker: switch IBKR_ENABLED off, or name IBKR"),
    (ALPACA | {"ALPACA_API_KEY": ""}, {"ALPACA_API_KEY": "a-key-id"},
     "ALPACA_ENABLED = true, ALPACA_API_KEY is empty"),
    (ALPACA | {"ALPACA_SECRET_KEY": ""}, {"ALPACA_SECRET_KEY": "a-secret"},
     "ALPACA_ENABLED = true, ALPACA_SECRET_KEY is empty"),
    ({"BROKER_NAME": "IBKR", "IBKR_ENABLED": "true"}, {"IBKR_ACCOUNT": "DU123456"},
     "IBKR_ENABLED = true, IBKR_ACCOUNT is empty"),
    ({"SCREENER_NAME": "FINNHUB"}, {"FINNHUB_API_KEY": "a-key-id"},
     "SCREENER_NAME = FINNHUB, FINNHUB_API_KEY is empty"),
    *((SMTP | {f"NOTIFY_ON_{what}": "true", key: ""}, {key: text},
       f"NOTIFY_ON_{what} = true, {key} is empty")
      for what in ("FILL", "EXIT", "FAILURE") for key, text in SMTP.items()),
    ({"SMTP_USERNAME": "bot"}, {"SMTP_PASSWORD": "hunter2hunter2"},
     "SMTP_USERNAME is given, SMTP_PASSWORD is empty"),
    ({"SMTP_PASSWORD": "hunter2hunter2"}, {"SMTP_USERNAME": "bot"},
     "SMTP_PASSWORD is given, SMTP_USERNAME is empty"),
    ({"SESSION_IDLE_MINUTES": "61", "SESSION_MAX_HOURS": "1"}, {"SESSION_IDLE_MINUTES": "60"},
     "SESSION_IDLE_MINUTES = 61, SESSION_MAX_HOURS = 1"),
    ({"WEB_HOST": "0.0.0.0"}, {"TRUSTED_PROXY": "10.0.0.2"},  # noqa: S104 - refused
     "WEB_HOST = 0.0.0.0, TRUSTED_PROXY is empty"),
    ({"START_TIME_OPEN": "21:31"}, {"START_TIME_OPEN": "21:30"},
     "START_TIME_OPEN = 21:31: the windows end after midnight; start earlier or shorten OPEN_"),
    (MID | EARLY_OPEN | {"START_TIME_MID": "21:46"}, {"START_TIME_MID": "21:45"},
     "START_TIME_MID = 21:46: the windows end after midnight"),
    (CLOSE | {"START_TIME_CLOSE": "22:46"}, {"START_TIME_CLOSE": "22:45"},
     "START_TIME_CLOSE = 22:46: the windows end after midnight"),
    (MID | {"START_TIME_MID": "09:30"}, {"START_TIME_MID": "09:31"},
     "START_TIME_OPEN = 09:30, START_TIME_MID = 09:30: OPEN runs before MID"),
    (CLOSE | {"START_TIME_CLOSE": "11:59"}, {"START_TIME_CLOSE": "12:00"},
     "START_TIME_OPEN = 09:30, START_TIME_CLOSE = 11:59: OPEN runs until 12:00 and overlaps"),
    # MID starts at 12:10, when OPEN and the holdings phase are over, and takes 135 minutes
    (MID | CLOSE | {"WEIGHT_OPEN": "0", "START_TIME_CLOSE": "14:24"},
     {"START_TIME_CLOSE": "14:25"},
     "START_TIME_MID = 10:30, START_TIME_CLOSE = 14:24: MID runs until 14:25 and overlaps"),
    # OPEN that is switched off is judged until 12:00 all the same, if it is in the sequence
    (CLOSE | {"STRAT_OPEN_ENABLED": "false", "START_TIME_CLOSE": "11:59"},
     {"STRATEGY_SEQUENCE": "MID,CLOSE"},
     "START_TIME_OPEN = 09:30, START_TIME_CLOSE = 11:59: OPEN runs until 12:00 and overlaps"),
    ({"TIMEZONE": "Asia/Tokyo"}, {"TBOT_SUPERVISOR_UTC_HHMM": "2300"},
     "TBOT_SUPERVISOR_UTC_HHMM = 0600, START_TIME_OPEN = 09:30: the supervisor would start "
     "at 15:00 Asia/Tokyo (TIMEZONE), after OPEN"),
    # 13:30 UTC is 08:30 in New York in winter and 09:30 in summer; 14:00 is too late in summer
    ({"TBOT_SUPERVISOR_UTC_HHMM": "1400"}, {"TBOT_SUPERVISOR_UTC_HHMM": "1330"},
     "the supervisor would start at 10:00 US/Eastern"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "mended", "words"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_contradiction_is_told_with_its_keys_and_gone_when_mended(
    broken: dict[str, str], mended: dict[str, str], words: str
) -> None:
    (line,) = told(broken)
    assert words in line
    assert "hunter2" not in line
    assert told(broken | mended) == []


def test_every_rule_is_among_the_cases() -> None:
    broken = [demo_settings(values) for values, _, _ in CASES]
    assert [rule.keys for rule in RULES if not any(rule.check(s) for s in broken)] == []


@pytest.mark.parametrize(
    "values",
    [
        {"TOTAL_ALLOCATION": "0", "DEFENSE_MODE_TOTAL_ALLOCATION": "0"},
        {"STRAT_OPEN_ENABLED": "false", "TIMEZONE": "Asia/Tokyo"},
        {"WEB_ENABLED": "false", "WEB_HOST": "10.0.0.1"},
        {"START_TIME_MID": "09:00", "WEIGHT_MID": "1", "START_TIME_CLOSE": "23:59"},
        {"WEB_HOST": "::1"},
    ],
)
def test_what_is_switched_off_contradicts_nothing(values: dict[str, str]) -> None:
    assert told(values) == []


@pytest.mark.parametrize(
    "values",
    [
        {"SHORT_TYPE_OPEN": "InverseETF"}, MID | {"SHORT_TYPE_MID": "LongPut"},
        CLOSE | {"SHORT_TYPE_CLOSE": "LongPut"},
        MID | {"STRATEGY_OVERRIDE": "MID"},
        MID | CLOSE | {"WEIGHT_OPEN": "0"},
    ],
    ids=str,
)  # fmt: skip
def test_every_strategy_can_be_switched_on_with_either_instrument(values: dict[str, str]) -> None:
    settings_from(BOT | values)


def test_a_bad_value_is_told_once_and_not_again_by_its_rules() -> None:
    assert len(told({"MAX_PRICE": "cheap", "MIN_PRICE": "9000"})) == 1
    with pytest.raises(ConfigError) as refused:  # not compared with the zone that a demo has
        settings_from({n: t for n, t in BOT.items() if n != "TIMEZONE"} | LATE)
    assert str(refused.value).count("\n") == 1
    assert len(told({"MAX_PRICE": "cheap", "TYPO": "1", "DAILY_LOSS_LIMIT": "0.001"})) == 3


class Watched:
    """Settings that note which keys are asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.read = settings, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.settings, name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: " ".join(rule.keys[:2]))
@pytest.mark.parametrize(
    "values",
    [{}, MID | CLOSE, ALPACA, SMTP, {"STRATEGY_OVERRIDE": "MID"}, {"TIMEZONE": "Asia/Tokyo"},
     MID | {"START_TIME_MID": "09:00"}, MID | CLOSE | {"START_TIME_CLOSE": "11:00"},
     {"STRATEGY_SEQUENCE": "CLOSE"}, {"WEB_HOST": "10.0.0.1"}, {"TOTAL_ALLOCATION": "0"}],
    ids=str,
)  # fmt: skip
def test_a_rule_looks_at_no_key_that_it_does_not_state(rule: Rule, values: dict[str, str]) -> None:
    """Else it would speak of a default where the operator's text could not be read."""
    watched = Watched(demo_settings(values))
    said = rule.check(watched)  # type: ignore[arg-type]
    assert watched.read <= set(rule.keys)
    assert set(rule.keys) <= set(KEYS)
    assert not said or any(key in said for key in rule.keys)
