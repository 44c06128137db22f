"""The investment statement as OFX 1.0.2 or 2.0.3, checked before it leaves (M06).

Everything comes from the books as of both clocks; the machine's clock, zone and locale have no part
in it, so the same question always gives the same bytes.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import msgspec

from aggregates.money import (
    PRICE_SCALE,
    QUANTITY_SCALE,
    divide_half_even,
    from_scaled,
    to_scaled,
)
from exporters.errors import ExportError
from exporters.ofx_checks import Opening, check_statement
from exporters.ofx_models import (
    Holding,
    ModelMaker,
    Statement,
    Version,
    mentioned,
    to_bytes,
)
from exporters.ofx_movements import Movement, MovementReader, quantity_text
from exporters.ofx_values import unique_id
from projections.ledger_bulk import LedgerBulk
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import AsOf, Books, Listing
from projections.performance_queries import PerformanceQueries, PriceMark


def export_ofx(
    ledger: LedgerQueries,
    performance: PerformanceQueries,
    *,
    as_of: AsOf,
    since: date | None,
    version: Version,
) -> bytes:
    """The statement of entries dated from ``since`` (None: all) up to ``as_of``.

    Transactions keep their FITID in every export. Raises ExportError when a held security has no
    price, an option no OCC symbol, or a check finds that the file would not tie out.
    """
    if since and as_of.date and since > as_of.date:
        raise ExportError(
            f"The statement would begin on {since}, after it ends on {as_of.date}. Nothing was "
            "written. Choose a first day on or before the last one."
        )
    return _Export(ledger, performance, as_of, since).to_bytes(version)


class _Export:
    def __init__(
        self,
        ledger: LedgerQueries,
        performance: PerformanceQueries,
        as_of: AsOf,
        since: date | None,
    ) -> None:
        self._bulk = LedgerBulk(ledger)
        self._books: Books = ledger.books()
        self._as_of, self._since = as_of, since
        self._reader = MovementReader(self._bulk, self._books, as_of)
        self._marks = performance.marks(as_of)

    def to_bytes(self, version: Version) -> bytes:
        cash, units = self._state(self._as_of)
        movements = [
            movement
            for entry in self._bulk.entries(self._as_of, since=self._since)
            for movement in self._reader.movements(entry)
        ]
        holdings = [self._holding(suffix, held) for suffix, held in sorted(units.items()) if held]
        moments = [m.when for m in movements]
        as_of = max([*moments, *self._mark_times(), _utc(self._books.created_at_utc)])
        start, end = self._range(moments, as_of)
        statement = Statement(
            books=self._books,
            start=start,
            end=end,
            as_of=as_of,
            known_at=self._known_at(as_of),
            movements=movements,
            holdings=holdings,
            cash=cash,
            securities=self._securities(movements, holdings),
        )
        root = ModelMaker(statement).document()
        check_statement(root, self._opening())
        return to_bytes(root, version)

    # -- times -----------------------------------------------------------------------------

    def _mark_times(self) -> list[datetime]:
        return [_utc(mark.at) for mark in self._marks.values()]

    def _known_at(self, as_of: datetime) -> datetime:
        """DTSERVER: the newest event behind the file, corrections of earlier days included."""
        last = self._bulk.last_timestamp(self._as_of)
        return max(as_of, _utc(last)) if last else as_of

    def _range(self, moments: list[datetime], as_of: datetime) -> tuple[datetime, datetime]:
        """DTSTART, DTEND: the date asked for, widened to a session that began the UTC day before;
        up to the last event, so that the next export may begin there and lose nothing."""
        asked = datetime.combine(self._since, time(), UTC) if self._since else as_of
        start = min([asked, *moments])
        return start, max(start, as_of)

    # -- money and units -------------------------------------------------------------------

    def _state(self, as_of: AsOf) -> tuple[int, dict[str, int]]:
        """The broker's cash in minor units, and units (1e-9) by security, both sleeves together."""
        cash, units = 0, dict[str, int]()
        for code, (amount, quantity) in self._bulk.sums(as_of).items():
            suffix = code.partition(".")[2]
            if code in self._reader.purses:
                cash += amount
            if suffix:
                units[suffix] = units.get(suffix, 0) + quantity
        return cash, units

    def _opening(self) -> Opening:
        exponent = self._books.exponent
        if self._since is None:
            return Opening(Decimal(0), {}, exponent)
        before = msgspec.structs.replace(self._as_of, date=self._since - timedelta(days=1))
        cash, units = self._state(before)
        by_id = {
            unique_id(self._reader.securities[suffix]): from_scaled(held, QUANTITY_SCALE)
            for suffix, held in units.items()
        }
        return Opening(from_scaled(cash, 10**exponent), by_id, exponent)

    def _securities(self, movements: list[Movement], holdings: list[Holding]) -> dict[str, Listing]:
        return {s: self._reader.securities[s] for s in mentioned(movements, holdings)}

    def _holding(self, suffix: str, units: int) -> Holding:
        listing = self._reader.securities[suffix]
        mark = self._marks.get(listing.instrument_id)
        held = f"{quantity_text(units)} {listing.symbol}"
        if mark is None:
            raise ExportError(
                f"{held} are held, but no price of {listing.symbol} is known as of this export, "
                "and OFX has no position without one. Nothing was written. Mark prices (each "
                "session's close does) or export as of a date that has a price."
            )
        self._check_not_before_split(suffix, held, mark)
        price = to_scaled(mark.price, PRICE_SCALE, "price")
        value = divide_half_even(
            units * price * listing.multiplier * 10**self._books.exponent,
            QUANTITY_SCALE * PRICE_SCALE,
        )
        return Holding(suffix, units, mark.price, value, _utc(mark.at))

    def _check_not_before_split(self, suffix: str, held: str, mark: PriceMark) -> None:
        split = self._bulk.last_split(suffix, self._as_of)
        if split and mark.at[:10] < split:
            raise ExportError(
                f"{held} are held, but the last price, {mark.price:f} of {mark.at}, is from before "
                f"the split of {split} and would misstate them. Nothing was written. Mark prices "
                "(each session's close does) and export again."
            )


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
