"""The pages of the chart of accounts without script: who changes it, how, and what is refused."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from typing import Any

import pytest

SCRIPT = "<script>document.title='broken'</script>"


def words(answer: Any) -> str:
    """What can be read on a page, its header aside."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", f"<{main}")))


@pytest.fixture
def accountant(provisioned: Any) -> Any:
    return provisioned.client("accountant")


def send(client: Any, what: str, answered: int = 303, /, **fields: str) -> Any:
    """Send one form, by default on the version in force and with a reason."""
    seen = str(json.loads(client.get("/accounts/export/json").text)["coa_version"])
    own = {"seen": seen, "reason": "asked for"}
    answer = client.post(f"/accounts/edit/{what}", data=own | fields)
    assert answer.status_code == answered, words(answer)
    return answer


def chart(client: Any, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client.get(f"/accounts/export/json{query}").text)
    return found | {"by_code": {a["code"]: a for a in found["accounts"]}}


def new(client: Any, code: str = "5080", name: str = "Data feeds", **fields: str) -> Any:
    return send(client, "new", **({"code": code, "name": name, "type": "expense"} | fields))


def test_the_tree_shows_balance_role_and_register(accountant: Any) -> None:
    page = accountant.get("/accounts")
    read = words(page)
    assert "Accounts version 1" in read
    assert "Assets Cash float 1010 100,000.00 cash float" in read
    assert "Trading securities at cost one for each security 1110" in read
    assert 'href="/ledger/account/1010"' in page.text
    assert "Change 1010 Cash float" in read


def test_an_account_from_its_creation_to_its_end(accountant: Any) -> None:
    created = new(accountant, parent="5020")
    assert created.headers["Location"] == "/accounts/account/5080"
    shown = accountant.get("/accounts/account/5080")
    assert "Account 5080 was created." in words(shown)
    assert "Stands under 5020" in words(shown)
    assert "with those under it 0.00" in words(accountant.get("/accounts"))
    send(accountant, "rename", code="5080", name="Market data")
    send(accountant, "move", code="5080", parent="")
    send(accountant, "deactivate", code="5080")
    assert "Market data inactive 5080" in words(accountant.get("/accounts"))
    send(accountant, "reactivate", code="5080")
    found = chart(accountant)
    assert found["coa_version"] == 6
    assert found["by_code"]["5080"] == {
        "code": "5080", "name": "Market data", "type": "expense", "parent": "",
        "per_instrument": False, "active": True, "roles": [],
    }  # fmt: skip


def test_an_account_with_a_balance_says_why_it_stays(accountant: Any) -> None:
    send(accountant, "new", code="3015", name="Deposits", type="equity")
    send(accountant, "map", role="opening_equity", code="3015")
    page = words(accountant.get("/accounts/account/3010"))
    why = "3010 holds -100,000.00; it can be closed when that is nothing."
    assert f"It cannot be deactivated now: {why}" in page
    refused = send(accountant, "deactivate", 422, code="3010", reason="not used any more")
    assert why in words(refused)
    assert chart(accountant)["by_code"]["3010"]["active"] is True


def test_a_mapped_account_says_what_posts_there(accountant: Any) -> None:
    refused = send(accountant, "deactivate", 422, code="4030")
    assert "The role dividends posts to 4030; map it elsewhere first." in words(refused)
    refused = send(accountant, "map", 422, role="cash_float", code="1990")
    assert "shares account 1990 with suspense" in words(refused)
    new(accountant, "1020", "Second cash", type="asset")
    refused = send(accountant, "map", 422, role="cash_float", code="1020")
    assert "1010 still holds 100,000.00" in words(refused)


def test_what_posts_where_is_changed_from_its_event_on(accountant: Any) -> None:
    new(accountant)
    page = words(accountant.get("/accounts/roles"))
    assert "fees Regulatory and broker's fees, of fills and on their own 5020" in page
    assert "5080 Data feeds" in words(accountant.get("/accounts/role/fees"))
    send(accountant, "map", role="fees", code="5080")
    page = words(accountant.get("/accounts/roles"))
    assert "From now on the role fees posts to 5080; what was posted stays where it is." in page
    assert "on their own 5080 Data feeds" in page


def test_two_people_at_once(provisioned: Any) -> None:
    """The second sees what the first did, keeps what was typed, and sends it again."""
    ada, bob = provisioned.client("accountant"), provisioned.client("admin")
    form = {"seen": "1", "code": "5020", "reason": "shorter"}
    assert ada.post("/accounts/edit/rename", data=form | {"name": "Fees"}).status_code == 303
    late = bob.post("/accounts/edit/rename", data=form | {"name": "Broker fees"})
    assert late.status_code == 409
    read = words(late)
    assert "Somebody changed the chart since you saw version 1." in read
    assert "Account 5020 was renamed: Regulatory and broker fees → Fees" in read
    assert 'value="Broker fees"' in late.text
    assert 'value="shorter"' in late.text
    assert 'href="/accounts/difference?from=1&amp;to=2"' in late.text
    assert 'name="seen" value="2"' in late.text
    again = bob.post("/accounts/edit/rename", data=form | {"name": "Broker fees", "seen": "2"})
    assert again.status_code == 303
    assert chart(ada)["by_code"]["5020"]["name"] == "Broker fees"


