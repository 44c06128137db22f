"""Which securities are looked at (M16, M18)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from config.setting_forms import Choice, Exact, Whole, Words
from config.setting_keys import ENV_BOT, group

candidates = group("Candidates", ENV_BOT)
universe = group("Universe", ENV_BOT)

D = Decimal
PRICE = Exact("in CURRENCY_CODE", "0", "1000000")
CAP = Whole("in CURRENCY_CODE", 0, 10**15)
SHARES = Whole("shares", 0, 10**15)


# fmt: off
@dataclass(frozen=True, kw_only=True)
class Candidates:
    CANDIDATE_MULTIPLIER: int = candidates(Whole("times", 1, 50), 3, "Candidates that are chosen for each position of MAX_OPEN_POSITIONS")
    MIN_PRICE: Decimal = candidates(PRICE, D(5), "Least price of a candidate", "0: any that is known")
    MAX_PRICE: Decimal = candidates(PRICE, D(2000), "Greatest price of a candidate")
    MIN_SHARE_FLOAT: int = candidates(SHARES, 10_000_000, "Least number of freely traded shares of a candidate; where the float is not told, of its shares outstanding", "0: any that is known")
    MAX_SHARE_FLOAT: int = candidates(SHARES, 10**12, "Greatest number of freely traded shares of a candidate")


@dataclass(frozen=True, kw_only=True)
class Universe:
    SCREENER_NAME: str = universe(Choice(("FILE", "FINNHUB")), "FILE", "Where screens come from: files of your own, or Finnhub (needs FINNHUB_API_KEY)")
    SCREENER_UNIVERSE_EXCHANGES: tuple[str, ...] = universe(Words("ISO 10383", "[A-Z0-9]{4}", "exchange codes of four characters", 1, 20), ("XNYS", "XNAS"), "Exchanges whose securities make up the universe")
    SCREENER_UNIVERSE_MIN_PRICE: Decimal = universe(PRICE, D(5), "Least price in the universe", "0: any that is known")
    SCREENER_UNIVERSE_MAX_PRICE: Decimal = universe(PRICE, D(2000), "Greatest price in the universe")
    SCREENER_UNIVERSE_MIN_MARKET_CAP: int = universe(CAP, 2 * 10**9, "Least market capitalisation in the universe", "0: any that is known")
    SCREENER_UNIVERSE_MAX_MARKET_CAP: int = universe(CAP, 10**13, "Greatest market capitalisation in the universe")
    SCREENER_UNIVERSE_MAX_SIZE: int = universe(Whole("securities", 1, 20_000), 2000, "Most securities in the universe; the largest are taken")
    SCREENER_UNIVERSE_MAX_AGE_DAYS: int = universe(Whole("sessions", 1, 30), 3, "Sessions for which a universe serves; the one made after Friday's close is one old on Monday")
    SCREENER_UNIVERSE_BLOCKLIST: tuple[str, ...] = universe(Words("symbols", r"[A-Z0-9]{1,6}([.-][A-Z0-9]{1,3})?", "symbols in capitals", 0, 300), (), "Symbols that are never looked at or entered; the page Screens blocks more", "empty: no symbol is blocked by name")
