"""The capital page without script: what each form posts, shown first, booked once, or refused."""

from __future__ import annotations

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from aggregates.capital import RecordFee


def words(answer: Any) -> str:
    """What can be read on a page, its header aside."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", f"<{main}")))


@pytest.fixture
def accountant(provisioned: Any) -> Any:
    return provisioned.client("accountant")


@pytest.fixture
def reserves(trading: Any) -> Any:
    """1,000.00 for taxes and 500.00 for payroll, of the float's 100,000.00."""
    trading.open()
    trading.set_aside(tax="1000", payroll="500")
    return trading


@pytest.fixture
def holding(reserves: Any) -> Any:
    """10 units of ALFA at 100.00, bought for trading with 1.00 of commission."""
    reserves.order("o1", "ALFA", "10")
    reserves.fill("o1", "10", "100")
    return reserves


def shown(client: Any, place: str, /, **fields: str) -> Any:
    """What the form would post."""
    return client.post(f"/capital/{place}", data={"day": "2026-03-02", "step": "show"} | fields)


def booked(client: Any, place: str, answered: int = 303, /, **fields: str) -> Any:
    """Look at what it would post, then book it; what the browser is sent on to."""
    looked = shown(client, place, **fields)
    digest = re.search(r'name="shown" value="(\w+)"', looked.text)
    sent = {"day": "2026-03-02", "step": "book", "shown": digest[1] if digest else ""}
    answer = client.post(f"/capital/{place}", data=sent | fields)
    assert answer.status_code == answered, words(answer)
    return client.get(answer.headers["Location"]) if answered == 303 else answer


def purses(client: Any) -> list[str]:
    """Float, tax reserve, payroll reserve, pool and all of it."""
    page = client.get("/capital").text.partition("purses-title")[2].partition("</table>")[0]
    return re.findall(r'class="num">\s*<span class="money[^>]*>([^<]+)<', page)


MONEY = {"amount": "250.00", "reason": "as stated"}


@pytest.mark.parametrize(
    ("what", "fields", "posted"),
    [
        ("deposit", {}, "1010 Cash float 250.00 3010 Opening equity 250.00"),
        ("withdrawal", {"purpose": "draw"}, "3020 Owner draws 250.00 1010 Cash float 250.00"),
        ("withdrawal", {"purpose": "payroll"}, "5040 Payroll 250.00 1010 Cash float 250.00"),
        (
            "dividend", {"symbol": "schd", "withheld": "37.50"},
            "1010 Cash float 212.50 5060 Withholding tax 37.50 4030 Dividends 250.00",
        ),
        ("dividend", {"symbol": "SCHD"}, "1010 Cash float 250.00 4030 Dividends 250.00"),
        (
            "withholding", {"symbol": "SCHD"},
            "5060 Withholding tax 250.00 1010 Cash float 250.00",
        ),
        ("interest", {}, "1010 Cash float 250.00 4040 Interest 250.00"),
        ("fee", {}, "5020 Regulatory and broker fees 250.00 1010 Cash float 250.00"),
        ("margin", {}, "5030 Margin interest 250.00 1010 Cash float 250.00"),
    ],
)  # fmt: skip
def test_what_a_form_shows_is_what_it_books(
    accountant: Any, what: str, fields: dict[str, str], posted: str
) -> None:
    looked = shown(accountant, f"new/{what}", **MONEY, **fields)
    assert looked.status_code == 200
    assert posted in words(looked)
    assert "Newest movements" in words(accountant.get("/capital"))
    assert "as stated" not in words(accountant.get("/capital")), "showing books nothing"
    page = words(booked(accountant, f"new/{what}", **MONEY, **fields))
    assert "is booked. Below are its event and its entry." in page
    assert page.count(posted) == 2  # as what was booked, and as the newest movement


@pytest.mark.usefixtures("reserves")
def test_the_page_shows_purses_that_add_up_to_the_broker_s_cash(accountant: Any) -> None:
    assert purses(accountant) == ["98,500.00", "1,000.00", "500.00", "0.00", "100,000.00"]


