"""The difference report as a page: the form, the figures, the entries, and what it refuses."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from runtime.queries import Queries
from web import difference

PERIOD = "/ledger/difference?period=2013-10-07&since=64"


def words(client: Any, address: str, code: int = 200) -> str:
    """What can be read on a page, its header aside."""
    answer = client.get(address)
    assert answer.status_code == code, answer.text
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", f"<{main}")))


def test_the_ledger_leads_to_the_form(client: Any) -> None:
    assert 'href="/ledger/difference"' in client.get("/ledger").text
    page = words(client, "/ledger/difference")
    assert "What changed in a period since it was filed?" in page
    assert "Known then" not in page
    assert words(client, "/ledger/difference?period=2013-10") == page  # both are needed


def test_the_late_fill_and_the_reversal_of_monday(client: Any, sample: Any) -> None:
    page = words(client, PERIOD)
    assert "Known then event 64 2013-10-09 20:00:00 UTC" in page
    assert "Known now event 66 2013-10-09 21:00:00 UTC" in page
    cash = ("(104.06) minus 104.06", "(1,357.58) minus 1,357.58", "(1,253.52) minus 1,253.52")
    assert f"1010 Cash float {' '.join(cash)}" in page
    assert "Total of these accounts" in page
    assert "Re-cost" not in page  # Tuesday's, which the late fill brought about
    assert "Bought 50 ALFA at 25.30" in page
    assert "Why: charged twice" in page
    assert "by supervisor · Books.EntryReversed" in page
    assert f"about #{sample.fee} Fee: market data" in page
    assert "ALFA-1 buy ALFA partially filled, 350 of 400 filled, 400 of 400 #65" in page
    assert "Held on Mon 7 Oct 2013 " in page


def test_the_header_says_which_moment_to_compare_with(client: Any) -> None:
    page = words(client, f"{PERIOD}&known_at=65&as_of=2013-10-08")
    assert "Known now event 65" in page
    assert "charged twice" not in page
    assert "the one above does not narrow it" in page
    assert 'name="known_at" value="65"' in client.get(f"{PERIOD}&known_at=65").text


def test_nothing_changed(client: Any) -> None:
    page = words(client, "/ledger/difference?period=2013-10&since=66")
    assert "Nothing changed. The period is what it was known to be then." in page


def test_the_figures_are_those_of_the_command_line(client: Any, queries: Queries) -> None:
    page = words(client, "/ledger/difference?period=2013-Q4&since=40")
    found = queries.difference("2013-Q4", "40")
    assert len(found.accounts) > 5
    for a in found.accounts:
        figures = [f"{abs(x):,.2f}" for x in (a.amount.then, a.amount.now, a.amount.difference)]
        line = page.partition(f" {a.code} {a.account} ")[2][:120]
        assert [f for f in figures if f in line] == figures


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("period=October&since=64", "'October' is not a date; write it as 2013-10-07."),
        ("period=2013-11:2013-10&since=64", "ends before it begins"),
        ("period=2013-10&since=67", "There is no event 67; the store holds 1 to 66."),
        ("period=2013-10&since=66&known_at=64", "Exchange the two"),
        ("period=2013-10&since=" + 500 * "6", "is not that long"),
        ("period=2013-10&since=64&page=0", "is not a whole number from 1 on."),
    ],
)
def test_what_cannot_be_compared_says_what_is_allowed(
    client: Any, query: str, message: str
) -> None:
    assert message in words(client, f"/ledger/difference?{query}", 400)


def test_many_entries_come_on_pages(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(difference, "ENTRIES", 2)
    address = "/ledger/difference?period=2013&since=40"
    first, second = words(client, address), words(client, f"{address}&page=2")
    assert "page 1 of" in first
    events = [set(re.findall(r"#(\d+)", page.partition("Entries recorded")[2].partition("Held")[0]))
              for page in (first, second)]  # fmt: skip
    assert events[0] != events[1]
    assert first.partition("Entries recorded")[0] == second.partition("Entries recorded")[0]
    assert "There is no page 99" in words(client, f"{address}&page=99", 404)
    assert "There is no page 2" in words(client, "/ledger/difference?page=2", 404)


def test_a_month_in_the_clock_is_its_last_day(client: Any) -> None:
    page = client.get("/ledger?as_of=2013-10").text
    assert 'value="2013-10-31"' in page
    assert "As of Thu 31 Oct 2013" in page
