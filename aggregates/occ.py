"""The OCC's symbol of an option: root, expiry YYMMDD, C or P, strike in thousandths, no blanks."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

Right = Literal["put", "call"]
_OCC = re.compile(r"([A-Z0-9.]{1,6}?)(\d{2})(\d{2})(\d{2})([CP])(\d{8})", re.ASCII)


class OptionTerms(NamedTuple):
    """What the symbol says. ``root`` is the underlying's symbol, unless the contract was adjusted:
    then the OCC often gives another one (with a digit at its end)."""

    root: str
    expiry: date
    right: Right
    strike: Decimal


def occ_terms(symbol: str) -> OptionTerms | None:
    """The terms in SPY131019P00145000, or None for what is no OCC symbol."""
    if (found := _OCC.fullmatch(symbol)) is None:
        return None
    root, year, month, day, right, strike = found.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        return None
    worth = Decimal(strike).scaleb(-3).normalize()
    return OptionTerms(root, expiry, "put" if right == "P" else "call", Decimal(f"{worth:f}"))


def occ_symbol(root: str, expiry: date, right: Right, strike: Decimal) -> str:
    """Strikes have three decimals at most."""
    return f"{root}{expiry:%y%m%d}{right[0].upper()}{int(strike.scaleb(3)):08d}"