@pytest.mark.usefixtures("holding")
def test_a_split_changes_units_and_no_money(accountant: Any) -> None:
    form = {"instrument": "XNYS:ALFA", "new_units": "3", "old_units": "1"}
    assert "ALFA, ALFA Corp" in words(accountant.get("/capital/new/split"))
    looked = words(shown(accountant, "new/split", **form))
    assert "Split 3 for 1 of ALFA 1110.ALFA Trading securities at cost: ALFA 20 0.00" in looked
    assert "Split is booked." in words(booked(accountant, "new/split", **form))
    assert "30" in words(accountant.get("/ledger/account/1110.ALFA"))


@pytest.mark.usefixtures("holding")
def test_a_rename_is_shown_then_booked_once_and_moves_nothing(accountant: Any) -> None:
    form = {"instrument": "XNYS:ALFA", "new_symbol": "alfb"}
    looked = shown(accountant, "new/rename", **form)
    assert "ALFA is called ALFB from Mon 2 Mar 2026 on" in words(looked)
    assert "ALFB" not in words(accountant.get("/ledger")), "showing books nothing"
    before = purses(accountant)
    digest = re.search(r'name="shown" value="(\w+)"', looked.text)
    assert digest
    sent = {"day": "2026-03-02", "step": "book", "shown": digest[1], "command_id": "b" * 32}
    first, again = (accountant.post("/capital/new/rename", data=form | sent) for _ in range(2))
    assert first.headers["Location"] == again.headers["Location"]
    page = words(accountant.get(again.headers["Location"]))
    assert "Rename is booked already; nothing was booked again. Below is its event." in page
    assert "ALFA becomes ALFB" in page
    assert purses(accountant) == before
    assert "ALFB, ALFA Corp" in words(accountant.get("/capital/new/rename"))
    assert "is called ALFB already" in words(booked(accountant, "new/rename", 422, **form))


def test_what_was_shown_is_the_rename_that_is_booked(holding: Any, accountant: Any) -> None:
    form = {"instrument": "XNYS:ALFA", "new_symbol": "ALFB"}
    looked = re.search(r'"shown" value="(\w+)"', shown(accountant, "new/rename", **form).text)
    assert looked
    sent = {"day": "2026-03-02", "step": "book", "shown": looked[1], "new_symbol": "ALFC"}
    answer = accountant.post("/capital/new/rename", data=form | sent)
    assert answer.status_code == 409
    assert "ALFA is called ALFC" in words(answer)
    holding.order("o2", "BRVO", "5")
    holding.fill("o2", "5", "10")
    taken = words(shown(accountant, "new/rename", **form | {"new_symbol": "BRVO"}))
    assert "BRVO is another security that is held" in taken


@pytest.mark.usefixtures("reserves")
def test_a_reserve_pays_what_it_is_kept_for(accountant: Any) -> None:
    form = {"purse": "tax_reserve", "amount": "400", "reason": "estimated tax, first quarter"}
    assert "Type PAY 400.00 USD to confirm" in words(booked(accountant, "payout", 422, **form))
    page = words(booked(accountant, "payout", **form, confirm="pay  400.00 usd"))
    assert "5050 Income tax 400.00 1030 Tax reserve 400.00" in page
    assert "Withdrawal from Tax reserve: estimated tax, first quarter" in page
    assert purses(accountant) == ["98,500.00", "600.00", "500.00", "0.00", "99,600.00"]


@pytest.mark.usefixtures("reserves")
def test_a_reserve_is_released_by_an_admin_with_reason_and_confirmation(provisioned: Any) -> None:
    admin = provisioned.client("admin")
    form = {"purse": "payroll_reserve", "amount": "120.5", "reason": "set aside twice"}
    refused = words(booked(admin, "release", 422, **form, confirm="RELEASE 120.00 USD"))
    assert "Type RELEASE 120.50 USD to confirm" in refused
    refused = words(booked(admin, "release", 422, **form | {"reason": ""}))
    assert "A reason is needed; it is kept for good" in refused
    page = words(booked(admin, "release", **form, confirm="RELEASE 120.50 USD"))
    assert "Release of a reserve is booked." in page
    assert "Capital.ReserveReleased" in page
    assert "by admin" in page
    assert "1010 Cash float 120.50 1040 Payroll reserve 120.50" in page
    assert purses(admin) == ["98,620.50", "1,000.00", "379.50", "0.00", "100,000.00"]


