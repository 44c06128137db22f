"""Every fault that ofxtools lets pass keeps the file from being written, and is named."""

import re
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from exporters.errors import ExportError
from exporters.ofx_checks import Opening, check_statement

BUY = """
<BUYSTOCK><INVBUY>
<INVTRAN><FITID>id-1</FITID><DTTRADE>20240103153000.000[+0:UTC]</DTTRADE>
<DTSETTLE>20240105120000.000[+0:UTC]</DTSETTLE></INVTRAN>
<SECID><UNIQUEID>XNYS:SPY</UNIQUEID></SECID><UNITS>3</UNITS><UNITPRICE>100.123456</UNITPRICE>
<COMMISSION>0.35</COMMISSION><FEES>0.01</FEES><TOTAL>-300.73</TOTAL>
</INVBUY></BUYSTOCK>"""
SELL = """
<SELLOPT><INVSELL>
<INVTRAN><FITID>id-2</FITID><DTTRADE>20240104153000.000[+0:UTC]</DTTRADE></INVTRAN>
<SECID><UNIQUEID>XNYS:PUT</UNIQUEID></SECID><UNITS>-2</UNITS><UNITPRICE>5.35</UNITPRICE>
<COMMISSION>1.30</COMMISSION><FEES>0.00</FEES><TOTAL>1068.70</TOTAL>
</INVSELL><SHPERCTRCT>100</SHPERCTRCT></SELLOPT>"""
SPLIT = """
<SPLIT><INVTRAN><FITID>id-3</FITID><DTTRADE>20240104120000.000[+0:UTC]</DTTRADE></INVTRAN>
<SECID><UNIQUEID>XNYS:SPY</UNIQUEID></SECID><OLDUNITS>3</OLDUNITS><NEWUNITS>6</NEWUNITS>
<NUMERATOR>2</NUMERATOR><DENOMINATOR>1</DENOMINATOR></SPLIT>"""
BANK = """
<INVBANKTRAN><STMTTRN><DTPOSTED>20240103120000.000[+0:UTC]</DTPOSTED><TRNAMT>500.00</TRNAMT>
<FITID>id-4</FITID></STMTTRN></INVBANKTRAN>"""
GOOD = f"""<OFX><INVSTMTRS><DTASOF>20240105210000.000[+0:UTC]</DTASOF>
<INVTRANLIST><DTSTART>20240103000000.000[+0:UTC]</DTSTART>
<DTEND>20240105210000.000[+0:UTC]</DTEND>{BUY}{SELL}{SPLIT}{BANK}</INVTRANLIST>
<INVPOSLIST><POSSTOCK><INVPOS><SECID><UNIQUEID>XNYS:SPY</UNIQUEID></SECID><UNITS>6</UNITS>
<UNITPRICE>50.25</UNITPRICE><MKTVAL>301.50</MKTVAL>
<DTPRICEASOF>20240105210000.000[+0:UTC]</DTPRICEASOF></INVPOS></POSSTOCK>
<POSOPT><INVPOS><SECID><UNIQUEID>XNYS:PUT</UNIQUEID></SECID><UNITS>1</UNITS>
<UNITPRICE>4.5</UNITPRICE><MKTVAL>450.00</MKTVAL>
<DTPRICEASOF>20240105210000.000[+0:UTC]</DTPRICEASOF></INVPOS></POSOPT></INVPOSLIST>
<INVBAL><AVAILCASH>1367.97</AVAILCASH></INVBAL></INVSTMTRS>
<SECLIST><STOCKINFO><SECINFO><SECID><UNIQUEID>XNYS:SPY</UNIQUEID></SECID></SECINFO></STOCKINFO>
<OPTINFO><SECINFO><SECID><UNIQUEID>XNYS:PUT</UNIQUEID></SECID></SECINFO>
<SHPERCTRCT>100</SHPERCTRCT></OPTINFO></SECLIST></OFX>"""
OPENING = Opening(Decimal("100.00"), {"XNYS:PUT": Decimal(3)}, 2)


def check(xml: str, opening: Opening = OPENING) -> None:
    check_statement(ET.fromstring(xml), opening)  # noqa: S314 - our own text


def test_a_statement_that_ties_out_passes() -> None:
    check(GOOD)


