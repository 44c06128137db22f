"""The capital page in a real browser: every form, what it posts while one types, no script."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

Enter = Callable[..., Page]


@pytest.fixture
def holding(trading: Any) -> Any:
    """10 units of ALFA at 100.00; 1,000.00 for taxes and 500.00 for payroll."""
    trading.open()
    trading.set_aside(tax="1000", payroll="500")
    trading.order("o1", "ALFA", "10")
    trading.fill("o1", "10", "100")
    return trading


def outlook(page: Page) -> Locator:
    return page.locator("#outlook")


def fill(page: Page, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " ")).fill(text)


def book(page: Page, button: str, said: str) -> None:
    """The button appears with what it posts, and leads to the event and its entry."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator("main .notice")).to_contain_text(said)
    expect(page.locator("#booked-title")).to_be_visible()


def purse(page: Page, name: str) -> Locator:
    return page.locator("tr", has=page.get_by_role("rowheader", name=name, exact=True))


FORMS = [
    ("Deposit", "Book the deposit", {}, "Opening equity"),
    ("Dividend", "Book the dividend", {"Security": "ALFA", "Tax_kept": "37.50"}, "Dividends"),
]
MORE = [  # alike but for their fields, which a test client fills in as well
    ("Withdrawal", "Book the withdrawal", {}, "Owner draws"),
    ("Tax withheld", "Book the tax", {"Security": "ALFA"}, "Withholding tax"),
    ("Interest", "Book the interest", {}, "Interest"),
    ("Fee", "Book the fee", {}, "Regulatory and broker fees"),
    ("Margin interest", "Book the margin interest", {}, "Margin interest"),
]
FULL = os.environ.get("PROGRAMME") == "full"


@pytest.mark.usefixtures("holding")
def test_every_form_shows_what_it_posts_and_books_it(enter: Enter) -> None:
    page = enter("operator", "/capital")
    for name, button, fields, account in FORMS + (MORE if FULL else []):
        page.get_by_role("button", name=name, exact=True).click()
        fill(page, amount_in="250.00", Reason="as stated", Reference=f"wire {name}", **fields)
        expect(outlook(page)).to_contain_text(account)
        book(page, button, f"{name} is booked.")
        expect(page.locator("section").first).to_contain_text(account)
        expect(page.locator("section").first).to_contain_text(f"ref wire {name}")
    for name, *_ in MORE:
        expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
    page.goto("/capital/new/split")
    page.get_by_label("Security").select_option(label="ALFA, ALFA Corp")
    page.get_by_label("New units").fill("2")
    expect(outlook(page)).to_contain_text("Split 2 for 1 of ALFA")
    book(page, "Book the split", "Split is booked.")


def test_faults_come_and_go_while_one_types(enter: Enter) -> None:
    page = enter("accountant", "/capital/new/dividend")
    fill(page, amount_in="1,5")
    expect(page.locator("#dividend-amount-fault")).to_contain_text("digits with a point")
    expect(page.locator("#dividend-symbol-fault")).to_be_empty()  # not typed yet: not told of
    fill(page, amount_in="20", Security="SCHD", Tax_kept="21")
    expect(page.locator("#dividend-amount-fault")).to_be_empty()
    expect(page.locator("#dividend-withheld-fault")).to_have_text("At most the gross amount")
    expect(outlook(page)).to_be_empty()
    fill(page, Tax_kept="1", Day="2027-01-01")
    expect(page.locator("#dividend-day-fault")).to_contain_text("nothing is booked before its day")
    fill(page, Day="2026-02-27")
    expect(outlook(page)).to_contain_text("the reason is still to be given")
    expect(outlook(page)).to_contain_text("Fri 27 Feb 2026")
    expect(purse(page, "Cash float")).to_contain_text("100,019.00")
    page.get_by_role("button", name="Book the dividend").click()
    expect(page.locator(".faults")).to_contain_text("A reason is needed")
    expect(page.get_by_label("Tax kept")).to_have_value("1")
    page.get_by_label("Reason").press("Enter")  # shows, and never books
    expect(page.get_by_role("button", name="Book the dividend")).to_be_visible()


