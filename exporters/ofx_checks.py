"""What ofxtools lets pass and a reader would stumble over, checked on the finished tree (M06).

Every export goes through here before a byte is returned: ids, numbers, dates, securities, and that
units and cash tie out. Each fault names its FITID or security.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, localcontext
from itertools import islice
from typing import NamedTuple
from xml.etree.ElementTree import Element  # of our own making  # nosec B405

from exporters.errors import ExportError
from projections.posting_rules import ROUNDING_BOUND

_SHOWN = 5
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_TIME = re.compile(r"(\d{14}\.\d{3})\[\+?0:UTC\]")
_MONEY = "TOTAL TRNAMT COMMISSION FEES WITHHOLDING AVAILCASH MKTVAL MARGINBALANCE SHORTBALANCE"
_NUMBERS = (
    f"{_MONEY} UNITS UNITPRICE OLDUNITS NEWUNITS NUMERATOR DENOMINATOR STRIKEPRICE SHPERCTRCT"
)
_TIMES = "DTSERVER DTASOF DTSTART DTEND DTTRADE DTPOSTED DTSETTLE DTPRICEASOF DTEXPIRE"
_EXACT = Context(prec=80)  # wider than any product of a quantity, a price and a multiplier


class Opening(NamedTuple):
    """What was there before the first transaction: cash, and units by UNIQUEID."""

    cash: Decimal
    units: Mapping[str, Decimal]
    exponent: int


def check_statement(root: Element, opening: Opening) -> None:
    """Raises ExportError with the first faults of the tree under <OFX>."""
    with localcontext(_EXACT):
        faults = list(islice(_unreadable(root, opening.exponent), _SHOWN + 1))
        if not faults:  # only numbers and times that can be read can be compared
            faults = list(islice(_faults(root, opening), _SHOWN + 1))
    if faults:
        more = "; and more" if len(faults) > _SHOWN else ""
        raise ExportError(
            f"The OFX file would be wrong: {'; '.join(faults[:_SHOWN])}{more}. Nothing was "
            "written and the books are unchanged. Rebuild the ledger and export again; if the "
            "fault stays, report it with these ids."
        )


def _faults(root: Element, opening: Opening) -> Iterator[str]:
    yield from _ids(root)
    yield from _dates(root)
    yield from _securities(root)
    yield from _totals(root, opening.exponent)
    yield from _market_values(root, opening.exponent)
    yield from _unit_ties(root, opening)
    yield from _cash_ties(root, opening)


# Single values


def _unreadable(root: Element, exponent: int) -> Iterator[str]:
    """Fixed-point numbers only, amounts with the currency's decimals, times in UTC (3.2.8)."""
    for tag in _NUMBERS.split():
        for element in root.iter(tag):
            if not _NUMBER.fullmatch(element.text or ""):
                yield f"{tag} {element.text} is not a plain number{_near(root, element)}"
    for tag in _MONEY.split():
        for element in root.iter(tag):
            decimals = (element.text or "").partition(".")[2]
            if len(decimals) != exponent:
                yield f"{tag} {element.text} has not {exponent} decimals{_near(root, element)}"
    for tag in _TIMES.split():
        for element in root.iter(tag):
            if not _TIME.fullmatch(element.text or ""):
                yield f"{tag} {element.text} is not a time in UTC{_near(root, element)}"


def _near(root: Element, wanted: Element) -> str:
    """The id of the transaction, position or security that holds an element."""
    for tag in ("FITID", "UNIQUEID"):
        for holder in (*_transactions(root), *root.iter("INVPOS"), *root.iter("SECINFO")):
            found = holder.find(f".//{tag}")
            if found is not None and any(element is wanted for element in holder.iter()):
                return f" ({found.text})"
    return ""


def _ids(root: Element) -> Iterator[str]:
    found = [element.text or "" for element in root.iter("FITID")]
    for fitid, times in Counter(found).items():
        if times > 1:
            yield f"FITID {fitid} occurs {times} times"
        if not (0 < len(fitid) <= 255 and fitid.isascii() and fitid.isprintable()):
            yield f"FITID {fitid!r} is not 1 to 255 ASCII characters"


def _dates(root: Element) -> Iterator[str]:
    start, end = _moment(root, ".//DTSTART"), _moment(root, ".//DTEND")
    if start > end:
        yield f"DTSTART {start} is after DTEND {end}"
    for transaction in _transactions(root):
        when = transaction.find(".//DTTRADE")
        when = transaction.find(".//DTPOSTED") if when is None else when
        if when is None or not start <= _time(when) <= end:
            shown = "missing" if when is None else when.text
            yield f"the time of {_fitid(transaction)} ({shown}) is not from DTSTART to DTEND"