FAULTS = {
    "id twice": ("id-2", "id-1", "FITID id-1 occurs 2 times"),
    "id with an umlaut": ("id-2", "id-ü", "FITID 'id-ü' is not 1 to 255 ASCII"),
    "id too long": ("id-2", "x" * 256, "is not 1 to 255 ASCII characters"),
    "no id": ("id-2", "", "FITID '' is not"),
    "exponent": ("<UNITS>3<", "<UNITS>3E+0<", "UNITS 3E+0 is not a plain number (id-1)"),
    "not a number": ("<TOTAL>-300.73<", "<TOTAL>NaN<", "TOTAL NaN is not a plain number (id-1)"),
    "comma": ("500.00", "500,00", "TRNAMT 500,00 is not a plain number (id-4)"),
    "decimals": ("500.00", "500.0", "TRNAMT 500.0 has not 2 decimals (id-4)"),
    "zone": ("20240104153000.000[+0:UTC]", "20240104103000.000[-5:EST]",
             "DTTRADE 20240104103000.000[-5:EST] is not a time in UTC (id-2)"),
    "naive": ("20240105120000.000[+0:UTC]", "20240105", "DTSETTLE 20240105 is not a time in UTC"),
    "before the start": ("DTTRADE>20240103", "DTTRADE>20240102", "the time of id-1"),
    "after the end": ("DTTRADE>20240104153", "DTTRADE>20240106153", "the time of id-2"),
    "ends before it starts": ("DTEND>20240105", "DTEND>20240101", "is after DTEND"),
    "not in the list": ("<STOCKINFO><SECINFO><SECID><UNIQUEID>XNYS:SPY",
                        "<STOCKINFO><SECINFO><SECID><UNIQUEID>XNYS:QQQ",
                        "security XNYS:SPY is not in SECLIST"),
    "listed twice": ("</SECLIST>", "<STOCKINFO><SECINFO><SECID><UNIQUEID>XNYS:SPY</UNIQUEID>"
                     "</SECID></SECINFO></STOCKINFO></SECLIST>", "XNYS:SPY is listed 2 times"),
    "total beyond rounding": ("<TOTAL>-300.73", "<TOTAL>-300.76", "TOTAL -300.76 of id-1 is not"),
    "option total without the multiplier": ("<TOTAL>1068.70", "<TOTAL>9.40", "TOTAL 9.40 of id-2"),
    "sign of units": ("<UNITS>-2<", "<UNITS>2<", "UNITS 2 of id-2 have the wrong sign"),
    "units": ("<NEWUNITS>6", "<NEWUNITS>7", "the 2 transactions of XNYS:SPY lead to 7 units, its "
              "position says 6"),
    "position missing": ("<POSOPT>", "<GONE>", "transactions of XNYS:PUT lead to 1 units, its "
                         "position says 0"),
    "market value": ("<MKTVAL>450.00", "<MKTVAL>450.01", "MKTVAL 450.01 of XNYS:PUT is not 450.0"),
    "cash": ("<AVAILCASH>1367.97", "<AVAILCASH>1367.98", "AVAILCASH 1367.98 is not 1367.97, the "
             "opening cash and id-1 to id-4"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "named"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_refused_and_named(old: str, new: str, named: str) -> None:
    wrong = GOOD.replace(old, new, 1)
    if new == "<GONE>":
        wrong = re.sub(r"<POSOPT>.*</POSOPT>", "", GOOD, flags=re.S)
    assert wrong != GOOD
    with pytest.raises(ExportError, match=re.escape(named)):
        check(wrong)


def test_the_rounding_bound_is_two_units_and_a_half() -> None:
    # 3 × 100.123456 + 0.36 = 300.730368
    for total, cash in (("-300.71", "1367.99"), ("-300.75", "1367.95")):
        check(GOOD.replace("-300.73", total).replace("1367.97", cash))
    with pytest.raises(ExportError, match=r"TOTAL -300\.70 of id-1"):
        check(GOOD.replace("-300.73", "-300.70").replace("1367.97", "1368.00"))


def test_the_opening_counts() -> None:
    with pytest.raises(ExportError, match="XNYS:PUT lead to -2 units"):
        check(GOOD, OPENING._replace(units={}))
    with pytest.raises(ExportError, match=r"is not 1267\.97"):
        check(GOOD, OPENING._replace(cash=Decimal(0)))


def test_many_faults_are_told_in_short() -> None:
    wrong = GOOD.replace("[+0:UTC]", "")
    with pytest.raises(ExportError, match=r"; and more\. Nothing was written") as caught:
        check(wrong)
    assert len(str(caught.value)) < 700