@pytest.mark.usefixtures("holding")
def test_a_payout_a_release_and_what_is_refused(enter: Enter, provisioned: Any) -> None:
    page = enter("admin", "/capital")
    purse(page, "Payroll reserve").get_by_role("link", name="pay out").click()
    expect(page.get_by_label("Reserve")).to_have_value("payroll_reserve")
    fill(page, amount_in="600")
    expect(outlook(page)).to_contain_text("at most 500.00 USD, its cash")
    expect(page.get_by_role("button", name="Book the payout")).to_have_count(0)
    fill(page, amount_in="500", Reason="wages of March", Confirmation="PAY 50.00 USD")
    expect(page.locator("#payout-confirm-fault")).to_have_text("Type PAY 500.00 USD to confirm")
    fill(page, Confirmation="PAY 500.00 USD")
    expect(page.locator("#payout-confirm-fault")).to_be_empty()
    book(page, "Book the payout", "Payout from a reserve is booked.")
    expect(purse(page, "Payroll reserve")).to_contain_text("0.00")
    queries = provisioned.app.extensions["tradebot"].queries
    (paid,) = queries.events(topics=("Capital.Withdrawn",))
    assert paid.payload["confirmed"] == "PAY 500.00 USD"
    purse(page, "Tax reserve").get_by_role("link", name="release").click()
    fill(page, amount_in="400", Reason="taxed at a lower rate")
    page.get_by_role("button", name="Release the reserve").click()
    expect(page.locator(".faults")).to_contain_text("Type RELEASE 400.00 USD to confirm")
    fill(page, Confirmation="RELEASE 400.00 USD")
    book(page, "Release the reserve", "Release of a reserve is booked.")
    expect(purse(page, "Tax reserve")).to_contain_text("600.00")


@pytest.mark.usefixtures("holding")
def test_a_correction_starts_where_the_entry_stands(enter: Enter) -> None:
    page = enter("accountant", "/history?type=Order.Filled&after=0")
    page.locator("table a.event").last.click()
    page.get_by_role("link", name="Correct it by a reversal").click()
    expect(page.locator("#original-title")).to_be_visible()
    expect(outlook(page)).to_contain_text("Reversal of event")  # before a word is typed
    expect(purse(page, "Cash float")).to_contain_text("1,001.00")
    fill(page, Reason="the broker withdrew it")
    expect(outlook(page)).to_contain_text("the broker withdrew it")
    book(page, "Reverse the entry", "Correction is booked.")
    page.get_by_role("link", name=re.compile("Correct the entry")).first.click()
    page.get_by_role("button", name="Do nothing").click()
    expect(page.locator("h1")).to_have_text("Purses and movements")


@pytest.mark.usefixtures("holding")
def test_without_script(enter: Enter) -> None:
    page = enter("accountant", "/capital/new/fee", java_script_enabled=False)
    fill(page, amount_in="12.50")
    page.get_by_role("button", name="Show what it posts").click()
    expect(outlook(page)).to_contain_text("Regulatory and broker fees")
    page.get_by_role("button", name="Book the fee").click()
    expect(page.locator(".faults")).to_contain_text("A reason is needed")
    fill(page, Reason="market data")
    book(page, "Book the fee", "Fee is booked.")


PLACES = ("/capital", "/capital/new/dividend", "/capital/release", "/capital/reverse/5")


@pytest.mark.usefixtures("holding")
def test_the_pages_can_be_used_by_everybody(enter: Enter) -> None:
    """No violation in light and dark, nothing wider than a phone."""
    page, axe = enter("admin", "/capital"), Axe()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto("/capital/payout")
        fill(page, amount_in="2000", Confirmation="PAY")
        expect(outlook(page)).to_contain_text("This is refused.")
        report = axe.run(page)
        assert report.violations_count == 0, f"refused, {scheme}\n{report.generate_report()}"
        for place in PLACES if scheme == "light" else PLACES[:1]:
            page.goto(place)
            report = axe.run(page)
            assert report.violations_count == 0, f"{place}, {scheme}\n{report.generate_report()}"
    page.set_viewport_size({"width": 390, "height": 800})
    for place in PLACES:
        page.goto(place)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, place
