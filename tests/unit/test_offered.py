"""What the settings ask for and the broker does not offer keeps a day from beginning (M11, M15)."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from aggregates.inverse_etfs import STREAM, InverseEtf, InverseEtfs
from brokers.simulated import _CAPABILITIES
from config.settings import demo_settings
from runtime.strategy_phases import not_offered


def bot(settings: dict[str, str], trades: tuple[str, ...] = (), **can: bool) -> Any:
    """A bot that has mapped SPY to SH, at a broker that trades ``trades``."""
    mapping = InverseEtfs(STREAM)
    mapping.mapped["SPY"] = InverseEtf(underlying="SPY", etf="SH", leverage=Decimal(1))
    asset = {symbol: SimpleNamespace(tradable=True) for symbol in trades}.get
    return SimpleNamespace(
        settings=demo_settings(settings),
        broker=SimpleNamespace(capabilities=replace(_CAPABILITIES, **can), asset=asset),
        store=SimpleNamespace(load=lambda _kind, _stream: mapping),
    )


def test_nothing_is_asked_for_that_is_not_there() -> None:
    assert not_offered(bot({}, long_put=False, inverse_etf=False)) == []
    assert not_offered(bot({"SHORT_TYPE_OPEN": "LongPut"})) == []


def test_puts_that_the_broker_does_not_offer() -> None:
    asked = bot({"SHORT_TYPE_OPEN": "LongPut"}, long_put=False)
    assert not_offered(asked) == [
        "SHORT_TYPE_OPEN is LongPut, which simulated does not offer: change it under Settings."
    ]


def test_a_strategy_that_does_not_run_asks_for_nothing() -> None:
    assert not_offered(bot({"SHORT_TYPE_MID": "LongPut"}, long_put=False)) == []


def test_a_fund_that_the_broker_does_not_trade_is_named_with_the_page_to_correct_it() -> None:
    settings = {"SHORT_TYPE_OPEN": "InverseETF"}
    (said,) = not_offered(bot(settings))
    assert said == (
        "SPY is mapped to the inverse ETF SH, which the broker does not trade: "
        "correct the mapping on the page Bearish."
    )
    assert not_offered(bot(settings, trades=("SH",))) == []
    assert not_offered(bot({})) == []  # nothing would be bought by the mapping


def test_parts_of_shares_at_a_broker_of_whole_ones() -> None:
    (said,) = not_offered(bot({"FRACTIONAL": "true"}, fractional=False))
    assert said == "FRACTIONAL is true, and simulated takes whole shares only: switch it off."
    assert not_offered(bot({"FRACTIONAL": "false"}, fractional=False)) == []
