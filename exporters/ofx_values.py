"""Values as OFX wants them: numbers, ids, text, times (OFX 3.2, 13.8.1)."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

from aggregates.money import QUANTITY_SCALE, from_scaled
from aggregates.occ import occ_terms
from exporters.errors import ExportError
from projections.ledger_records import Listing


class Fixed(Decimal):
    """A Decimal whose text never has an exponent: ofxtools writes str(), 1E+2 and 1E-9 included."""

    def __str__(self) -> str:
        return format(self, "f")


def unique_id(listing: Listing) -> str:
    """UNIQUEID (13.8.1): the permanent instrument id; it may have 32 characters, so a longer one
    ends in a digest of itself."""
    return fitted(listing.instrument_id, 32)


def fitted(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return f"{text[: length - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def noon(day: date) -> datetime:
    """A date as OFX time: readers move midnight to the day before."""
    return datetime.combine(day, time(12), UTC)


def one_line(text: str, length: int) -> str:
    """One line of ASCII that fits: accents are taken off, what has no base letter becomes "?".

    ofxdump calls any other character an error in version 2, and ofxparse cannot read it there.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    letters = (c for c in unicodedata.normalize("NFKD", line) if not unicodedata.combining(c))
    return "".join(letters).encode("ascii", "replace").decode()[:length].rstrip()


def units_of(units: int) -> Fixed:
    return Fixed(from_scaled(units, QUANTITY_SCALE).normalize())


def option_terms(listing: Listing) -> tuple[date, Literal["CALL", "PUT"], Decimal]:
    """Expiry, right and strike, which OPTINFO requires, from the OCC symbol; never guessed."""
    found = occ_terms(listing.symbol)
    if found is None:
        raise ExportError(
            f"{listing.instrument_id} is an option, but {listing.symbol!r} is not an OCC symbol "
            "such as SPY131019P00145000, so that its expiry and strike are not known; OFX needs "
            "them. Nothing was written. Rename the instrument to its OCC symbol and export again."
        )
    return found.expiry, "PUT" if found.right == "put" else "CALL", found.strike
