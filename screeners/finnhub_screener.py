"""Finnhub as a screener (M16), through finnhub-python. docs/decisions/0041-screening.md has the
calls of each mode; 60 a minute are allowed, so each answer is kept (screeners/kept_answers.py).

From https://finnhub.io/docs/api: stock/symbol lists an exchange by its ISO 10383 code;
stock/profile2 has marketCapitalization and shareOutstanding in millions, the first in the currency
of the company's filings; stock/metric has 10DayAverageTradingVolume in millions; quote has c
(newest price), o (open), pc (previous close), t (seconds since 1970). Zeros mean: not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import structs

from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from config.clock import Clock, from_micros
from screeners.finnhub_wire import Client, Line, NotTold
from screeners.kept_answers import Answer, KeptAnswers
from screeners.port import Facts, ScreenerError, Wait

MILLION = Decimal(1_000_000)
LARGEST = Decimal(10) ** 24
# Shares of companies. Funds, warrants, units and rights are no candidates, and have no profile.
KINDS = frozenset({"Common Stock", "ADR", "REIT"})
PROFILE_HOLDS = timedelta(days=7)  # size, shares and usual volume change slowly
NONSENSE_IN_A_ROW = 10  # securities without a sensible answer; then it is not they


class FinnhubScreener:
    """Implements ``screeners.port.Screener``. ``answers`` is the file of what was told."""

    name = "FINNHUB"
    rebuilds = True

    def __init__(self, line: Line, clock: Clock, answers: Path) -> None:
        self._line, self._clock = line, clock
        self._kept = KeptAnswers(answers)
        self._not_told = 0  # in a row

    @property
    def calls(self) -> int:
        """Requests that were sent so far, those without an answer included."""
        return self._line.calls

    def close(self) -> None:
        self._kept.close()
        self._line.close()

    def wanted(self) -> None:
        """Nothing is wanted unseen."""

    def listing(self, exchanges: Iterable[str], since: datetime, wait: Wait) -> Sequence[Facts]:
        found: dict[str, Facts] = {}
        for mic in exchanges:
            kept = self._kept.find("listing", mic, since)
            if kept is None:
                kept = self._list(mic, wait)
            found |= {facts.symbol: facts for facts in kept}
        return [found[symbol] for symbol in sorted(found)]

    def _list(self, mic: str, wait: Wait) -> tuple[Facts, ...]:
        what = f"the securities of {mic}"
        # "US" is Finnhub's name of all exchanges there; the ISO code picks one of them
        said = self._line.ask(what, lambda c: c.stock_symbols("US", mic=mic), wait)
        rows = said if isinstance(said, list) else []
        listed = tuple(filter(None, (_listed(row, mic) for row in rows)))
        if not listed:
            raise ScreenerError(
                f"Finnhub names no share of {mic}. Nothing was changed; check "
                "SCREENER_UNIVERSE_EXCHANGES, or wait until it answers sensibly again."
            )
        self._kept.forget_old(self._clock.now())
        self._kept.keep(Answer("listing", mic, self._clock.now(), listed))
        return listed

    def profile(self, facts: Facts, now: datetime, wait: Wait) -> Facts:
        told = self._told("profile", facts.symbol, now - PROFILE_HOLDS, _profile, wait)
        # Size in another currency than the price's says nothing about limits in ours.
        same = told.currency is not None and told.currency == facts.currency
        return structs.replace(
            facts,
            market_cap=told.market_cap if same else None,
            shares_outstanding=told.shares_outstanding,
        )

    def usual_volume(self, facts: Facts, now: datetime, wait: Wait) -> Facts:
        told = self._told("volume", facts.symbol, now - PROFILE_HOLDS, _usual_volume, wait)
        return structs.replace(facts, volume=told.volume)

    def quote(self, facts: Facts, since: datetime, wait: Wait) -> Facts:
        told = self._told("quote", facts.symbol, since, _quote, wait)
        return structs.replace(
            facts, price=told.price, opening=told.opening, previous_close=told.previous_close,
            at=told.at,
        )  # fmt: skip

    def _told(
        self, kind: str, symbol: str, since: datetime,
        ask: Callable[[Client, str], Facts], wait: Wait,
    ) -> Facts:  # fmt: skip
        """What is kept, or asked now and kept. A single answer without sense leaves all not known,
        and is asked anew the next time; many in a row end the screen."""
        kept = self._kept.find(kind, symbol, since)
        if kept is not None:
            return kept[0]
        try:
            told: Facts = self._line.ask(f"the {kind} of {symbol}", lambda c: ask(c, symbol), wait)
        except NotTold:
            self._not_told += 1
            if self._not_told >= NONSENSE_IN_A_ROW:
                raise
            return Facts(symbol=symbol)
        self._not_told = 0
        self._kept.keep(Answer(kind, symbol, self._clock.now(), (told,)))
        return told


def check_key(line: Line, wait: Wait) -> None:
    """One call that needs the key; nothing of it is kept. Raises ScreenerError."""
    said = line.ask("a price", lambda client: client.quote("AAPL"), wait)
    if not isinstance(said, dict) or _positive(said.get("c")) is None:
        raise ScreenerError("Finnhub answers, but not with a price. Nothing was changed.")


# -- what was said, as values ----------------------------------------------------------------------


def _listed(row: Any, mic: str) -> Facts | None:
    if not isinstance(row, dict) or row.get("type") not in KINDS:
        return None
    symbol, currency = row.get("symbol"), row.get("currency")
    if not isinstance(symbol, str) or not isinstance(currency, str):
        return None
    try:
        check_symbol(symbol)
    except DomainError:
        return None
    return Facts(symbol=symbol, exchange=mic, currency=currency[:3])


def _profile(client: Client, symbol: str) -> Facts:
    said = _object(client.company_profile2(symbol=symbol), symbol)
    currency = said.get("currency")
    return Facts(
        symbol=symbol,
        currency=currency[:3] if isinstance(currency, str) else None,
        market_cap=_positive(said.get("marketCapitalization"), MILLION),
        shares_outstanding=_positive(said.get("shareOutstanding"), MILLION),
    )


def _usual_volume(client: Client, symbol: str) -> Facts:
    said = _object(client.company_basic_financials(symbol, "all"), symbol)
    metric = said.get("metric")
    told = metric.get("10DayAverageTradingVolume") if isinstance(metric, dict) else None
    return Facts(symbol=symbol, volume=_positive(told, MILLION))


def _quote(client: Client, symbol: str) -> Facts:
    said = _object(client.quote(symbol), symbol)
    at = said.get("t")
    if not isinstance(at, int) or isinstance(at, bool) or not 0 < at < 10**10:
        return Facts(symbol=symbol)  # a price of which nobody says when it was
    return Facts(
        symbol=symbol,
        price=_positive(said.get("c")),
        opening=_positive(said.get("o")),
        previous_close=_positive(said.get("pc")),
        at=from_micros(at * 1_000_000),
    )


def _object(said: Any, symbol: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise NotTold(f"Finnhub's answer about {symbol} makes no sense. Nothing was changed.")
    return said


def _positive(value: Any, unit: Decimal = Decimal(1)) -> Decimal | None:
    """An exact number above 0, or None for whatever else was told."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite() or not 0 < number < LARGEST:
        return None
    return number * unit
