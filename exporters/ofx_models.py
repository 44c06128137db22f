"""Movements, positions and securities as ofxtools models, and the bytes of the file.

Sections are those of the OFX specification 2.2. REVERSALFITID is left out: version 1 does not know
it and readers that go by its DTD refuse it in version 2 as well; the memo names the event instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from xml.etree import ElementTree as ET  # it writes  # nosec B405

from ofxtools import models
from ofxtools.header import make_header
from ofxtools.models.ofx import OFX

from aggregates.money import from_scaled
from exporters.ofx_movements import Movement
from exporters.ofx_values import Fixed, fitted, noon, one_line, option_terms, unique_id, units_of
from projections.ledger_records import Books, Listing

Version = Literal[102, 203]


class Holding(NamedTuple):
    """Units of one security (1e-9), its last marked price and the value of both (minor units)."""

    suffix: str
    units: int
    price: Decimal
    value: int
    priced_at: datetime


class Statement(NamedTuple):
    """Everything that the file says. ``cash`` is the broker's, in minor units."""

    books: Books
    start: datetime
    end: datetime
    as_of: datetime
    known_at: datetime
    movements: list[Movement]
    holdings: list[Holding]
    cash: int
    securities: dict[str, Listing]


class ModelMaker:
    """Makes the aggregates of one statement; they are the same in both versions."""

    def __init__(self, statement: Statement) -> None:
        self._s = statement
        self._scale = 10**statement.books.exponent
        self._option = {s: x.kind == "option" for s, x in statement.securities.items()}

    def document(self) -> ET.Element:
        """The tree under <OFX>: sign-on, investment statement, security list."""
        s = self._s
        status = models.STATUS(code=0, severity="INFO")
        sign_on = models.SONRS(
            status=status,
            dtserver=s.known_at,
            language="ENG",
            fi=models.FI(org="TradeBot", fid=one_line(s.books.broker_code, 32)),
        )
        answer = models.INVSTMTTRNRS(trnuid="0", status=status, invstmtrs=self._statement())
        parts: dict[str, Any] = {
            "signonmsgsrsv1": models.SIGNONMSGSRSV1(sonrs=sign_on),
            "invstmtmsgsrsv1": models.INVSTMTMSGSRSV1(answer),
        }
        listed = [self._security(listing) for listing in s.securities.values()]
        if listed:
            parts["seclistmsgsrsv1"] = models.SECLISTMSGSRSV1(models.SECLIST(*listed))
        root: ET.Element = OFX(**parts).to_etree()
        return root

    def _statement(self) -> Any:
        """INVSTMTRS (13.9.2.1); cash movements come after all others, as the DTD wants it."""
        s = self._s
        ordered = sorted(s.movements, key=lambda m: m.kind == "cash")
        zero = Fixed(from_scaled(0, self._scale))
        account = models.INVACCTFROM(
            brokerid=fitted(one_line(s.books.broker_code, 99), 22),
            acctid=fitted(one_line(s.books.identity, 99), 22),
        )
        return models.INVSTMTRS(
            dtasof=s.as_of,
            curdef=s.books.currency,
            invacctfrom=account,
            invtranlist=models.INVTRANLIST(
                *(self._movement(m) for m in ordered), dtstart=s.start, dtend=s.end
            ),
            invposlist=models.INVPOSLIST(*map(self._holding, s.holdings)) if s.holdings else None,
            invbal=models.INVBAL(
                availcash=self._money(s.cash), marginbalance=zero, shortbalance=zero
            ),
        )

    # -- transactions ----------------------------------------------------------------------

    def _movement(self, m: Movement) -> Any:
        match m.kind:
            case "trade":
                return self._trade(m)
            case "expiry":
                return self._expiry(m)
            case "split":
                return self._split(m)
            case "transfer":
                return self._transfer(m)
            case "income":
                return self._income(m)
            case "cash":
                return self._cash(m)

    def _invtran(self, m: Movement) -> Any:
        """INVTRAN (13.9.2.4.2)."""
        return models.INVTRAN(
            fitid=m.fitid,
            dttrade=m.when,
            dtsettle=noon(m.settles_on) if m.settles_on else None,
            memo=one_line(m.memo, 255),
        )

    def _trade(self, m: Movement) -> Any:
        bought, listing = m.units > 0, self._s.securities[m.suffix]
        parts = {
            "invtran": self._invtran(m),
            "secid": self._secid(m.suffix),
            "units": units_of(m.units),
            "unitprice": Fixed(m.price),
            "commission": self._money(m.commission),
            "fees": self._money(m.fees),
            "total": self._money(m.cash),
            "subacctsec": "CASH",
            "subacctfund": "CASH",
        }
        part = models.INVBUY(**parts) if bought else models.INVSELL(**parts)
        match self._option[m.suffix], bought:
            case True, True:
                return models.BUYOPT(
                    invbuy=part, optbuytype="BUYTOOPEN", shperctrct=listing.multiplier
                )
            case True, False:
                return models.SELLOPT(
                    invsell=part, optselltype="SELLTOCLOSE", shperctrct=listing.multiplier
                )
            case False, True:
                return models.BUYSTOCK(invbuy=part, buytype="BUY")
            case _:
                return models.SELLSTOCK(invsell=part, selltype="SELL")

    def _expiry(self, m: Movement) -> Any:
        """CLOSUREOPT (13.9.2.4.4): contracts that went away for nothing, signed like a sale."""
        return models.CLOSUREOPT(
            invtran=self._invtran(m),
            secid=self._secid(m.suffix),
            optaction="EXPIRE",
            units=units_of(m.units),
            shperctrct=self._s.securities[m.suffix].multiplier,
            subacctsec="CASH",
        )

    def _split(self, m: Movement) -> Any:
        return models.SPLIT(
            invtran=self._invtran(m),
            secid=self._secid(m.suffix),
            subacctsec="CASH",
            oldunits=units_of(m.units_before),
            newunits=units_of(m.units_before + m.units),
            numerator=Fixed(m.ratio[0]),
            denominator=Fixed(m.ratio[1]),
        )

    def _transfer(self, m: Movement) -> Any:
        """TRANSFER: units that a correction moves without cash, signed and with the direction."""
        return models.TRANSFER(
            invtran=self._invtran(m),
            secid=self._secid(m.suffix),
            subacctsec="CASH",
            units=units_of(m.units),
            tferaction="IN" if m.units > 0 else "OUT",
            postype="LONG",
        )

    def _income(self, m: Movement) -> Any:
        """INCOME: TOTAL is what arrived, WITHHOLDING what did not."""
        return models.INCOME(
            invtran=self._invtran(m),
            secid=self._secid(m.suffix),
            incometype="DIV",
            total=self._money(m.cash),
            subacctsec="CASH",
            subacctfund="CASH",
            withholding=self._money(m.withheld) if m.withheld else None,
        )

    def _cash(self, m: Movement) -> Any:
        return models.INVBANKTRAN(
            stmttrn=models.STMTTRN(
                trntype=m.trntype,
                dtposted=m.when,
                trnamt=self._money(m.cash),
                fitid=m.fitid,
                name=one_line(m.name, 32),
                memo=one_line(m.memo, 255),
            ),
            subacctfund="CASH",
        )

    # -- positions and securities ----------------------------------------------------------

    def _holding(self, h: Holding) -> Any:
        """INVPOS (13.9.2.6.1); no AVGCOSTBASIS, which no DTD knows."""
        position = models.INVPOS(
            secid=self._secid(h.suffix),
            heldinacct="CASH",
            postype="LONG",
            units=units_of(h.units),
            unitprice=Fixed(h.price),
            mktval=self._money(h.value),
            dtpriceasof=h.priced_at,
        )
        kind = models.POSOPT if self._option[h.suffix] else models.POSSTOCK
        return kind(invpos=position)

    def _security(self, listing: Listing) -> Any:
        """STOCKINFO, OPTINFO (13.8.5): how the security is called at the time of the export."""
        info = models.SECINFO(
            secid=self._secid(listing.suffix),
            secname=one_line(listing.name or listing.symbol, 120),
            ticker=listing.symbol,
        )
        if listing.kind != "option":
            return models.STOCKINFO(secinfo=info)
        expiry, right, strike = option_terms(listing)
        return models.OPTINFO(
            secinfo=info,
            opttype=right,
            strikeprice=Fixed(strike),
            dtexpire=noon(expiry),
            shperctrct=listing.multiplier,
        )

    def _secid(self, suffix: str) -> Any:
        listing = self._s.securities[suffix]
        return models.SECID(uniqueid=unique_id(listing), uniqueidtype="OTHER")

    # -- values ----------------------------------------------------------------------------

    def _money(self, minor: int) -> Fixed:
        return Fixed(from_scaled(minor, self._scale))


def to_bytes(root: ET.Element, version: Version) -> bytes:
    """Header and body, one element a line, each closed."""
    header: Any = make_header(version)
    if version == 102:
        header.charset = "1252"  # the library says NONE, which readers take for anything
    ET.indent(root, space="")
    body = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return f"{header}{body}\n".encode("ascii")


def mentioned(movements: Iterable[Movement], holdings: Iterable[Holding]) -> list[str]:
    """Suffixes of the securities that a statement speaks of, in order."""
    return sorted({m.suffix for m in movements if m.suffix} | {h.suffix for h in holdings})
