"""Files of one's own in place of a screener, for machines without a key (M16).

``candidates.txt`` names what is wanted, a symbol a line, # for remarks: nothing is known of these
but that, and nothing is filtered. Where there is a ``screen.csv`` beside it, that is screened
instead, by the same limits as Finnhub's: a head of column names and a line for each security.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from screeners.port import Facts, ScreenerError, Wait

CANDIDATES, SCREEN = "candidates.txt", "screen.csv"
NUMBERS = (
    "price", "previous_close", "open", "volume", "market_cap", "shares_outstanding", "share_float",
)  # fmt: skip
COLUMNS = ("symbol", "exchange", "currency", *NUMBERS, "at")
MOST_LINES = 50_000


class FileScreener:
    """Implements ``screeners.port.Screener`` over a folder. The files are read at each question."""

    name = "FILE"
    rebuilds = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def close(self) -> None:
        """Nothing is open."""

    def wanted(self) -> Sequence[str] | None:
        """Those of candidates.txt; None where there is a screen.csv."""
        if (self._folder / SCREEN).exists():
            return None
        return read_candidates(self._folder / CANDIDATES)

    def listing(
        self,
        exchanges: Iterable[str],  # noqa: ARG002 - of the port
        since: datetime,  # noqa: ARG002
        wait: Wait,  # noqa: ARG002
    ) -> Sequence[Facts]:
        """All that the file has, whichever exchange it names: the file is the choice."""
        rows = {facts.symbol: facts for facts in read_screen(self._folder / SCREEN)}
        return [rows[symbol] for symbol in sorted(rows)]

    def profile(self, facts: Facts, now: datetime, wait: Wait) -> Facts:  # noqa: ARG002
        return facts

    def usual_volume(self, facts: Facts, now: datetime, wait: Wait) -> Facts:  # noqa: ARG002
        return facts

    def quote(self, facts: Facts, since: datetime, wait: Wait) -> Facts:  # noqa: ARG002
        return facts


def read_candidates(path: Path) -> tuple[str, ...]:
    """The symbols of candidates.txt, A to Z. No file: none.

    Raises ScreenerError for a line that cannot be a symbol, or a file that cannot be read.
    """
    lines = _lines(path)
    symbols = {line.partition("#")[0].strip() for line in lines} - {""}
    for symbol in sorted(symbols):
        # a symbol in small letters would be another than the one on the blocklist
        if symbol != symbol.upper():
            raise ScreenerError(
                f"{path}: write {symbol} in capitals. Nothing is traded until it is mended."
            )
        try:
            check_symbol(symbol)
        except DomainError as e:
            raise ScreenerError(f"{path}: {e} Nothing is traded until it is mended.") from None
    return tuple(sorted(symbols))


def read_screen(path: Path) -> list[Facts]:
    """The securities of screen.csv, in its order. An empty field is a value that is not known.

    Raises ScreenerError that names the line: nothing of a file that is wrong somewhere is used.
    """
    lines = _lines(path)
    if len(lines) > MOST_LINES:
        raise _fault(path, f"has more than {MOST_LINES:,} lines")
    rows = csv.DictReader(lines, strict=True)
    found: list[Facts] = []
    try:
        unknown = sorted(set(rows.fieldnames or ()) - set(COLUMNS))
        if unknown or "symbol" not in (rows.fieldnames or ()):
            told = f"unknown: {', '.join(unknown)}" if unknown else "there is no symbol"
            raise _fault(path, f"has other columns than {', '.join(COLUMNS)} ({told})")
        for row in rows:
            found.append(_facts(path, rows.line_num, row))
    except csv.Error as e:
        raise _fault(path, f"line {rows.line_num}: {e}") from None
    symbols = [facts.symbol for facts in found]
    if twice := sorted({s for s in symbols if symbols.count(s) > 1}):
        raise _fault(path, f"names {', '.join(twice)} twice")
    return found


def _facts(path: Path, line: int, row: dict[str, str]) -> Facts:
    if None in row or None in row.values():
        raise _fault(path, f"line {line} has more or fewer fields than the head")
    given = {name: text.strip() for name, text in row.items()}
    try:
        check_symbol(given["symbol"])
        numbers = {name: _number(given.get(name, "")) for name in NUMBERS}
        at = _time(given.get("at", ""))
    except (DomainError, ValueError) as e:
        raise _fault(path, f"line {line}: {e}") from None
    opening = numbers.pop("open")
    return Facts(
        symbol=given["symbol"], exchange=given.get("exchange") or None,
        currency=given.get("currency") or None, opening=opening, at=at, **numbers,
    )  # fmt: skip


def _number(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number <= 0:
        raise ValueError(f"{text!r} is no number above 0; leave it empty where it is not known.")
    return number


def _time(text: str) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone; write UTC as 2026-03-02T13:20:00Z.")
    return at.astimezone(UTC)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as e:
        raise ScreenerError(
            f"{path} cannot be read: {e}. Nothing is traded until it can."
        ) from None


def _fault(path: Path, said: str) -> ScreenerError:
    return ScreenerError(f"{path} {said}. Nothing is traded until it is mended.")
