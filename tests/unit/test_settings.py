"""Settings: every key has a range and a default, and every fault is told at once."""

from dataclasses import fields
from decimal import Decimal

import pytest

from config.errors import ConfigError
from config.settings import Settings, settings_from

KEYS = fields(Settings)
D = Decimal


def test_without_anything_the_defaults_hold_and_make_a_demo() -> None:
    settings = settings_from({})
    assert settings == Settings()
    assert settings.identity == "DEMO_USA_SIM_01"
    assert (settings.CURRENCY_CODE, settings.TIMEZONE) == ("USD", "US/Eastern")


@pytest.mark.parametrize("key", KEYS, ids=[k.name for k in KEYS])
def test_every_key_says_what_it_is_for_and_its_default_is_allowed(key: object) -> None:
    meta = key.metadata  # type: ignore[attr-defined]
    assert meta["help"].strip()
    assert meta["unit"].strip()
    name = key.name  # type: ignore[attr-defined]
    text = Settings().as_text()[name]
    assert settings_from({name: text}) == Settings()


def test_settings_written_out_can_be_read_again() -> None:
    """What Configuration.Adopted holds is enough to run with the same settings."""
    changed = settings_from(
        {"FRACTIONAL": "false", "TOTAL_ALLOCATION": "0.1250", "MAX_TRADES": "0", "BOT_ID": "B7",
         "TRADING_DAYS": "mon,fri", "STRAT_OPEN_BUFFER": "0"}
    )  # fmt: skip
    assert settings_from(changed.as_text()) == changed
    assert changed.as_text()["TOTAL_ALLOCATION"] == "0.1250"
    assert changed.identity == "DEMO_USA_SIM_B7"
    assert list(changed.as_text()) == [k.name for k in KEYS]


def test_all_faults_are_told_at_once() -> None:
    """Whoever starts the bot sees the whole list, with what each key is for."""
    with pytest.raises(ConfigError) as told:
        settings_from(
            {"MAX_TRADES": "-1", "TYPO": "1", "FRACTIONAL": "yes", "START_TIME_OPEN": "9:30",
             "TOTAL_ALLOCATION": "NaN", "WEB_PORT": "99999", "OPEN_ANALYSIS_TIME": "half an hour"}
        )  # fmt: skip
    lines = str(told.value).splitlines()
    assert lines[0] == "7 setting(s) cannot be used; nothing was started:"
    assert lines[1].strip() == "TYPO: no such setting"
    for name, words in (
        ("MAX_TRADES = '-1'", "below the least allowed, 0 trades"),
        ("FRACTIONAL = 'yes'", "allowed: true, false"),
        ("START_TIME_OPEN = '9:30'", "does not match"),
        ("WEB_PORT = '99999'", "above the most allowed, 65535 port"),
        ("OPEN_ANALYSIS_TIME = 'half an hour'", "not a number of minutes"),
        ("TOTAL_ALLOCATION = 'NaN'", "(most that may be invested)"),
    ):
        (line,) = [text for text in lines if name in text]
        assert words in line


RANGED = [(k.name, k.metadata) for k in KEYS if k.metadata["low"] is not None]


@pytest.mark.parametrize(("name", "meta"), RANGED, ids=[name for name, _ in RANGED])
def test_a_range_includes_its_ends_and_nothing_beyond(name: str, meta: dict[str, object]) -> None:
    step = 1 if isinstance(getattr(Settings(), name), int) else D("0.00001")
    assert getattr(settings_from({name: str(meta["low"])}), name) == meta["low"]
    with pytest.raises(ConfigError, match="below the least"):
        settings_from({name: str(meta["low"] - step)})  # type: ignore[operator]
    if meta["high"] is not None:
        assert getattr(settings_from({name: str(meta["high"])}), name) == meta["high"]
        with pytest.raises(ConfigError, match="above the most"):
            settings_from({name: str(meta["high"] + step)})  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ENTITY_CODE", "../etc"), ("ENTITY_CODE", "demo"), ("ENTITY_CODE", ""), ("BOT_ID", "A/B"),
        ("BOT_ID", "A" * 17), ("CURRENCY_CODE", "usd"), ("START_TIME_OPEN", "24:00"),
        ("START_TIME_OPEN", "09:60"), ("TRADING_DAYS", "mon tue"), ("TRADING_DAYS", "monday"),
        ("TRADING_DAYS", ""), ("LOG_FORMAT", "XML"), ("SHORT_TYPE_OPEN", "naked"),
        ("DISABLE_ALL_TRADES", "True"), ("DISABLE_ALL_TRADES", "1"), ("MAX_TRADES", "1.5"),
        ("TOTAL_ALLOCATION", "Infinity"), ("TOTAL_ALLOCATION", "50%"), ("TIMEZONE", ""),
    ],
)  # fmt: skip
def test_a_value_that_means_nothing_is_refused(name: str, text: str) -> None:
    """The identity names folders and files: no path gets in through a code."""
    with pytest.raises(ConfigError, match=name):
        settings_from({name: text})


def test_fractions_stay_exact() -> None:
    settings = settings_from({"TRADING_TRAILING_STOP_PCT": "0.1"})
    found = settings.TRADING_TRAILING_STOP_PCT
    assert isinstance(found, Decimal)
    assert found == D("0.1")
