"""Puts on a symbol at Interactive Brokers: which there are, and what is quoted of the near ones.

IBKR asks for each contract's quotes apart and allows 100 at once, so only so many of them are
looked at: those whose strikes are nearest to the underlying's price. The others are listed without.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from ib_async.contract import Contract, ContractDetails

from aggregates.market import OptionContract
from aggregates.occ import occ_terms
from brokers.ibkr_contracts import IbkrContracts, routed
from brokers.ibkr_data import ASK, BID, IbkrData, Ticks, until, unwatch
from brokers.ibkr_line import IbkrLine, believed, no_answer
from brokers.ibkr_link import Refused, Send
from brokers.ibkr_symbols import CURRENCY, OPTION, SMART, multiplier_of, symbol_of
from brokers.ibkr_told import Listing, Unreadable
from config.clock import Clock

MOST_EXPIRIES = 10
MOST_QUOTED = 80
MODEL, PUT_INTEREST = 13, 28  # ticks: the model's greeks, open interest of puts
_OPEN_INTEREST = "101"  # the generic tick that asks for it
_USUAL = 100  # units of the underlying, unless the contract was adjusted


class _Put(NamedTuple):
    contract: Contract
    known: OptionContract


class IbkrOptions:
    def __init__(
        self, line: IbkrLine, contracts: IbkrContracts, data: IbkrData, clock: Clock
    ) -> None:
        self._line, self._contracts, self._data, self._clock = line, contracts, data, clock

    def puts(self, underlying: str, first: date, last: date) -> Sequence[OptionContract]:
        """Of at most MOST_EXPIRIES, evenly spread. Raises BrokerUnavailable."""
        found = self._contracts.find(underlying)
        if len(found) != 1:
            return ()
        listed = [
            (expiry, listing.trading_class)
            for listing in self._listings(found[0])
            for expiry in listing.expiries
            if listing.exchange == SMART and first <= expiry <= last
        ]
        expiries = _spread(sorted({expiry for expiry, _ in listed}))
        rows = [
            row
            for expiry, of_class in sorted(listed)
            if expiry in expiries
            for row in self._contracts.ask(underlying, _asked(found[0], expiry, of_class))
        ]
        puts = believed(f"puts on {underlying}", lambda: [_put(underlying, row) for row in rows])
        quoted = self._quoted(underlying, puts)
        return sorted(quoted, key=lambda put: (put.expiry, put.strike, put.symbol))

    def _listings(self, details: ContractDetails) -> list[Listing]:
        contract = details.contract or Contract()
        wanted = contract.symbol, "", contract.secType, contract.conId
        what = f"options on {contract.symbol}"
        try:
            told = self._line.ask(
                what, lambda c, n: c.reqSecDefOptParams(n, *wanted), ("listing",), "listing_end"
            )
        except Refused as no:
            raise no_answer(what, no) from None
        return [t.row for t in told if t.kind == "listing"]

    def _quoted(self, underlying: str, puts: Sequence[_Put]) -> list[OptionContract]:
        quote = self._data.quote(underlying) if puts else None
        if quote is None:
            return [put.known for put in puts]
        middle = (quote.bid + quote.ask) / 2
        near = sorted(puts, key=lambda put: abs(put.known.strike - middle))
        looked_at, others = near[:MOST_QUOTED], near[MOST_QUOTED:]
        told = self._line.watch(
            f"the market of puts on {underlying}",
            [_watch(put.contract) for put in looked_at],
            ("tick", "data_type"),
            until(BID, ASK, MODEL, PUT_INTEREST),
            unwatch,
        )
        with_ticks = zip(looked_at, told, strict=True)
        return [
            put.known if isinstance(ticks, Refused) else self._with(put.known, Ticks(ticks))
            for put, ticks in with_ticks
        ] + [put.known for put in others]

    def _with(self, put: OptionContract, ticks: Ticks) -> OptionContract:
        sides, interest, delta = ticks.bid_and_ask(), ticks.value(PUT_INTEREST), ticks.value(MODEL)
        return OptionContract(
            symbol=put.symbol, underlying=put.underlying, right="put", strike=put.strike,
            expiry=put.expiry, multiplier=put.multiplier, adjusted=put.adjusted,
            bid=sides[0] if sides else None,
            ask=sides[1] if sides else None,
            quote_known_at=self._clock.now() if sides else None,
            open_interest=int(interest) if interest is not None and interest >= 0 else None,
            delta=delta if delta is not None and -1 <= delta <= 0 else None,
        )  # fmt: skip


def _spread(expiries: Sequence[date]) -> set[date]:
    step = max(-(-len(expiries) // MOST_EXPIRIES), 1)
    return set(expiries[::step])


def _asked(details: ContractDetails, expiry: date, trading_class: str) -> Contract:
    contract = details.contract or Contract()
    return Contract(
        secType=OPTION, symbol=contract.symbol, exchange=SMART, currency=CURRENCY, right="P",
        lastTradeDateOrContractMonth=f"{expiry:%Y%m%d}", tradingClass=trading_class,
    )  # fmt: skip


def _put(underlying: str, details: ContractDetails) -> _Put:
    contract = details.contract or Contract()
    symbol, multiplier = symbol_of(contract), multiplier_of(contract)
    terms = occ_terms(symbol)
    if terms is None or terms.right != "put":
        raise Unreadable("terms of a put")
    adjusted = terms.root != underlying.replace(".", "") or multiplier != _USUAL
    known = OptionContract(
        symbol=symbol, underlying=underlying, right="put", strike=terms.strike,
        expiry=terms.expiry, multiplier=multiplier, adjusted=adjusted, bid=None, ask=None,
        quote_known_at=None, open_interest=None, delta=None,
    )  # fmt: skip
    return _Put(routed(details), known)


def _watch(contract: Contract) -> Send:
    """Not a snapshot, which takes no generic ticks: it is ended when it is enough."""

    def send(client: Any, number: int) -> None:
        client.reqMktData(number, contract, _OPEN_INTEREST, False, False, [])

    return send