def _securities(root: Element) -> Iterator[str]:
    listed = Counter(_uniqueid(info) for info in root.iter("SECINFO"))
    for security, times in listed.items():
        if times > 1:
            yield f"security {security} is listed {times} times"
    statement = root.find(".//INVSTMTRS")
    for secid in statement.iter("SECID") if statement is not None else ():
        security = secid.findtext("UNIQUEID") or ""
        if security not in listed:
            yield f"security {security} is not in SECLIST"


# Sums


def _totals(root: Element, exponent: int) -> Iterator[str]:
    """TOTAL = ∓ units × price − costs, but for what rounding leaves over (13.9.2.4.3)."""
    bound = (ROUNDING_BOUND + Decimal("0.5")).scaleb(-exponent)
    for transaction in _transactions(root):
        for tag, sign in (("INVBUY", 1), ("INVSELL", -1)):
            trade = transaction.find(tag)
            if trade is None:
                continue
            units = _number(trade, "UNITS")
            if units * sign <= 0:
                yield f"UNITS {units} of {_fitid(transaction)} have the wrong sign"
            value = units * _number(trade, "UNITPRICE") * _multiplier(transaction)
            total = -value - _number(trade, "COMMISSION") - _number(trade, "FEES")
            if abs(_number(trade, "TOTAL") - total) > bound:
                yield (
                    f"TOTAL {trade.findtext('TOTAL')} of {_fitid(transaction)} is not {total:f}, "
                    "which units, price and costs make"
                )


def _market_values(root: Element, exponent: int) -> Iterator[str]:
    multipliers = {
        _uniqueid(option): Decimal(option.findtext("SHPERCTRCT") or 1)
        for option in root.iter("OPTINFO")
    }
    for position in root.iter("INVPOS"):
        security = _uniqueid(position)
        value = _number(position, "UNITS") * _number(position, "UNITPRICE")
        value *= multipliers.get(security, 1)
        if abs(_number(position, "MKTVAL") - value) > Decimal("0.5").scaleb(-exponent):
            yield f"MKTVAL {position.findtext('MKTVAL')} of {security} is not {value:f}"


def _unit_ties(root: Element, opening: Opening) -> Iterator[str]:
    moved: Counter[str] = Counter()
    sums: dict[str, Decimal] = dict(opening.units)
    for transaction in _transactions(root):
        units = sum((Decimal(e.text or 0) for e in transaction.iter("UNITS")), Decimal(0))
        if transaction.tag == "SPLIT":
            units = _number(transaction, "NEWUNITS") - _number(transaction, "OLDUNITS")
        if units:
            security = _uniqueid(transaction)
            moved[security] += 1
            sums[security] = sums.get(security, Decimal(0)) + units
    held: dict[str, Decimal] = {}
    for position in root.iter("INVPOS"):
        security = _uniqueid(position)
        if security in held:
            yield f"security {security} has two positions"
        held[security] = _number(position, "UNITS")
    for security in sorted(sums.keys() | held):
        expected, found = sums.get(security, Decimal(0)), held.get(security, Decimal(0))
        if expected != found:
            yield (
                f"the {moved[security]} transactions of {security} lead to {expected:f} units, its "
                f"position says {found:f}"
            )


def _cash_ties(root: Element, opening: Opening) -> Iterator[str]:
    total = opening.cash
    for transaction in _transactions(root):
        for tag in ("TOTAL", "TRNAMT"):
            for element in transaction.iter(tag):
                total += Decimal(element.text or 0)
    cash = Decimal(root.findtext(".//AVAILCASH") or "NaN")
    if cash != total:
        ids = [_fitid(transaction) for transaction in _transactions(root)]
        span = f"{ids[0]} to {ids[-1]}" if ids else "no transaction"
        yield f"AVAILCASH {cash} is not {total:f}, the opening cash and {span}"


# Reading the tree


def _transactions(root: Element) -> list[Element]:
    found = root.find(".//INVTRANLIST")
    return [] if found is None else [e for e in found if e.tag not in ("DTSTART", "DTEND")]


def _fitid(transaction: Element) -> str:
    return transaction.findtext(".//FITID") or "a transaction without FITID"


def _uniqueid(holder: Element) -> str:
    return holder.findtext(".//UNIQUEID") or "without UNIQUEID"


def _number(holder: Element, tag: str) -> Decimal:
    return Decimal(holder.findtext(tag) or 0)


def _multiplier(transaction: Element) -> Decimal:
    return Decimal(transaction.findtext("SHPERCTRCT") or 1)


def _moment(root: Element, path: str) -> datetime:
    element = root.find(path)
    return datetime.max.replace(tzinfo=UTC) if element is None else _time(element)


def _time(element: Element) -> datetime:
    return datetime.strptime((element.text or "")[:18], "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
