"""Programs of other people read the OFX files and come to the ledger's sums."""

import io
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ofxparse import OfxParser

from exporters.ofx import export_ofx
from projections.ledger_records import NOW, AsOf

PERIODS = [
    (NOW, None),
    (AsOf(date=date(2024, 1, 5)), None),
    (NOW, date(2024, 1, 8)),
    (AsOf(date=date(2024, 1, 2)), None),
]
pytestmark = pytest.mark.filterwarnings("ignore::bs4.XMLParsedAsHTMLWarning")


def exported(sample: SimpleNamespace, version: int, as_of: AsOf, since: date | None) -> bytes:
    return export_ofx(sample.ledger, sample.performance, as_of=as_of, since=since, version=version)


def cash(sample: SimpleNamespace, as_of: AsOf, since: date | None) -> Decimal:
    """What the broker's cash changed by from ``since`` to ``as_of``."""

    def at(moment: AsOf) -> Decimal:
        codes = ("1010", "1030", "1040", "1050")
        return sum((sample.ledger.balance_of(code, moment) for code in codes), Decimal(0))

    before = at(AsOf(date=since.replace(day=since.day - 1))) if since else Decimal(0)
    return at(as_of) - before


@pytest.mark.parametrize("version", [102, 203])
@pytest.mark.parametrize(("as_of", "since"), PERIODS)
def test_ofxdump_reads_every_transaction_without_an_error(
    sample: SimpleNamespace,
    need_tool: Callable[[str, str], str],
    tmp_path: Path,
    version: int,
    as_of: AsOf,
    since: date | None,
) -> None:
    program = need_tool("ofxdump", "ofx")
    data = exported(sample, version, as_of, since)
    path = tmp_path / "statement.ofx"
    path.write_bytes(data)
    done = subprocess.run([program, path], capture_output=True, text=True, env={"TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert ":E:" not in done.stderr  # its SGML parser's own word for an error
    told = re.findall(r"ID for this transaction: (\S+)", done.stdout)
    assert Counter(told) == Counter(re.findall(r"<FITID>(.+?)</FITID>", data.decode()))
    amounts = re.findall(r"Total money amount: (\S+)", done.stdout)
    assert sum(map(Decimal, amounts)) == cash(sample, as_of, since)
    (available,) = re.findall(r"Available balance: (\S+)", done.stdout)
    assert Decimal(available) == cash(sample, as_of, None)


def test_ofxdump_notices_an_element_that_no_dtd_knows(
    sample: SimpleNamespace, need_tool: Callable[[str, str], str], tmp_path: Path
) -> None:
    """That its exit code means something."""
    program = need_tool("ofxdump", "ofx")
    path = tmp_path / "statement.ofx"
    wrong = exported(sample, 102, NOW, None).replace(
        b"<DTPRICEASOF>", b"<AVGCOSTBASIS>1</AVGCOSTBASIS><DTPRICEASOF>"
    )
    path.write_bytes(wrong)
    done = subprocess.run([program, path], capture_output=True, text=True)
    assert done.returncode != 0


@pytest.mark.parametrize("version", [102, 203])
@pytest.mark.parametrize(("as_of", "since"), PERIODS)
def test_ofxparse_comes_to_our_cash_units_and_positions(
    sample: SimpleNamespace, version: int, as_of: AsOf, since: date | None
) -> None:
    data = exported(sample, version, as_of, since)
    account = OfxParser.parse(io.BytesIO(data)).account
    read = account.statement
    assert (account.account_id, account.brokerid) == ("DEMO_US_SIM_B1", "SIM")
    assert (read.currency, read.warnings, read.discarded_entries) == ("usd", [], [])
    assert read.available_cash == cash(sample, as_of, None)
    assert sum(map(amount, read.transactions)) == cash(sample, as_of, since)
    assert len({t.id for t in read.transactions}) == data.count(b"<FITID>")
    held = {p.security: p.units for p in read.positions}
    assert held == in_ledger(sample, as_of)
    if since is None and as_of.date:  # a day before any split, which ofxparse does not read
        assert {s: u for s, u in units(read.transactions).items() if u} == held
    for position in read.positions:
        multiplier = 100 if "P00" in position.security else 1
        exact = position.units * position.unit_price * multiplier
        assert abs(position.market_value - exact) <= Decimal("0.005")


def amount(transaction: Any) -> Decimal:
    found: Decimal = getattr(transaction, "total", None) or getattr(transaction, "amount", 0)
    return found


def units(found: list[Any]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for transaction in found:
        if security := getattr(transaction, "security", ""):
            sums[security] = sums.get(security, Decimal(0)) + transaction.units
    return sums


def in_ledger(sample: SimpleNamespace, as_of: AsOf) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for position in sample.ledger.positions(as_of):
        sums[position.instrument_id] = sums.get(position.instrument_id, Decimal(0))
        sums[position.instrument_id] += position.quantity
    return sums


def test_ofxparse_reads_each_trade_as_it_was(sample: SimpleNamespace) -> None:
    read = OfxParser.parse(io.BytesIO(exported(sample, 203, NOW, None))).account.statement
    leg = f"-{sample.at['sale']}-{sample.at['sale']}-trade"
    sale = next(t for t in read.transactions if t.id.endswith(leg))
    assert (sale.type, sale.units, sale.unit_price) == ("sellstock", -40, Decimal("471.115"))
    assert (sale.commission, sale.fees) == (Decimal("0.20"), Decimal("0.38"))
    assert sale.total == Decimal("18844.01")
    assert sale.tradeDate.isoformat() == "2024-01-03T16:01:00"