def test_a_form_sent_twice_counts_once(accountant: Any) -> None:
    form = {"seen": "1", "code": "5020", "reason": "shorter", "name": "Fees",
            "command_id": "f" * 32}  # fmt: skip
    for _ in range(2):
        assert accountant.post("/accounts/edit/rename", data=form).status_code == 303
    assert chart(accountant)["coa_version"] == 2


def test_every_change_rotates_the_keys_and_is_told_with_its_reason(accountant: Any) -> None:
    before = accountant.get("/history?type=Keys.Rotated&after=0").text.count("Keys.Rotated</a>")
    send(accountant, "rename", code="5020", name="Fees", reason="shorter <b>is</b> better")
    after = accountant.get("/history?type=Keys.Rotated&after=0").text.count("Keys.Rotated</a>")
    assert after == before + 1
    page = accountant.get("/accounts/versions")
    assert "shorter <b>is</b> better" in words(page)
    assert "<b>is</b>" not in page.text
    assert "Account 5020 was renamed: Regulatory and broker fees → Fees" in words(page)


def test_two_versions_side_by_side(accountant: Any) -> None:
    new(accountant)
    send(accountant, "rename", code="5020", name="Fees")
    page = words(accountant.get("/accounts/difference?from=1&to=3"))
    assert "Account 5020 was renamed: Regulatory and broker fees → Fees" in page
    assert "Account 5080 Data feeds was added" in page
    assert "5080 added not there Data feeds expense" in page
    assert "5020 changed Regulatory and broker fees expense · fees Fees expense · fees" in page
    assert "Version 2 and version 3" in words(accountant.get("/accounts/difference"))
    equal = words(accountant.get("/accounts/difference?from=2&to=2"))
    assert "These versions are equal." in equal


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("from=1&to=9", 404, "There is no version 9 of the chart at this moment; it has 1."),
        ("from=0", 400, "is not a whole number from 1 on"),
        ("from=x", 400, "is not a whole number from 1 on"),
    ],
)
def test_a_difference_that_there_is_not(accountant: Any, query: str, code: int, said: str) -> None:
    answer = accountant.get(f"/accounts/difference?{query}")
    assert answer.status_code == code
    assert said in words(answer)


def test_the_past_is_read_only(accountant: Any) -> None:
    known = json.loads(accountant.get("/accounts/export/json").text)["position"]
    send(accountant, "rename", code="5020", name="Fees")
    past = f"?known_at={known}"
    page = words(accountant.get(f"/accounts{past}"))
    assert "Regulatory and broker fees" in page
    assert "it is changed in the present only" in page
    assert "New account" not in page
    assert "Change 1010" not in page
    for place in ("new", "account/5020", "role/fees"):
        assert accountant.get(f"/accounts/{place}{past}").status_code in (400, 403, 409)
    form = {"seen": "1", "code": "5020", "name": "Once", "reason": "x"}
    refused = accountant.post(f"/accounts/edit/rename{past}", data=form)
    assert refused.status_code in (400, 403, 409)
    assert chart(accountant)["coa_version"] == 2
    assert chart(accountant, past)["coa_version"] == 1
    before = accountant.get("/accounts?as_of=2001-01-01")
    assert "No chart of accounts was in force" in words(before)


def test_files_for_people(accountant: Any, provisioned: Any) -> None:
    new(accountant)
    answer = accountant.get("/accounts/export/csv")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    rows = {r["code"]: r for r in csv.DictReader(io.StringIO(answer.text))}
    assert rows["1010"]["roles"] == "cash_float"
    assert "| 5080 | Data feeds | expense |" in accountant.get("/accounts/export/md").text
    assert accountant.get("/accounts/export/xls").status_code == 404
    written = sorted(p.name for p in provisioned.folder.root.rglob("*_coa.*"))
    assert written == [f"ACME_USA_SIM_01_BOT_coa.{kind}" for kind in ("csv", "json", "md")]


@pytest.mark.parametrize("role", ["viewer", "compliance", "operator"])
def test_others_only_look(provisioned: Any, role: str) -> None:
    client = provisioned.client(role)
    assert "Change 1010" not in words(client.get("/accounts"))
    for place in ("/accounts/new", "/accounts/account/1010", "/accounts/role/fees"):
        assert client.get(place).status_code == 403
    form = {"seen": "1", "code": "5020", "name": "Fees", "reason": "x"}
    for place in ("edit", "check"):
        assert client.post(f"/accounts/{place}/rename", data=form).status_code == 403
    assert chart(client)["coa_version"] == 1


