"""The OFX statement ties out to the ledger, keeps its ids and does not depend on the machine."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from exporters.errors import ExportError
from exporters.ofx import export_ofx
from exporters.ofx_movements import MovementReader
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW, AsOf

TRADES = ("BUYSTOCK", "SELLSTOCK", "BUYOPT", "SELLOPT")


def statement(
    books: Any, as_of: AsOf = NOW, since: date | None = None, version: int = 203
) -> ET.Element:
    data = export_ofx(books.ledger, books.performance, as_of=as_of, since=since, version=version)
    # each element is closed in both versions, so that both are XML from here on
    return ET.fromstring(data[data.index(b"<OFX>") :])  # noqa: S314 - our own file


def transactions(root: ET.Element) -> dict[str, ET.Element]:
    listed = root.find(".//INVTRANLIST")
    assert listed is not None
    found = {e.findtext(".//FITID", ""): e for e in listed if e.tag not in ("DTSTART", "DTEND")}
    assert len(found) == len(listed) - 2  # distinct ids
    return found


def cash_of(transaction: ET.Element) -> Decimal:
    return Decimal(transaction.findtext(".//TOTAL") or transaction.findtext(".//TRNAMT") or "0")


def units_of(transaction: ET.Element) -> Decimal:
    if transaction.tag == "SPLIT":
        old, new = (transaction.findtext(f".//{tag}", "") for tag in ("OLDUNITS", "NEWUNITS"))
        return Decimal(new) - Decimal(old)
    return Decimal(transaction.findtext(".//UNITS") or "0")


def held(root: ET.Element) -> dict[str, Decimal]:
    return {
        p.findtext(".//UNIQUEID", ""): Decimal(p.findtext("UNITS", "")) for p in root.iter("INVPOS")
    }


def moved(found: dict[str, ET.Element]) -> dict[str, Decimal]:
    units: dict[str, Decimal] = {}
    for transaction in found.values():
        security = transaction.findtext(".//UNIQUEID", "")
        units[security] = units.get(security, Decimal(0)) + units_of(transaction)
    return {security: number for security, number in units.items() if number}


def broker_cash(ledger: LedgerQueries, as_of: AsOf) -> Decimal:
    codes = ("1010", "1030", "1040", "1050")
    return sum((ledger.balance_of(code, as_of) for code in codes), Decimal(0))


def in_ledger(ledger: LedgerQueries, as_of: AsOf) -> dict[str, Decimal]:
    units: dict[str, Decimal] = {}
    for position in ledger.positions(as_of):
        units[position.instrument_id] = units.get(position.instrument_id, Decimal(0))
        units[position.instrument_id] += position.quantity
    return units


def moment(text: str) -> datetime:
    assert text.endswith("[+0:UTC]")
    return datetime.strptime(text[:18], "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)


# Ties


KNOWN = ["deposit", "thursday", "friday", "monday", "tuesday", "end"]


@pytest.mark.parametrize("version", [102, 203])
@pytest.mark.parametrize("known", KNOWN)
def test_cash_and_units_tie_out_to_the_ledger(
    sample: SimpleNamespace, known: str, version: int
) -> None:
    for day in (None, date(2024, 1, 4), date(2024, 1, 9)):
        as_of = AsOf(date=day, position=sample.at[known])
        root = statement(sample, as_of, version=version)
        found = transactions(root)
        cash = Decimal(root.findtext(".//AVAILCASH", ""))
        assert sum(map(cash_of, found.values())) == cash == broker_cash(sample.ledger, as_of)
        assert moved(found) == held(root) == in_ledger(sample.ledger, as_of)


def test_a_later_period_ties_out_from_where_the_one_before_ended(sample: SimpleNamespace) -> None:
    before = AsOf(date=date(2024, 1, 4))
    first, second = statement(sample, before), statement(sample, since=date(2024, 1, 5))
    cash = sum(map(cash_of, transactions(second).values()))
    assert cash == broker_cash(sample.ledger, NOW) - broker_cash(sample.ledger, before)
    units = held(first)
    for security, number in moved(transactions(second)).items():
        units[security] = units.get(security, Decimal(0)) + number
    assert {s: number for s, number in units.items() if number} == held(second)
    assert not transactions(first).keys() & transactions(second).keys()


def test_each_total_is_the_cash_posting_of_its_fill(sample: SimpleNamespace) -> None:
    found = {
        fitid.split("-")[2]: cash_of(t)
        for fitid, t in transactions(statement(sample)).items()
        if t.tag in TRADES and fitid.endswith("-trade")
    }
    fills = {
        str(e.position): sum((p.amount for p in e.postings if p.code in ("1010", "1050", "1990")),
                             Decimal(0))
        for e in sample.ledger.journal() if e.topic == "Order.Filled" and e.position == e.about
    }  # fmt: skip
    assert fills.items() <= found.items()
    assert found[str(sample.at["sale"])] == Decimal("18844.01")  # as the broker stated it


def test_what_the_broker_took_without_explanation_is_told_apart(sample: SimpleNamespace) -> None:
    named = [
        (t.findtext(".//TRNAMT"), t.findtext(".//MEMO"))
        for t in transactions(statement(sample)).values()
        if t.findtext(".//NAME") == "Unexplained difference"
    ]
    assert [amount for amount, _ in named] == ["-5.00", "-6.00"]
    assert "Bought 1 QQQ at 396" in (named[0][1] or "")


def test_a_reversed_sale_is_bought_back_and_its_costs_come_back(sample: SimpleNamespace) -> None:
    found = transactions(statement(sample))
    end = f"-{sample.at['reversal']}-{sample.at['sale']}"
    trade, costs = (
        next(t for fitid, t in found.items() if fitid.endswith(end + leg))
        for leg in ("-trade", "-cash")
    )
    assert trade.tag == "BUYSTOCK"
    assert units_of(trade) == 40
    assert trade.findtext(".//UNITPRICE") == "471.115"
    assert cash_of(trade) + cash_of(costs) == Decimal("-18844.01")
    assert f"Reversal of event {sample.at['sale']}" in trade.findtext(".//MEMO", "")


def test_a_split_is_one_for_both_sleeves_and_late_units_follow(sample: SimpleNamespace) -> None:
    found = transactions(statement(sample))
    (split,) = (t for t in found.values() if t.findtext(".//MEMO", "").endswith("2 for 1 of SPY"))
    texts = [split.findtext(f".//{tag}") for tag in ("OLDUNITS", "NEWUNITS", "NUMERATOR")]
    assert texts == ["70", "140", "2"]
    late = [
        t for t in found.values() if t.tag == "TRANSFER" and "Re-cost" in t.findtext(".//MEMO", "")
    ]
    assert [(t.findtext("UNITS"), t.findtext("TFERACTION")) for t in late] == [
        ("21", "IN"), ("40", "IN"), ("5", "IN"),
    ]  # fmt: skip


def test_a_dividend_is_net_with_what_was_withheld(sample: SimpleNamespace) -> None:
    found = transactions(statement(sample))
    incomes = [(t.findtext("TOTAL"), t.findtext("WITHHOLDING")) for t in found.values()
               if t.tag == "INCOME"]  # fmt: skip
    assert incomes == [("25.50", "4.50"), ("-25.50", "-4.50")]  # and its reversal
    (unknown,) = (t for t in found.values() if t.findtext(".//TRNTYPE") == "DIV")
    assert unknown.findtext(".//TRNAMT") == "12.00"  # of a security that was never registered


def test_earmarks_and_recosts_of_sales_are_no_transactions(sample: SimpleNamespace) -> None:
    memos = " ".join(e.text or "" for e in statement(sample).iter("MEMO"))
    assert "Earmark" not in memos
    sale = next(
        e.position for e in sample.ledger.journal() if e.description.startswith("Sold 33.3")
    )
    assert f"Re-cost of event {sale} " not in memos


# Times


def test_trades_bear_their_true_time_and_dates_are_noon(sample: SimpleNamespace) -> None:
    found = transactions(statement(sample))
    first = next(t for t in found.values() if "Bought 100 SPY" in t.findtext(".//MEMO", ""))
    assert first.findtext(".//DTTRADE") == "20240103153000.123[+0:UTC]"
    assert first.findtext(".//DTSETTLE") == "20240201120000.000[+0:UTC]"
    leg = f"-{sample.at['usd']}-{sample.at['usd']}-trade"
    overnight = next(t for fitid, t in found.items() if fitid.endswith(leg))
    assert overnight.findtext(".//DTTRADE") == "20240105003000.000[+0:UTC]"


def test_what_came_after_the_close_of_its_period_is_dated_when_it_is_posted(
    sample: SimpleNamespace,
) -> None:
    late = f"-{sample.at['after_close']}-{sample.at['after_close']}-trade"
    for since in (None, date(2024, 1, 10)):
        found = transactions(statement(sample, since=since))
        (trade,) = (t for fitid, t in found.items() if fitid.endswith(late))
        assert trade.findtext(".//DTTRADE") == "20240110120000.000[+0:UTC]"
        assert "of 2024-01-05 17:00:00 UTC" in trade.findtext(".//MEMO", "")


@pytest.mark.parametrize("since", [None, date(2024, 1, 4), date(2024, 1, 10), date(2024, 2, 1)])
def test_dates_come_from_the_books_and_hold_every_trade(
    sample: SimpleNamespace, since: date | None
) -> None:
    root = statement(sample, since=since)
    start, end, as_of, server = (
        moment(root.findtext(f".//{tag}", "")) for tag in ("DTSTART", "DTEND", "DTASOF", "DTSERVER")
    )
    times = [moment(e.text or "") for tag in ("DTTRADE", "DTPOSTED") for e in root.iter(tag)]
    assert all(start <= time <= end for time in times)
    assert as_of == server == moment("20240110210000.000[+0:UTC]")  # the last marks
    if since:
        assert start.date() == since


# Ids


def test_a_transaction_keeps_its_id_and_its_content_in_every_export(
    sample: SimpleNamespace,
) -> None:
    seen: dict[str, str] = {}
    whole = transactions(statement(sample)).keys()
    days = [date(2024, 1, day) for day in (3, 4, 5, 8)]
    periods = [(None, None), (days[0], days[2]), (days[1], days[3]), (days[2], None)]
    for known in KNOWN:
        for since, until in periods:
            as_of = AsOf(date=until, position=sample.at[known])
            for fitid, transaction in transactions(statement(sample, as_of, since)).items():
                content = ET.tostring(transaction, encoding="unicode")
                assert seen.setdefault(fitid, content) == content
    assert seen.keys() == whole
    both = transactions(statement(sample, version=102))
    assert {f: ET.tostring(t) for f, t in both.items()} == {
        f: ET.tostring(t) for f, t in transactions(statement(sample)).items()
    }


def test_overlapping_exports_repeat_the_same_ids(sample: SimpleNamespace) -> None:
    first = transactions(statement(sample, AsOf(date=date(2024, 1, 5)))).keys()
    second = transactions(statement(sample, since=date(2024, 1, 4))).keys()
    shared = transactions(
        statement(sample, AsOf(date=date(2024, 1, 5)), since=date(2024, 1, 4))
    ).keys()
    assert first & second == shared
    assert len(shared) > 10


def test_books_begun_anew_under_the_same_identity_have_other_ids(
    make_keeper: Callable[..., Any], tmp_path: Path
) -> None:
    ids = []
    for folder, opened in (("a", "2024-01-02 13:00"), ("b", "2024-02-02 13:00")):
        k = make_keeper(tmp_path / folder, opened=opened)
        k.money("deposit", "2024-03-01 14:00", "1.00")
        ids.append(transactions(statement(k)).keys())
        k.close()
    assert not ids[0] & ids[1]


# Values that are hard to write


def test_numbers_are_plain_and_text_is_ascii_in_one_line(sample: SimpleNamespace) -> None:
    for version in (102, 203):
        data = export_ofx(sample.ledger, sample.performance, as_of=NOW, since=None, version=version)
        assert data.isascii()
    names = [e.text for e in statement(sample).iter("SECNAME")]
    assert "SPDR S&P 500 <ETF>" in names
    assert "Invesco QQQ Trust, Cafe" in names
    assert data.count(b"\n<MEMO>Event ") == data.count(b"</MEMO>\n")


def test_the_smallest_and_largest_quantities(
    make_keeper: Callable[..., Any], tmp_path: Path
) -> None:
    k = make_keeper(tmp_path)
    k.register("SPY")
    k.money("deposit", "2024-01-02 14:00", "900000000.00")
    k.fill("2024-01-03 15:00", "buy", "0.000000001", "SPY", "0.000001")
    k.fill("2024-01-03 15:01", "buy", "1000000", "SPY", "500")
    k.day("2024-01-03", SPY="500")
    root = statement(k)
    assert [e.text for e in root.iter("UNITS")] == ["0.000000001", "1000000", "1000000.000000001"]
    assert root.findtext(".//UNITPRICE") == "0.000001"
    k.close()


@pytest.mark.parametrize(
    ("currency", "gross", "value"),
    [("JPY", "-300", "303"), ("KWD", "-300.370", "303.000")],
)
def test_currencies_with_other_decimals(
    make_keeper: Callable[..., Any], tmp_path: Path, currency: str, gross: str, value: str
) -> None:
    k = make_keeper(tmp_path, currency)
    k.register("SPY")
    k.money("deposit", "2024-01-02 14:00", "100000")
    k.fill("2024-01-03 15:00", "buy", "3", "SPY", "100.123456")
    k.day("2024-01-03", SPY="101")
    root = statement(k)
    assert root.findtext(".//CURDEF") == currency
    assert root.findtext(".//TOTAL") == gross
    assert root.findtext(".//MKTVAL") == value
    k.close()


def test_books_without_an_entry_give_an_empty_statement(keeper: Any) -> None:
    root = statement(keeper)
    assert transactions(root) == {}
    assert root.findtext(".//AVAILCASH") == "0.00"
    assert root.find(".//SECLIST") is None
    assert root.findtext(".//DTASOF") == "20240102130000.000[+0:UTC]"


# What cannot be exported


def test_a_position_without_a_price_is_refused_by_name(keeper: Any) -> None:
    keeper.register("SPY")
    keeper.money("deposit", "2024-01-02 14:00", "1000.00")
    keeper.fill("2024-01-03 15:00", "buy", "2.5", "SPY", "100.5")
    with pytest.raises(ExportError, match=r"2\.5 SPY are held, but no price of SPY.*Mark prices"):
        statement(keeper)
    keeper.day("2024-01-04", SPY="101")
    assert held(statement(keeper)) == {"XNYS:SPY": Decimal("2.5")}
    with pytest.raises(ExportError, match="no price of SPY"):
        statement(keeper, AsOf(date=date(2024, 1, 3)))


def test_a_price_from_before_a_split_is_refused(keeper: Any) -> None:
    keeper.register("SPY")
    keeper.money("deposit", "2024-01-02 14:00", "1000.00")
    keeper.fill("2024-01-03 15:00", "buy", "2", "SPY", "100.5")
    keeper.day("2024-01-03", SPY="101")
    keeper.split("2024-01-04 12:00", "SPY", 2, 1)
    with pytest.raises(ExportError, match=r"4 SPY .* 101 of 2024-01-03.*before the split of"):
        statement(keeper)
    keeper.day("2024-01-04", SPY="50.5")
    assert statement(keeper).findtext(".//MKTVAL") == "202.00"


def test_an_option_without_an_occ_symbol_is_refused_until_it_is_renamed(keeper: Any) -> None:
    keeper.register("SPYPUT", "option", 100)
    keeper.money("deposit", "2024-01-02 14:00", "1000.00")
    keeper.fill("2024-01-03 15:00", "buy", "1", "SPYPUT", "1.5")
    keeper.day("2024-01-03", SPYPUT="1.6")
    with pytest.raises(ExportError, match=r"XNYS:SPYPUT is an option.*Rename"):
        statement(keeper)
    keeper.rename("2024-01-03 22:00", "SPYPUT", "SPY240621C00450500")
    root = statement(keeper)
    texts = [root.findtext(f".//{t}") for t in ("OPTTYPE", "STRIKEPRICE", "DTEXPIRE", "SHPERCTRCT")]
    assert texts == ["CALL", "450.5", "20240621120000.000[+0:UTC]", "100"]
    assert root.findtext(".//MKTVAL") == "160.00"


def test_a_period_that_ends_before_it_begins_is_refused(sample: SimpleNamespace) -> None:
    with pytest.raises(ExportError, match="begin on 2024-01-05, after it ends on 2024-01-04"):
        statement(sample, AsOf(date=date(2024, 1, 4)), since=date(2024, 1, 5))


def test_a_file_that_would_not_tie_out_never_leaves(
    sample: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MovementReader, "_fitid", lambda *_: "one")
    with pytest.raises(ExportError, match="FITID one occurs 41 times"):
        statement(sample)
    monkeypatch.undo()
    monkeypatch.setattr(MovementReader, "_transfers", lambda *_: iter(()))
    with pytest.raises(ExportError, match=r"transactions of XNYS:SPY lead to .* units"):
        statement(sample)


# The same bytes everywhere


def test_the_statements_are_what_they_were(
    sample: SimpleNamespace, golden: Callable[[str, str | bytes], None]
) -> None:
    for version in (102, 203):
        data = export_ofx(sample.ledger, sample.performance, as_of=NOW, since=None, version=version)
        golden(f"ofx_sample_{version}.ofx", data)


EXPORT = """
import hashlib, sys
from datetime import date
from pathlib import Path
from eventstore.feed import Feed
from exporters.journals import beancount_journal, hledger_journal
from exporters.ofx import export_ofx
from projections.ledger import Ledger
from projections.ledger_queries import LedgerQueries
from projections.ledger_records import NOW
from projections.performance import Performance
from projections.performance_queries import PerformanceQueries
feed, ledger, trading = Feed(Path(sys.argv[1])), Ledger.in_memory(), Performance.in_memory()
ledger.catch_up(feed)
trading.catch_up(feed)
books, prices = LedgerQueries(ledger.connection), PerformanceQueries(trading.connection, 2)
for version in (102, 203):
    for since in (None, date(2024, 1, 5)):
        data = export_ofx(books, prices, as_of=NOW, since=since, version=version)
        print(hashlib.sha256(data).hexdigest())
for journal in (hledger_journal, beancount_journal):
    print(hashlib.sha256(journal(books, as_of=NOW).encode()).hexdigest())
"""


def test_the_same_bytes_in_every_zone_locale_and_hash_seed(sample: SimpleNamespace) -> None:
    root = Path(__file__).resolve().parents[2]
    printed = set()
    for zone, locale, seed in (("UTC", "C", "0"), ("Asia/Kathmandu", "de_DE.UTF-8", "1"),
                               ("America/New_York", "tr_TR.UTF-8", "4242")):  # fmt: skip
        machine = {"TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", EXPORT, str(sample.keeper.store.path)],
            cwd=root,
            env=os.environ | machine,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.add(done.stdout)
    assert len(printed) == 1
    assert len(re.findall(r"[0-9a-f]{64}", printed.pop())) == 6
