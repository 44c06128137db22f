"""The pages of the screens: what they tell at which moment, who may block, bad input, twice."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from beside import beside

from runtime.screen_files import Progress, tell_progress

screened = beside("browser/screened")


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.status
    return text(answer)


def text(answer: Any) -> str:
    body = answer.text.partition("<main")[2].partition("</main>")[0]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", body).split()))


def newest(bot: Any) -> int:
    found: int = bot.app.extensions["tradebot"].queries.newest()
    return found


def send(client: Any, form: str, **fields: str) -> Any:
    return client.post(f"/screens/blocklist/{form}", data={"seen": "0"} | fields)


def test_candidates_with_their_facts_and_the_rejected_with_why(
    provisioned: Any, trading: Any
) -> None:
    trading.open()
    screened.candidates(trading)
    found = text_of(provisioned.client("viewer").get("/screens"))
    assert "OPEN 2 of 4 securities looked at · pre-market · FINNHUB" in found
    assert re.search(r"1 ALFA 25\.10 24\.60 not known \+2\.03% 2,250,000 4,530,123,456", found)
    assert "180,000,000 all outstanding" in found
    assert re.search(r"2 BRVO 24\.30 24\.60 24\.20 -1\.63%", found)
    assert "gap: not known 1 DELT" in found
    assert "price below MIN_PRICE 5 1 CHAR" in found


def test_a_list_of_ones_own_is_told_as_one(provisioned: Any, trading: Any) -> None:
    trading.open()
    rows = [screened.Looked(facts=screened.Facts(symbol="ALFA"))]
    screened.candidates(trading, rows=rows, source="FILE")
    found = text_of(provisioned.client("viewer").get("/screens"))
    assert "candidates.txt : taken as it is" in found
    assert "ALFA not known not known" in found


def test_none_and_why(provisioned: Any, trading: Any) -> None:
    trading.open()
    screened.candidates(trading, "MID", rows=[], said="Finnhub refuses the key.", mode="intraday")
    screened.no_universe(trading, "HTTP 429, after 4 tries")
    found = text_of(provisioned.client("viewer").get("/screens"))
    assert "Finnhub refuses the key." in found
    assert "None was chosen." in found
    assert "No universe was made after this session. HTTP 429, after 4 tries" in found


def test_before_there_is_anything(provisioned: Any) -> None:
    client = provisioned.client("viewer")
    assert "There was no session yet." in text_of(client.get("/screens"))
    assert "No universe was made" in text_of(client.get("/screens/universe"))
    assert "No symbol is blocked by hand." in text_of(client.get("/screens/blocklist"))


def test_the_universe_in_its_order_page_by_page_and_its_age(provisioned: Any, trading: Any) -> None:
    trading.open()
    screened.universe(trading)
    client = provisioned.client("viewer")
    found = text_of(client.get("/screens/universe"))
    assert "250 of 280 looked at" in found
    assert "1 to 100 of 250" in found
    assert "2,000,000,000 30 T000, T001," in found
    assert "T019 and 10 more" in found
    assert re.search(r"201 S200 .* 250 S249", text_of(client.get("/screens/universe?after=200")))
    provisioned.later(hours=12)  # Monday's, on Tuesday
    client = provisioned.client("viewer")  # the one before was signed in too long ago
    assert "1 session old, serves 3 sessions" in text_of(client.get("/screens"))
    provisioned.later(hours=24 * 3)
    assert "4 sessions old: too old" in text_of(provisioned.client("viewer").get("/screens"))


def test_the_past_has_what_was_known_then(provisioned: Any, trading: Any) -> None:
    trading.open()
    before = newest(provisioned)
    screened.candidates(trading)
    client = provisioned.client("viewer")
    assert "Nothing was screened" in text_of(client.get(f"/screens?known_at={before}"))
    send(provisioned.client("operator"), "block", symbol="ALFA", **{"block-reason": "a lawsuit"})
    assert "ALFA a lawsuit operator" in text_of(client.get("/screens/blocklist"))
    past = provisioned.client("operator").get(f"/screens/blocklist?known_at={before}")
    assert "No symbol is blocked by hand." in text_of(past)
    assert '<form class="form"' not in past.text
    assert client.get("/screens?day=2026-03-03").status_code == 404
    assert client.get("/screens?day=yesterday").status_code == 400


def test_facts_that_were_changed_are_not_shown(provisioned: Any, trading: Any) -> None:
    trading.open()
    screened.candidates(trading)
    path = provisioned.folder.screens / "2026-03-02-open.json.gz"
    path.write_bytes(path.read_bytes() + b"x")
    found = text_of(provisioned.client("viewer").get("/screens"))
    assert "The file of facts cannot be shown." in found
    assert "ALFA, BRVO" in found
    assert "25.10" not in found


def test_progress_is_shown_while_it_is_new(provisioned: Any) -> None:
    now = provisioned.clock.now()
    told = Progress(
        at=now, day=now.date(), doing="companies", done=2000, of=8000,
        ends=now + timedelta(hours=2),
    )  # fmt: skip
    tell_progress(provisioned.folder, told)
    client = provisioned.client("viewer")
    assert "2,000 of 8,000 companies" in text_of(client.get("/screens"))
    provisioned.later(minutes=6)
    assert "2,000" not in text_of(client.get("/screens"))


def test_a_symbol_is_blocked_and_taken_off_with_a_reason(provisioned: Any) -> None:
    client = provisioned.client("operator")
    assert send(client, "block", symbol="qqq ", **{"block-reason": "halts"}).status_code == 303
    found = text_of(client.get("/screens/blocklist"))
    assert "QQQ is blocked from the next entry on." in found
    assert "QQQ halts operator" in found
    sent = {"blocked": "QQQ", "unblock-reason": "over", "seen": "1"}
    assert send(client, "unblock", **sent).status_code == 303
    found = text_of(client.get("/screens/blocklist"))
    assert "No symbol is blocked by hand." in found
    assert "QQQ taken off over operator" in found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"symbol": "", "block-reason": "x"}, "A symbol, such as SPY"),
        ({"symbol": "A B", "block-reason": "x"}, "A symbol, such as SPY"),
        ({"symbol": "A/B", "block-reason": "x"}, "A symbol, such as SPY"),
        ({"symbol": "QQQ", "block-reason": " "}, "A reason is needed"),
        ({"symbol": "QQQ", "block-reason": "x" * 201}, "At most 200 characters"),
        ({"symbol": "QQQ", "block-reason": "a\x00b"}, "At most 200 characters"),
    ],
)
def test_what_cannot_be_blocked_is_told_beside_its_field(
    provisioned: Any, fields: dict[str, str], said: str
) -> None:
    client, before = provisioned.client("operator"), newest(provisioned)
    answer = send(client, "block", **fields)
    assert answer.status_code == 422
    assert said in text(answer)
    assert newest(provisioned) == before


def test_a_list_that_moved_is_shown_again_and_nothing_saved(provisioned: Any) -> None:
    client = provisioned.client("admin")
    send(client, "block", symbol="QQQ", **{"block-reason": "halts"})
    before = newest(provisioned)
    for seen in ("0", "", "x", "-1"):
        sent = {"symbol": "SPY", "block-reason": "too", "seen": seen}
        answer = send(client, "block", **sent)
        assert answer.status_code == 409
        assert "Nothing of yours was saved" in text(answer)
    again = send(client, "block", symbol="QQQ", seen="1", **{"block-reason": "twice"})
    assert again.status_code == 422
    assert "QQQ is blocked already: halts" in text(again)
    assert newest(provisioned) == before


@pytest.mark.parametrize("role", ["viewer", "accountant", "compliance"])
def test_who_does_not_run_the_bot_reads_only(provisioned: Any, role: str) -> None:
    client = provisioned.client(role)
    assert "Block it" not in text_of(client.get("/screens/blocklist"))
    assert send(client, "block", symbol="QQQ", **{"block-reason": "x"}).status_code == 403


def test_the_screener_of_the_settings_is_asked_once(provisioned: Any) -> None:
    provisioned.folder.market_data.mkdir(exist_ok=True)
    (provisioned.folder.market_data / "screen.csv").write_text("symbol,prize\nA,1\n")
    client, before = provisioned.client("operator"), newest(provisioned)
    assert client.post("/screens/test").status_code == 303
    assert "Market data FILE: " in (found := text_of(client.get("/screens")))
    assert "unknown: prize" in found
    assert newest(provisioned) == before
    assert provisioned.client("viewer").post("/screens/test").status_code == 403