BAD = [
    ("new", {"code": "", "name": "x"}, "A code is four digits"),
    ("new", {"code": "1010", "name": "x"}, "1010 is taken by Cash float"),
    ("new", {"code": "9" * 5000, "name": "x"}, "A code is four digits"),
    ("new", {"code": "50٨0", "name": "x"}, "A code is four digits"),
    ("new", {"code": "5080", "name": ""}, "An account needs a name"),
    ("new", {"code": "5080", "name": "x" * 5000}, "A name has at most 60 characters"),
    ("new", {"code": "5080", "name": "a\x00b"}, "does not show (U+0000)"),
    ("new", {"code": "5080", "name": "C\u0430sh"}, "several alphabets (Cyrillic, Latin)"),
    ("new", {"code": "5080", "name": SCRIPT}, "begins with a letter or digit"),
    ("new", {"code": "5080", "name": "x", "type": "equities"}, "The type is one of asset"),
    ("new", {"code": "5080", "name": "x", "parent": SCRIPT}, "which is not in the chart"),
    ("new", {"code": "5080", "name": "x", "per_instrument": "yes"}, "Only asset accounts"),
    ("new", {"code": "5080", "name": "x", "reason": ""}, "Say why"),
    ("new", {"code": "5080", "name": "x", "reason": "y" * 1500}, "at most 300 characters"),
    ("rename", {"code": "5020", "name": ""}, "An account needs a name"),
    ("rename", {"code": "5020", "name": "Dividends"}, "4030 is called Dividends already"),
    ("move", {"code": "5020", "parent": "5020"}, "stands under itself"),
    ("move", {"code": "5020", "parent": "1010"}, "of type asset"),
    ("move", {"code": "5020", "parent": ""}, "5020 stands there already"),
    ("reactivate", {"code": "5020"}, "5020 is active already"),
    ("map", {"role": "fees", "code": "1010"}, "of type expense"),
    ("map", {"role": "fees", "code": SCRIPT}, "is not an active account"),
]


@pytest.mark.parametrize(("what", "fields", "said"), BAD)
def test_bad_input_is_said_beside_its_field_and_kept(
    provisioned: Any, what: str, fields: dict[str, str], said: str
) -> None:
    client = provisioned.client("accountant")
    given = {"type": "expense"} | fields if what == "new" else fields
    answer = send(client, what, 422, **given)
    assert said in words(answer)
    assert SCRIPT not in answer.text
    beside = answer.text.partition("<form")[2]
    assert what == "reactivate" or '<p class="fault">' in beside
    assert chart(client)["coa_version"] == 1


@pytest.mark.parametrize(
    ("place", "fields", "code"),
    [
        ("edit/rename", {"code": "5020", "name": "x"}, 400),
        ("edit/rename", {"code": "5020", "name": "x", "seen": "one"}, 400),
        ("edit/rename", {"code": "5020", "name": "x", "seen": "1" * 50}, 400),
        ("edit/rename", {"code": "nope", "name": "x", "seen": "1"}, 404),
        ("edit/map", {"role": "nope", "code": "5020", "seen": "1"}, 404),
        ("edit/destroy", {"code": "5020", "seen": "1"}, 404),
        ("edit/rename", {"code": "5020", "name": "x", "seen": "1", "command_id": "no"}, 400),
        ("check/destroy", {"seen": "1"}, 404),
    ],
)
def test_forms_that_nobody_was_given(
    accountant: Any, place: str, fields: dict[str, str], code: int
) -> None:
    answer = accountant.post(f"/accounts/{place}", data={"reason": "x"} | fields)
    assert answer.status_code == code, words(answer)
    assert chart(accountant)["coa_version"] == 1


def test_while_one_types_the_faults_come_to_their_fields(accountant: Any) -> None:
    fields = {"seen": "1", "code": "1010", "name": "Dividends", "type": "expense", "reason": ""}
    answer = accountant.post("/accounts/check/new", data=fields)
    assert answer.status_code == 200
    assert 'id="new-code-fault" hx-swap-oob="true"><p class="fault">1010 is taken' in answer.text
    assert "4030 is called Dividends already" in answer.text
    assert "Say why" in answer.text  # it would be refused without
    empty = accountant.post("/accounts/check/new", data={"seen": "1", "name": "Fees of banks"})
    assert 'new-code-fault" hx-swap-oob="true"></div>' in empty.text  # not come to yet
    assert chart(accountant)["coa_version"] == 1


def test_a_demo_shows_its_chart_and_changes_nothing(client: Any) -> None:
    page = client.get("/accounts").text
    assert "Cash float" in page
    assert "New account" not in page
    assert client.get("/accounts/roles").status_code == 200
    assert client.get("/accounts/versions").status_code == 200
