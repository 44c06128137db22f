"""The fields of the capital page's forms: what was typed as a value, or what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from aggregates.errors import DomainError
from aggregates.instrument import check_symbol
from aggregates.money import Money
from config.clock import local_date
from web.frame import frame
from web.shared import shared

LONGEST = 200  # characters of a reason or a reference
RATIO = 10_000  # largest side of a split
RESERVES = [
    ("tax_reserve", "Tax reserve, pays income tax"),
    ("payroll_reserve", "Payroll reserve, pays payroll"),
]
PURPOSES = [("draw", "the owner (a draw)"), ("payroll", "payroll"), ("income_tax", "income tax")]
_AMOUNT = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")
_WHOLE = re.compile(r"[0-9]{1,6}")


class Wrong(ValueError):
    """What is wrong with one field, in words for beside it."""


def day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Wrong("Write the date as 2026-03-02") from None
    if found > today():
        raise Wrong(f"It is {today()}: nothing is booked before its day")
    return found


def amount(text: str) -> Decimal:
    """Money above 0, with the decimals of the currency."""
    if not (found := _money(text)):
        raise Wrong("An amount is above 0")
    return found


def withheld(text: str) -> Decimal:
    """Empty means that nothing was."""
    return _money(text or "0")


def _money(text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise Wrong("Write the amount in digits with a point, such as 1234.56")
    try:
        return Money.of(Decimal(text), currency()).decimal
    except DomainError as e:
        raise Wrong(str(e)) from None


def units(text: str) -> int:
    if not (_WHOLE.fullmatch(text) and 0 < int(text) <= RATIO):
        raise Wrong(f"A whole number from 1 to {RATIO:,}")
    return int(text)


def symbol(text: str) -> str:
    try:
        check_symbol(text.upper())
    except DomainError:
        raise Wrong("The symbol of the security, such as SCHD") from None
    return text.upper()


def rename_fault(instrument_id: str, new: str) -> str:
    """Why a security cannot bear that symbol; empty: it can. Two of one name could not be told
    apart, neither at the broker nor in the plan."""
    queries = shared().queries
    positions = queries.positions()
    if any(p.symbol == new and p.instrument_id != instrument_id for p in positions):
        return f"{new} is another security that is held"
    old = next((p.symbol for p in positions if p.instrument_id == instrument_id), new)
    versions = queries.plan_versions()
    if old != new and versions and {old, new} <= versions[-1].plan.symbols:
        return f"The plan of the holdings names {old} and {new}: take one of them out first"
    return ""


def one_of(choices: Callable[[], list[tuple[str, str]]]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in dict(choices()):
            raise Wrong("Choose one of the list")
        return text

    return read


def reason(text: str) -> str:
    if not text:
        raise Wrong("A reason is needed; it is kept for good")
    if len(text) > LONGEST:
        raise Wrong(f"At most {LONGEST} characters")
    return text


def reference(text: str) -> str:
    """Empty: the form's own number is taken."""
    if len(text) > LONGEST or not text.isprintable():
        raise Wrong(f"At most {LONGEST} printable characters")
    return text


def held() -> list[tuple[str, str]]:
    """Securities that are held, which could be split or renamed: id, and symbol with name."""
    found = {p.instrument_id: f"{p.symbol}, {p.name}" for p in shared().queries.positions()}
    return sorted(found.items(), key=lambda pair: pair[1])


def currency() -> str:
    status = frame().status
    return status.currency if status else ""


def today() -> date:
    """The date in the entity's zone."""
    return local_date(shared().clock.now(), frame().zone)


READERS: dict[str, Callable[[str], Any]] = {
    "day": day,
    "amount": amount,
    "withheld": withheld,
    "symbol": symbol,
    "purpose": one_of(lambda: PURPOSES),
    "purse": one_of(lambda: RESERVES),
    "instrument": one_of(held),
    "new_symbol": symbol,
    "new_units": units,
    "old_units": units,
    "reason": reason,
    "reference": reference,
}
