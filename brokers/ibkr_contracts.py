"""Contracts at Interactive Brokers by the symbols of here, asked for once."""

from __future__ import annotations

from typing import Any

from ib_async.contract import Contract, ContractDetails

from brokers.ibkr_codes import NO_CONTRACT
from brokers.ibkr_line import IbkrLine, no_answer
from brokers.ibkr_link import Refused
from brokers.ibkr_symbols import CURRENCY, SMART, asked_for, symbol_of
from brokers.port import OrderRefused


class IbkrContracts:
    """Contracts by symbol; what was found once is kept, for its conId never changes."""

    def __init__(self, line: IbkrLine) -> None:
        self._line = line
        self._found: dict[str, list[ContractDetails]] = {}

    def find(self, symbol: str) -> list[ContractDetails]:
        """Empty when IBKR surely knows none; more than one when the symbol is ambiguous."""
        if symbol not in self._found:
            rows = [r for r in self.ask(symbol, asked_for(symbol)) if _means(symbol, r)]
            if not rows:
                return []
            self._found[symbol] = rows
        return self._found[symbol]

    def ask(self, what: str, contract: Contract) -> list[ContractDetails]:
        """Raises BrokerUnavailable."""
        try:
            told = self._line.ask(
                f"contracts of {what}", lambda c, n: _details(c, n, contract), ("contract",),
                "contract_end",
            )  # fmt: skip
        except Refused as no:
            if no.error.code == NO_CONTRACT:
                return []
            raise no_answer(f"contracts of {what}", no) from None
        return [t.row for t in told if t.kind == "contract"]

    def to_order(self, symbol: str) -> Contract:
        """Raises OrderRefused where it is not clear which contract is meant, or there is none."""
        found = self.find(symbol)
        if not found:
            raise OrderRefused("unknown_symbol", f"IBKR knows no {symbol}.")
        if len(found) > 1:
            raise OrderRefused("not_tradable", f"{symbol} names several contracts at IBKR.")
        return routed(found[0])


def routed(details: ContractDetails) -> Contract:
    """By IBKR's own number, over all exchanges."""
    contract = details.contract or Contract()
    return Contract(
        conId=contract.conId, symbol=contract.symbol, secType=contract.secType, exchange=SMART,
        currency=contract.currency,
    )  # fmt: skip


def _means(symbol: str, details: ContractDetails) -> bool:
    found = details.contract
    return found is not None and found.currency == CURRENCY and symbol_of(found) == symbol


def _details(client: Any, number: int, contract: Contract) -> None:
    client.reqContractDetails(number, contract)