@pytest.mark.parametrize(
    ("place", "fields", "said"),
    [
        (
            "payout", {"purse": "tax_reserve", "amount": "1000.01"},
            "Reserve: 1,000.01 USD would leave the tax reserve; "
            "allowed: above 0 and at most 1,000.00 USD, its cash.",
        ),
        (
            "release", {"purse": "payroll_reserve", "amount": "500.01"},
            "Reserve: 500.01 USD would leave the payroll reserve; "
            "allowed: above 0 and at most 500.00 USD, its cash.",
        ),
        (
            "new/withdrawal", {"purpose": "draw", "amount": "98500.01"},
            "Float: the float would be -0.01 USD; allowed: at most 98,500.00 USD.",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("reserves")
def test_more_than_there_is_is_refused_with_rule_and_figures(
    provisioned: Any, place: str, fields: dict[str, str], said: str
) -> None:
    admin = provisioned.client("admin")
    before = purses(admin)
    words_typed = {"payout": "PAY", "release": "RELEASE"}.get(place, "")
    own = {"reason": "too much", "confirm": f"{words_typed} {fields['amount']} USD"}
    looked = shown(admin, place, **fields, **own)
    assert said in words(looked)
    assert 'value="book"' not in looked.text, "no button books it"
    answer = booked(admin, place, 422, **fields, **own)
    assert said in words(answer)
    assert purses(admin) == before


def test_an_entry_is_corrected_by_its_reversal(accountant: Any) -> None:
    booked(accountant, "new/fee", **MONEY)
    assert purses(accountant)[0] == "99,750.00"
    page = accountant.get("/capital").text
    place = re.findall(r'href="/capital/(reverse/\d+)"', page)[0]
    form = accountant.get(f"/capital/{place}")
    assert "5020 Regulatory and broker fees 250.00 1010 Cash float 250.00" in words(form)
    looked = words(shown(accountant, place, reason="charged twice"))
    assert "1010 Cash float 250.00 5020 Regulatory and broker fees 250.00" in looked
    done = words(booked(accountant, place, reason="charged twice"))
    assert "(Fee: as stated): charged twice" in done
    assert purses(accountant)[0] == "100,000.00"
    again = words(booked(accountant, place, 422, reason="once more"))
    assert "is reversed already" in again
    assert f'href="/capital/{place}"' not in accountant.get("/capital").text
    assert place not in accountant.get(f"/history/{place.partition('/')[2]}").text


@pytest.mark.usefixtures("reserves")
def test_no_correction_lowers_a_reserve(accountant: Any) -> None:
    event = max(map(int, re.findall(r"/capital/reverse/(\d+)", accountant.get("/capital").text)))
    assert f"/capital/reverse/{event}" in accountant.get(f"/history/{event}").text
    answer = words(booked(accountant, f"reverse/{event}", 422, reason="too much was set aside"))
    assert "Reserve: the payroll reserve would fall from 500.00 USD to 0.00 USD" in answer
    assert "allowed: a release of it, with a reason and its confirmation" in answer


@pytest.mark.usefixtures("holding")
def test_a_reversal_that_would_leave_less_than_nothing_is_refused(accountant: Any) -> None:
    """The opening deposit paid for what is held."""
    first = min(map(int, re.findall(r"/capital/reverse/(\d+)", accountant.get("/capital").text)))
    answer = words(booked(accountant, f"reverse/{first}", 422, reason="wrong account"))
    assert "Float: the float would be -2,501.00 USD" in answer
    assert "the right entry first, then this reversal" in answer


def test_what_the_broker_took_is_booked_and_warned_of(accountant: Any) -> None:
    page = words(shown(accountant, "new/fee", amount="100000.01", reason="as stated"))
    assert "The float would be -0.01 USD" in page
    assert "Book the fee" in page


def test_a_form_sent_twice_counts_once(accountant: Any) -> None:
    digest = re.search(
        r'name="shown" value="(\w+)"', shown(accountant, "new/deposit", **MONEY).text
    )
    assert digest
    form = MONEY | {"day": "2026-03-02", "step": "book", "shown": digest[1], "command_id": "a" * 32}
    first, second = (accountant.post("/capital/new/deposit", data=form) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert "is booked already; nothing was booked again" in words(
        accountant.get(second.headers["Location"])
    )
    assert purses(accountant)[0] == "100,250.00"


def test_a_reference_is_booked_once(accountant: Any) -> None:
    booked(accountant, "new/deposit", **MONEY, reference="wire 17")
    again = booked(accountant, "new/deposit", 422, **MONEY, reference="wire 17")
    event = re.findall(r"/capital/reverse/(\d+)", accountant.get("/capital").text)[0]
    assert f"Event {event} is booked under it already" in words(again)
    assert purses(accountant)[0] == "100,250.00"


def test_what_moved_meanwhile_is_shown_before_it_is_booked(holding: Any, accountant: Any) -> None:
    """A purchase comes between the look at a split and its booking: other units."""
    form = {"instrument": "XNYS:ALFA", "new_units": "2", "old_units": "1"}
    looked = shown(accountant, "new/split", **form)
    digest = re.search(r'name="shown" value="(\w+)"', looked.text)
    assert digest
    holding.order("o2", "ALFA", "5")
    holding.fill("o2", "5", "101")
    sent = form | {"day": "2026-03-02", "step": "book", "shown": digest[1]}
    answer = accountant.post("/capital/new/split", data=sent)
    assert answer.status_code == 409
    read = words(answer)
    assert "It would post something else than what was shown. Nothing was recorded" in read
    assert "Trading securities at cost: ALFA 15 0.00" in read
    assert "Split is booked." in words(booked(accountant, "new/split", **form))


@pytest.mark.parametrize(
    ("what", "wrong", "said"),
    [
        ("deposit", {"amount": ""}, "Write the amount in digits with a point"),
        ("deposit", {"amount": "1,250.00"}, "Write the amount in digits with a point"),
        ("deposit", {"amount": "0"}, "An amount is above 0"),
        ("deposit", {"amount": "1.001"}, "more decimals"),
        ("deposit", {"day": "tomorrow"}, "Write the date as 2026-03-02"),
        ("deposit", {"day": "2026-03-03"}, "nothing is booked before its day"),
        ("deposit", {"reference": "r" * 201}, "At most 200 printable characters"),
        ("dividend", {"symbol": "not one"}, "The symbol of the security"),
        ("dividend", {"symbol": "SCHD", "withheld": "250.01"}, "At most the gross amount"),
        ("withdrawal", {"purpose": "gift"}, "Choose one of the list"),
        ("split", {"instrument": "", "new_units": "2", "old_units": "1"}, "Choose one of the list"),
        ("split", {"new_units": "2", "old_units": "2"}, "that is no split"),
        ("split", {"new_units": "0", "old_units": "1"}, "A whole number from 1"),
    ],
)
def test_a_fault_stands_beside_its_field(
    accountant: Any, what: str, wrong: dict[str, str], said: str
) -> None:
    answer = shown(accountant, f"new/{what}", **(MONEY | wrong))
    assert answer.status_code == 422
    beside = {name: answer.text.partition(f'id="{what}-{name}-fault"')[2][:200] for name in wrong}
    (field,) = [name for name, text in beside.items() if said in text]
    assert f'href="#{what}-{field}"' in answer.text  # and at the head of the form
    for name, value in (MONEY | wrong).items():
        if name == "amount" and what != "split":
            assert f'value="{value}"' in answer.text, "what was typed stays"


ROLES = {
    "capital": ["viewer", "accountant", "compliance", "operator", "admin"],
    "capital/new/deposit": ["accountant", "operator", "admin"],
    "capital/payout": ["accountant", "admin"],
    "capital/reverse/{deposit}": ["accountant", "admin"],
    "capital/release": ["admin"],
}


@pytest.mark.parametrize("role", ["viewer", "accountant", "compliance", "operator", "admin"])
def test_who_may_what(provisioned: Any, role: str) -> None:
    client = provisioned.client(role)
    history = client.get("/history?type=Capital.Deposited&after=0").text
    deposit = re.findall(r"/history/(\d+)", history)[0]
    for place, roles in ROLES.items():
        answer = client.get("/" + place.format(deposit=deposit))
        assert (answer.status_code == 200) == (role in roles), (place, answer.status_code)
    page = client.get("/capital").text
    for place in ("new/deposit", "payout", "release", f"reverse/{deposit}"):
        allowed = role in ROLES[f"capital/{place}".replace(deposit, "{deposit}")]
        assert (f'href="/capital/{place}"' in page) == allowed, place


def test_an_earlier_day_shows_its_own_newest_movements(trading: Any, accountant: Any) -> None:
    """However many later ones came: the page shows 25."""
    tomorrow = date(2026, 3, 3)
    fees = [
        RecordFee(
            at=trading.now, effective_date=tomorrow, reference=f"fee-{n}", currency="USD",
            amount=Decimal("0.01"), reason="small",
        )
        for n in range(26)
    ]  # fmt: skip
    trading.dispatch(*fees, command_id="fees")
    now, then = (words(accountant.get(f"/capital{when}")) for when in ("", "?as_of=2026-03-02"))
    assert now.count("Fee: small") == 25
    assert "Deposit: " not in now
    assert "Fee: small" not in then
    assert then.count("Deposit: ") == 1


@pytest.mark.parametrize(
    ("what", "fields", "said"),
    [
        ("deposit", {"day": "2026-03-01"}, "The books were opened on 2026-03-02, and this entry"),
        ("dividend", {"symbol": "ALFB"}, "Dividend: as stated, ALFB"),
        ("dividend", {"symbol": "ALFB"}, "The books know no security ALFB."),
        (
            "deposit", {},
            "The simulated broker is not told of this entry. Unless its cash agrees with the books "
            "at the next comparison (100,250.00 USD as of now), nothing new is bought until",
        ),
    ],
)  # fmt: skip
def test_what_is_odd_is_said_before_it_is_booked(
    reserves: Any, accountant: Any, what: str, fields: dict[str, str], said: str
) -> None:
    assert reserves
    usual = {"symbol": "ALFA"} if what == "dividend" else {}
    assert said in words(shown(accountant, f"new/{what}", **(MONEY | usual | fields)))
    if fields:
        assert said not in words(shown(accountant, f"new/{what}", **(MONEY | usual)))


@pytest.mark.usefixtures("reserves")
def test_a_release_leaves_the_broker_s_cash_and_says_nothing_of_it(provisioned: Any) -> None:
    form = {"purse": "tax_reserve", "amount": "1", "reason": "too much"}
    assert "not told" not in words(shown(provisioned.client("admin"), "release", **form))


def test_the_past_is_read_only(accountant: Any) -> None:
    booked(accountant, "new/deposit", **MONEY)
    before = accountant.get("/capital?known_at=5")
    assert "Book by hand" not in words(before)
    assert accountant.get("/capital/new/deposit?known_at=5").status_code == 400
    assert accountant.post("/capital/new/deposit?known_at=5", data=MONEY).status_code == 409
    past = words(accountant.get("/capital?as_of=2026-03-01"))
    assert "No money has moved without a trade." in past
    assert "There were no purses yet." in past


@pytest.mark.parametrize("place", ["new/gift", "new/release", "reverse/1", "reverse/99999"])
def test_what_is_not_there(accountant: Any, place: str) -> None:
    assert accountant.get(f"/capital/{place}").status_code == 404
