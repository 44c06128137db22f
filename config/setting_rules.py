"""Rules across settings: values that are allowed alone and contradict each other.

A rule states every key that it looks at, and is asked only when all of them could be used, so one
bad value is told once. An answer names the keys and, but for secrets, their values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from config.setting_model import KEYS, Settings, text_of
from config.setting_windows import (
    WINDOW_KEYS,
    outside_the_day,
    supervisor_too_late,
    windows_out_of_order,
)
from config.this_machine import is_this_machine

STRATEGIES = ("OPEN", "MID", "CLOSE")


class Rule(NamedTuple):
    """``check`` gives what is wrong, or nothing."""

    keys: tuple[str, ...]
    check: Callable[[Settings], str]


def broken_rules(settings: Settings, without: Collection[str]) -> list[str]:
    """What contradicts, a line each; rules about a key of ``without`` are not asked."""
    return [said for _, said in contradictions(settings, without)]


def contradictions(settings: Settings, without: Collection[str]) -> list[tuple[Rule, str]]:
    """As ``broken_rules``, each line with its rule."""
    asked = (rule for rule in RULES if not set(rule.keys) & set(without))
    return [(rule, said) for rule in asked if (said := rule.check(settings))]


def shown(s: Settings, *names: str) -> str:
    return ", ".join(f"{n} = {'***' if KEYS[n].secret else text_of(s, n)}" for n in names)


def not_above(lesser: str, greater: str, why: str, s: Settings) -> str:
    if getattr(s, lesser) <= getattr(s, greater):
        return ""
    return f"{shown(s, lesser, greater)}: {why}; allowed: {lesser} up to {greater}"


def _least_and_most(lesser: str, greater: str) -> Rule:
    return Rule((lesser, greater), partial(not_above, lesser, greater, "nothing lies between them"))


def _not_above(lesser: str, greater: str, why: str) -> Rule:
    return Rule((lesser, greater), partial(not_above, lesser, greater, why))


def loss_limit_within_allocation(s: Settings) -> str:
    # TOTAL_ALLOCATION=0: nothing is bought, so there is nothing that could be lost.
    if not s.TOTAL_ALLOCATION:
        return ""
    return not_above(
        "DAILY_LOSS_LIMIT", "TOTAL_ALLOCATION", "more than is invested cannot be lost", s
    )


def stop_outside_buffer(s: Settings) -> str:
    if s.TRADING_TRAILING_STOP_PCT > s.STRAT_OPEN_BUFFER:
        return ""
    return (
        f"{shown(s, 'TRADING_TRAILING_STOP_PCT', 'STRAT_OPEN_BUFFER')}: a stop tighter than the "
        "breakout lies outside the range it broke out of; allowed: a stop above the buffer"
    )


def weights_sum(s: Settings) -> str:
    # A strategy that is switched off spends nothing, whatever its weight.
    on = [f"WEIGHT_{n}" for n in STRATEGIES if getattr(s, f"STRAT_{n}_ENABLED")]
    if sum(getattr(s, name) for name in on) <= 1:
        return ""
    return f"{shown(s, *on)}: together more than 1; allowed: enabled strategies share at most 1"


def sequence_holds_enabled(strategy: str, s: Settings) -> str:
    switch = f"STRAT_{strategy}_ENABLED"
    # Switched off: it may stand in the sequence, where it is passed over and recorded as such.
    if not getattr(s, switch) or strategy in s.STRATEGY_SEQUENCE:
        return ""
    return f"{shown(s, switch, 'STRATEGY_SEQUENCE')}: it is on and would never run; add {strategy}"


def override_is_enabled(s: Settings) -> str:
    # STRATEGY_OVERRIDE=none: every enabled strategy runs.
    switch = f"STRAT_{s.STRATEGY_OVERRIDE}_ENABLED"
    if s.STRATEGY_OVERRIDE == "none" or getattr(s, switch):
        return ""
    return f"{shown(s, 'STRATEGY_OVERRIDE', switch)}: the only one to run is switched off"


def one_broker(broker: str, s: Settings) -> str:
    switch = f"{broker}_ENABLED"
    named, on = broker == s.BROKER_NAME, getattr(s, switch)
    if named == on:
        return ""
    why = "the named broker is switched off" if named else "only the named broker may be on"
    do = f"switch {switch} {'on' if named else 'off'}, or name {'another' if named else broker}"
    return f"{shown(s, 'BROKER_NAME', switch)}: {why}; a bot has one active broker: {do}"


def needs(key: str, value: object, needed: str, s: Settings) -> str:
    if getattr(s, key) != value or getattr(s, needed):
        return ""
    return f"{shown(s, key)}, {needed} is empty: the one needs the other; give {needed}"


def user_and_password(s: Settings) -> str:
    if bool(s.SMTP_USERNAME) == bool(s.SMTP_PASSWORD):
        return ""
    empty, given = ("SMTP_PASSWORD", "SMTP_USERNAME")[:: 1 if s.SMTP_USERNAME else -1]
    return f"{given} is given, {empty} is empty: give both or neither"


def idle_within_session(s: Settings) -> str:
    if s.SESSION_IDLE_MINUTES <= s.SESSION_MAX_HOURS * 60:
        return ""
    return (
        f"{shown(s, 'SESSION_IDLE_MINUTES', 'SESSION_MAX_HOURS')}: the second ends every session "
        "before the first can; allowed: minutes up to 60 times the hours"
    )


def proxy_before_the_world(s: Settings) -> str:
    # WEB_ENABLED=false: nothing is served, to nobody.
    if not s.WEB_ENABLED or s.TRUSTED_PROXY or is_this_machine(s.WEB_HOST):
        return ""
    return (
        f"{shown(s, 'WEB_HOST')}, TRUSTED_PROXY is empty: pages for other machines need a proxy "
        "that encrypts; allowed without one: 127.0.0.1"
    )


def sequence_in_order(s: Settings) -> str:
    if list(s.STRATEGY_SEQUENCE) == [n for n in STRATEGIES if n in s.STRATEGY_SEQUENCE]:
        return ""
    return (
        f"{shown(s, 'STRATEGY_SEQUENCE')}: the phases of a day come in one order; allowed: "
        f"{','.join(STRATEGIES)}, or some of them in that order"
    )


MAIL = ("SMTP_HOST", "SMTP_SENDER", "SMTP_RECIPIENTS")
NEEDS = [
    ("ALPACA_ENABLED", True, "ALPACA_API_KEY"),
    ("ALPACA_ENABLED", True, "ALPACA_SECRET_KEY"),
    ("IBKR_ENABLED", True, "IBKR_ACCOUNT"),
    ("SCREENER_NAME", "FINNHUB", "FINNHUB_API_KEY"),
    *((f"NOTIFY_ON_{what}", True, n) for what in ("FILL", "EXIT", "FAILURE") for n in MAIL),
]
SWITCHES = tuple(f"STRAT_{name}_ENABLED" for name in STRATEGIES)
STARTS = tuple(f"START_TIME_{name}" for name in STRATEGIES)

RULES: tuple[Rule, ...] = (
    _least_and_most("MIN_PRICE", "MAX_PRICE"),
    _least_and_most("MIN_SHARE_FLOAT", "MAX_SHARE_FLOAT"),
    *(_least_and_most(f"MIN_MARKET_CAP_{n}", f"MAX_MARKET_CAP_{n}") for n in STRATEGIES),
    _least_and_most("SCREENER_UNIVERSE_MIN_PRICE", "SCREENER_UNIVERSE_MAX_PRICE"),
    _least_and_most("SCREENER_UNIVERSE_MIN_MARKET_CAP", "SCREENER_UNIVERSE_MAX_MARKET_CAP"),
    _least_and_most("PUT_MIN_EXPIRY_DAYS", "PUT_MAX_EXPIRY_DAYS"),
    _least_and_most("PUT_MIN_DELTA", "PUT_MAX_DELTA"),
    _not_above("MAX_RISK_PER_TRADE", "DAILY_LOSS_LIMIT", "one trade may lose more than the day"),
    Rule(("DAILY_LOSS_LIMIT", "TOTAL_ALLOCATION"), loss_limit_within_allocation),
    _not_above("DEFENSE_MODE_TOTAL_ALLOCATION", "TOTAL_ALLOCATION", "defense may invest more"),
    Rule(("TRADING_TRAILING_STOP_PCT", "STRAT_OPEN_BUFFER"), stop_outside_buffer),
    Rule((*SWITCHES, *(f"WEIGHT_{n}" for n in STRATEGIES)), weights_sum),
    *(
        Rule((f"STRAT_{n}_ENABLED", "STRATEGY_SEQUENCE"), partial(sequence_holds_enabled, n))
        for n in STRATEGIES
    ),
    Rule(("STRATEGY_SEQUENCE",), sequence_in_order),
    Rule(("STRATEGY_OVERRIDE", *SWITCHES), override_is_enabled),
    *(Rule(("BROKER_NAME", f"{b}_ENABLED"), partial(one_broker, b)) for b in ("ALPACA", "IBKR")),
    *(Rule((key, needed), partial(needs, key, value, needed)) for key, value, needed in NEEDS),
    Rule(("SMTP_USERNAME", "SMTP_PASSWORD"), user_and_password),
    Rule(("SESSION_IDLE_MINUTES", "SESSION_MAX_HOURS"), idle_within_session),
    Rule(("WEB_ENABLED", "WEB_HOST", "TRUSTED_PROXY"), proxy_before_the_world),
    *(Rule(WINDOW_KEYS[n], partial(outside_the_day, n)) for n in STRATEGIES),
    Rule(
        (
            *(k for n in STRATEGIES for k in WINDOW_KEYS[n]),
            *("HOLDINGS_DELAY_MINUTES", "STRATEGY_SEQUENCE"),
        ),
        windows_out_of_order,
    ),
    Rule(
        ("TBOT_SUPERVISOR_UTC_HHMM", "TIMEZONE", *SWITCHES, *STARTS),
        supervisor_too_late,
    ),
)
