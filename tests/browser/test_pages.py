"""The pages as a reader gets them, without a browser: figures, both clocks, refusals, headers."""

from __future__ import annotations

import re
import sqlite3
from html.parser import HTMLParser
from typing import Any

import pytest

from runtime.queries import Queries

EVERY_PAGE = (
    "/", "/days", "/day/2013-10-07", "/day/2013-10-09", "/ledger", "/ledger/journal",
    "/ledger/journal?account=1010&since=2013-10-08&order=oldest", "/ledger/account/1010",
    "/ledger/account/1110", "/ledger/account/1110.ALFA", "/ledger/difference",
    "/ledger/difference?period=2013-10&since=40", "/history", "/history?after=10",
    "/history?before=20&type=Order", "/history?type=Order.Filled&text=ALFA", "/history/1",
    "/history/18", "/history/66", "/verify", "/badge", "/help",
)  # fmt: skip


class Text(HTMLParser):
    """What can be read on a page: words, addresses of links, values of fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.fields: dict[str, str] = {}
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag == "input" and found.get("name"):
            self.fields[str(found["name"])] = found.get("value") or ""

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(client: Any, address: str, code: int = 200) -> Text:
    answer = client.get(address)
    assert answer.status_code == code, answer.text
    return Text(answer.text)


@pytest.mark.parametrize("address", EVERY_PAGE)
def test_every_page_opens(client: Any, address: str) -> None:
    assert client.get(address).status_code == 200
    assert client.head(address).status_code == 200


def test_the_day_says_what_happened_and_why_not(client: Any) -> None:
    page = read(client, "/day/2013-10-07").text
    assert "Monday 7 October 2013" in page
    assert "(91.56) minus 91.56" in page  # the accountant's way, and for the ear
    assert "trailing stop" in page
    assert "reconciled" in page
    assert "spread" in page  # the rule that refused
    assert "14:04:00 10:04:00 EDT" in page  # UTC and the entity's own time


def test_the_day_tells_of_differences_and_of_what_is_held(client: Any) -> None:
    page = read(client, "/").text
    assert "cash: books 96112.81, broker 96000.00" in page
    assert "2 held" in page
    assert "no shares on offer" in read(client, "/day/2013-10-08").text


def test_the_trial_balance_balances(client: Any) -> None:
    page = read(client, "/ledger").text
    assert "Total debits equal credits 100,276.05 100,276.05" in page
    assert "100,263.66 = Liabilities 0.00 + Equity 100,000.00" in page


def test_both_clocks_change_the_figures(client: Any) -> None:
    now = read(client, "/ledger/account/4010").text
    monday = read(client, "/ledger/account/4010?as_of=2013-10-07").text
    before_the_late_fill = read(client, "/ledger/account/4010?known_at=64").text
    assert "(241.05)" in now
    assert " 88.50 " in monday
    assert "(236.50)" in before_the_late_fill  # without the re-cost of 4.55
    by_time = read(client, "/ledger/account/4010?known_at=2013-10-09T20:30:00Z").text
    assert "(236.50)" in by_time
    assert "known at event 64 (2013-10-09 20:00:00 UTC): read only" in by_time


def test_the_past_has_no_later_day_and_no_later_event(client: Any) -> None:
    assert "Tuesday 8 October 2013" in read(client, "/?as_of=2013-10-08").text
    page = read(client, "/day/2013-10-09?as_of=2013-10-08", 404).text
    assert "2 are known at this moment of both clocks" in page
    page = read(client, "/history/65?known_at=64", 404).text
    assert "was recorded after the moment that this page shows" in page
    assert "#64" in read(client, "/history?known_at=64").text
    assert "#65" not in read(client, "/history?known_at=64").text


@pytest.mark.parametrize("address", [a for a in EVERY_PAGE if a not in ("/badge", "/help")])
def test_every_link_keeps_both_clocks(client: Any, address: str) -> None:
    join = "&" if "?" in address else "?"
    page = read(client, f"{address}{join}as_of=2013-10-09&known_at=66")
    assert "As of Wed 9 Oct 2013, known at event 66" in page.text
    assert "read only" in page.text
    inside = [x for x in page.links if x.startswith("/") and x != address.partition("?")[0]]
    assert len(inside) >= 8
    assert all("known_at=66" in target for target in inside)
    # the keys [ and ] lead a session back and on; after the last one no date is left to keep
    others = [x for x in inside if "as_of=2013-10-09" not in x]
    assert len(others) in (0, 2)
    if others:
        assert "as_of=2013-10-08" in others[0]
        assert "as_of" not in others[1]


@pytest.mark.parametrize(
    ("address", "code", "message"),
    [
        ("/ledger?as_of=2013-13-01", 400, "'2013-13-01' is not a date; write it as 2013-10-07."),
        ("/ledger?known_at=67", 400, "There is no event 67; the store holds 1 to 66."),
        ("/ledger?known_at=0", 400, "There is no event 0; the store holds 1 to 66."),
        ("/?known_at=someday", 400, "neither an event number (1 to 66) nor a time such as"),
        ("/?known_at=" + 5000 * "9", 400, "neither a date, a time nor an event"),
        ("/?as_of=2013-10-07%00", 400, "is not a date"),
        ("/ledger/journal?page=0", 400, "page='0' is not a whole number from 1 on."),
        ("/ledger/journal?page=minus", 400, "is not a whole number from 1 on."),
        ("/ledger/journal?page=99", 404, "There is no page 99"),
        ("/ledger/account/1010?page=99", 404, "There is no page 99"),
        ("/ledger/journal?since=soon", 400, "Since 'soon' is not a date"),
        ("/ledger/journal?order=up", 400, "is not one of newest, oldest"),
        ("/ledger/account/7777", 404, "There is no account 7777 in the chart of accounts."),
        ("/ledger/account/1110.ZULU", 404, "Nothing was ever posted to an account 1110.ZULU"),
        ("/history/0", 404, "There is no event 0"),
        ("/history/67", 404, "There is no event 67; they are numbered 1 to 66."),
        ("/history/last", 400, "is not the number of an event"),
        ("/history/-1", 400, "is not the number of an event"),
        ("/history?after=x", 400, "is not a whole number from 0 on."),
        ("/history?type=Order.Eaten", 400, "is no type of event; choose a family"),
        ("/day/2013-02-30", 400, "is not a date; write it as 2013-10-07."),
        ("/day/2013-10-10", 404, "There is no session on 2013-10-10. 3 are known"),
        ("/nowhere", 404, "The address leads nowhere."),
    ],
)
def test_what_cannot_be_shown_says_what_is_allowed(
    client: Any, address: str, code: int, message: str
) -> None:
    page = read(client, address, code).text
    assert message in page
    assert "What is safe" in page
    assert "What to do" in page


def test_a_bad_clock_stays_as_typed_and_is_not_carried_on(client: Any) -> None:
    page = read(client, "/ledger?as_of=7.10.2013&known_at=40", 400)
    assert page.fields["as_of"] == "7.10.2013"
    assert page.fields["known_at"] == "40"
    assert not [x for x in page.links if "as_of" in x or "known_at" in x]


def test_corrections_are_marked_and_lead_to_what_they_are_about(client: Any, sample: Any) -> None:
    page = read(client, "/ledger/journal")
    assert "re-cost" in page.text
    assert "reversal" in page.text
    assert f"/history/{sample.fee}" in page.links
    event = read(client, f"/history/{sample.fee}").text
    assert "Later entries about it" in event
    assert "Reversal of event" in event


def test_the_journal_can_be_narrowed(client: Any) -> None:
    dividend = read(client, "/ledger/journal?account=4030").text
    assert "ALFA Q3" in dividend
    assert "Bought" not in dividend
    assert "Sold 350 ALFA" not in read(client, "/ledger/journal?since=2013-10-08").text
    assert "No entry fits these filters" in read(client, "/ledger/journal?account=5040").text


def test_the_register_runs_to_the_balance(client: Any) -> None:
    page = read(client, "/ledger/account/1110.ALFA").text
    assert "1,269.55" in page
    register = page.partition("Register")[2]
    assert register.index("Bought 250 ALFA") < register.index("Sold 500 ALFA")


def test_history_pages_through_everything_once(client: Any) -> None:
    seen, address = [], "/history?after=0"
    for _ in range(5):
        page = read(client, address)
        seen += [int(x) for x in re.findall(r"#(\d+) 2013-", page.text)]
        following = [x for x in page.links if f"after={seen[-1]}" in x]
        if not following:
            break
        address = following[0]
    assert seen == list(range(1, 67))


def test_history_can_be_narrowed(client: Any) -> None:
    fills = read(client, "/history?type=Order.Filled").text
    assert "buy 250 ALFA at 25.15" in fills
    assert "#8 " not in fills
    thread = read(client, "/history?stream=2013-10-07-ALFA").text
    assert "close above the opening range" in thread
    assert "No event fits these filters" in read(client, "/history?text=nothing-like-it").text


def test_an_event_shows_its_payload_its_envelope_and_its_entry(
    client: Any, sample: Any, queries: Queries
) -> None:
    page = read(client, f"/history/{sample.sale}").text
    event, before = queries.event(sample.sale), queries.event(sample.sale - 1)
    assert event is not None
    assert before is not None
    assert event.hash in page
    assert before.hash in page
    assert event.commitment in page
    assert "Sold 350 ALFA at 24.90" in page
    assert "2013-10-07-ALFA" in page  # the correlation thread


def test_a_curve_carries_amounts_as_text_not_as_floats(client: Any) -> None:
    html = client.get("/day/2013-10-08").text
    data = re.search(r'class="curve-data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert '"100248.65"' in data.group(1)
    assert '<path class="line" d="M0.0 ' in html.replace("&#34;", '"')


def test_reading_changes_nothing_in_the_folder(client: Any, sample: Any) -> None:
    connection = sqlite3.connect(sample.folder.events)
    count = connection.execute("SELECT count(*) FROM stored_events").fetchone()
    connection.close()
    before = {p for p in sample.folder.root.rglob("*") if "-wal" not in p.name}
    for address in EVERY_PAGE:
        client.get(address)
    assert {p for p in sample.folder.root.rglob("*") if "-wal" not in p.name} - before <= {
        sample.folder.events.with_name("events.db-shm")
    }
    assert count == (66,)
