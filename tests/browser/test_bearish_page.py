"""The page of the bearish instruments: who maps what, with which reason, and what is said of it."""

from __future__ import annotations

import html
import re
from typing import Any

from runtime.settings_change import change_settings
from web.shared import shared

GOOD = {"underlying": "spy", "etf": "sh", "leverage": "1", "map-reason": "its prospectus"}


def words(answer: Any, code: int = 200) -> str:
    assert answer.status_code == code, answer.text
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))


def send(client: Any, what: str = "map", seen: int | None = None, **fields: str) -> Any:
    """A form as the page gave it."""
    shown = re.search(r'name="seen" value="(\d+)"', client.get("/bearish").text)
    found = {"seen": str(seen) if seen is not None else shown[1] if shown else ""}
    return client.post(f"/bearish/{what}", data=found | fields)


def events(bot: Any) -> list[Any]:
    queries = bot.app.extensions["tradebot"].queries
    return [(e.topic.partition(".")[2], e.payload, e.actor)
            for e in queries.events(topics=("InverseEtfs",))]  # fmt: skip


def test_a_fund_is_mapped_changed_and_removed_with_reasons(provisioned: Any) -> None:
    operator, me = provisioned.client("operator"), provisioned.ids["operator"]
    page = words(operator.get("/bearish"))
    assert "No inverse ETF is mapped" in page
    assert "Nothing is suggested here" in page
    assert send(operator, **GOOD).status_code == 303
    said = "SPY is mapped to SH. Nothing is bought by it while no SHORT_TYPE_… is InverseETF."
    assert said in words(operator.get("/bearish"))
    changed = GOOD | {"etf": "SPXU", "leverage": "3", "map-reason": "faster"}
    assert send(operator, **changed).status_code == 303
    page = words(operator.get("/bearish"))
    assert "SPY SPXU 3 #" in page
    assert "SPY SH × 1 SPXU × 3 operator faster" in page
    assert "SPY nothing SH × 1 operator its prospectus" in page
    gone = send(operator, "unmap", symbol="SPY", **{"unmap-reason": "closed"})
    assert gone.status_code == 303
    page = words(operator.get("/bearish"))
    assert "No inverse ETF is mapped" in page
    assert "SPY SPXU × 3 nothing operator closed" in page

    kinds = [(kind, payload["etf"], payload["reason"], who) for kind, payload, who in
             events(provisioned)]  # fmt: skip
    assert kinds == [
        ("Mapped", "SH", "its prospectus", me), ("Mapped", "SPXU", "faster", me),
        ("Unmapped", "SPXU", "closed", me),
    ]  # fmt: skip
    history = words(operator.get("/history?type=InverseEtfs.Mapped"))
    assert "SPY → SPXU × 3 · faster" in history


WRONG: list[tuple[dict[str, str], str]] = [
    ({"underlying": ""}, "Weak symbol: a symbol such as SPY"),
    ({"etf": "S H"}, "Inverse ETF: a symbol such as SPY"),
    ({"etf": "x" * 25}, "Inverse ETF: a symbol such as SPY"),
    ({"leverage": ""}, "A number above 0"),
    ({"leverage": "0"}, "A number above 0"),
    ({"leverage": "-1"}, "A number above 0"),
    ({"leverage": "11"}, "A number above 0"),
    ({"leverage": "1e1"}, "A number above 0"),
    ({"leverage": "1.001"}, "A number above 0"),
    ({"leverage": "NaN"}, "A number above 0"),
    ({"leverage": "1..2"}, "A number above 0"),
    ({"map-reason": "  "}, "A reason is needed"),
    ({"map-reason": "x" * 501}, "At most 500 characters"),
    ({"etf": "SPY"}, "cannot be its own inverse"),
]


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    for fields, said in WRONG:
        answer = send(operator, **(GOOD | fields))
        assert said in words(answer, 422), fields
        assert "Nothing was changed" in answer.text
        for name, value in (GOOD | fields).items():
            kept = re.search(rf'name="{name}" type="text" value="([^"]*)"', answer.text)
            assert kept is not None
            assert html.unescape(kept[1]).strip() == value.strip()
        assert 'aria-invalid="true"' in answer.text
    assert events(provisioned) == []


def test_one_fund_answers_for_one_symbol(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    send(operator, **GOOD)
    again = send(operator, **(GOOD | {"underlying": "IVV"}))
    assert "SH answers for SPY already" in words(again, 422)


def test_a_change_on_an_old_page_is_not_saved(provisioned: Any) -> None:
    operator, admin = provisioned.client("operator"), provisioned.client("admin")
    send(operator, **GOOD)
    late = send(admin, seen=0, **(GOOD | {"etf": "SPXU", "leverage": "3"}))
    assert "Somebody else changed the mapping meanwhile" in words(late, 409)
    assert 'value="SPXU"' in late.text
    assert [payload["etf"] for _, payload, _ in events(provisioned)] == ["SH"]
    assert send(admin, **(GOOD | {"etf": "SPXU", "leverage": "3"})).status_code == 303


def test_who_may_not_change_it_reads_it(provisioned: Any) -> None:
    send(provisioned.client("operator"), **GOOD)
    for role in ("viewer", "accountant", "compliance"):
        client = provisioned.client(role)
        page = client.get("/bearish")
        assert "SPY SH 1" in words(page)
        assert "<button" not in page.text.partition("<main")[2].partition("Changes")[0]
        assert send(client, **GOOD).status_code == 403
    assert len(events(provisioned)) == 1


def test_the_past_is_shown_as_it_was_and_cannot_be_changed(provisioned: Any) -> None:
    operator = provisioned.client("operator")
    before = provisioned.app.extensions["tradebot"].queries.newest()
    send(operator, **GOOD)
    then = operator.get(f"/bearish?known_at={before}")
    assert "No inverse ETF is mapped" in words(then)
    assert "Map a symbol" not in then.text


def test_what_the_settings_ask_for_is_said(provisioned: Any) -> None:
    with provisioned.app.app_context():
        change_settings(
            shared().custody(), {"SHORT_TYPE_OPEN": "InverseETF"}, seen=1, actor="test", reason="",
            command_id="inverse",
        )  # fmt: skip
    page = words(provisioned.client("viewer").get("/bearish"))
    assert "SHORT_TYPE_OPEN InverseETF the inverse ETF that is mapped below" in page
    assert "SHORT_TYPE_CLOSE disabled weakness is judged and recorded" in page
    assert "PUT_MIN_DELTA 0.4 without sign PUT_MAX_DELTA 0.7" in page
    assert "The simulated broker offers both" in page
    operator = provisioned.client("operator")
    assert send(operator, **GOOD).status_code == 303
    assert "Weakness of SPY buys SH from the next entry on" in words(operator.get("/bearish"))
