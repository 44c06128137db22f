"""Symbols here, contracts at Interactive Brokers, and back. Pure."""

from __future__ import annotations

from ib_async.contract import Contract

from aggregates.occ import occ_terms
from brokers.ibkr_told import Unreadable

STOCK, OPTION, INDEX = "STK", "OPT", "IND"
CURRENCY, SMART = "USD", "SMART"


def asked_for(symbol: str) -> Contract:
    """What to ask contract details with: an option by its OCC symbol, all else as a US stock."""
    terms = occ_terms(symbol)
    if terms is None:
        return Contract(
            secType=STOCK, symbol=symbol.replace(".", " "), exchange=SMART, currency=CURRENCY
        )
    return Contract(
        secType=OPTION, exchange=SMART, currency=CURRENCY,
        localSymbol=f"{terms.root:<6}{symbol[len(terms.root):]}",
    )  # fmt: skip


def index(symbol: str) -> Contract:
    return Contract(secType=INDEX, symbol=symbol, exchange="CBOE", currency=CURRENCY)


def symbol_of(contract: Contract) -> str:
    """BRK.B for the stock "BRK B", SPY260116P00450000 for an option; anything else, which this
    bot never trades, as TYPE_SYMBOL, so that it is seen. A share in Canadian dollars is another
    one than the share of that name in ours."""
    if contract.secType == STOCK and contract.currency not in ("", CURRENCY):
        return f"{STOCK}_{contract.symbol}_{contract.currency}".replace(" ", "_")[:24]
    if contract.secType == STOCK:
        if not contract.symbol:
            raise Unreadable("symbol of a stock")
        return contract.symbol.replace(" ", ".")
    if contract.secType == OPTION:
        symbol = contract.localSymbol.replace(" ", "")
        if occ_terms(symbol) is None:
            raise Unreadable("symbol of an option")
        return symbol
    name = contract.localSymbol or contract.symbol
    return f"{contract.secType}_{name}".replace(" ", "_").replace("/", "_")[:24]


def multiplier_of(contract: Contract) -> int:
    """How many units of the underlying one contract is about; of all but options 1."""
    if contract.secType != OPTION:
        return 1
    try:
        found = int(contract.multiplier)
    except ValueError:
        raise Unreadable("multiplier of an option") from None
    if found <= 0:
        raise Unreadable("multiplier of an option")
    return found
