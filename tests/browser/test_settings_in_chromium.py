"""The settings in a real browser: live check, difference, confirm, history; without script too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

Enter = Callable[..., Page]


def field(page: Page, name: str) -> Any:
    return page.locator(f"#{name}")


def show_difference(page: Page) -> None:
    page.get_by_role("button", name="Show the difference").click()


def test_a_change_with_live_check_difference_and_history(enter: Enter) -> None:
    page = enter("admin", "/settings")
    field(page, "MAX_TRADES").fill("900")
    expect(page.locator("#MAX_TRADES-faults")).to_contain_text("above the most allowed")
    expect(page.locator("#setting-check")).to_contain_text("1 to correct")
    field(page, "MAX_TRADES").fill("7")
    expect(page.locator("#MAX_TRADES-faults")).to_be_empty()
    field(page, "MIN_PRICE").fill("9000")
    expect(page.locator("#MAX_PRICE-faults")).to_contain_text("nothing lies between them")
    field(page, "MIN_PRICE").fill("6")
    field(page, "FRACTIONAL").uncheck()
    expect(page.locator("#setting-check")).to_contain_text("3 changed, and nothing is wrong")
    field(page, "SMTP_USERNAME").fill("bot")
    field(page, "SMTP_PASSWORD").fill("hunter2 hunter2")
    show_difference(page)
    expect(page.locator("h1")).to_contain_text("What would change")
    expect(page.locator("table.changes")).to_contain_text("SMTP_PASSWORD")
    assert "hunter2" not in page.content()
    page.get_by_label("Why").fill("a calm week")
    page.get_by_role("button", name="Save these changes").click()
    expect(page.locator("main .notice")).to_contain_text("The settings are saved")
    expect(field(page, "MAX_TRADES")).to_have_value("7")
    expect(field(page, "SMTP_PASSWORD")).to_have_value("")
    page.get_by_role("link", name="History of changes").click()
    expect(page.locator("#revision-2")).to_contain_text("Why: a calm week.")
    page.locator("#revision-2").get_by_role("link", name="#").first.click()
    expect(page.locator("h1")).to_contain_text("Configuration.Changed")
    assert "hunter2" not in page.content()


def test_the_second_of_two_admins_loses_nothing(enter: Enter) -> None:
    mine, theirs = enter("admin", "/settings"), enter("admin", "/settings")
    field(mine, "MAX_TRADES").fill("7")
    field(theirs, "MAX_TRADES").fill("5")
    field(theirs, "MAX_OPEN_POSITIONS").fill("2")
    show_difference(theirs)
    theirs.get_by_role("button", name="Save these changes").click()
    expect(theirs.locator("main .notice")).to_contain_text("saved")
    show_difference(mine)
    expect(mine.locator("main")).to_contain_text("changed while you were editing")
    expect(field(mine, "MAX_TRADES")).to_have_value("7")
    expect(field(mine, "MAX_OPEN_POSITIONS")).to_have_value("2")
    show_difference(mine)
    expect(mine.locator("table.changes tbody tr")).to_have_count(1)
    mine.get_by_role("button", name="Go on editing").click()
    expect(field(mine, "MAX_TRADES")).to_have_value("7")


def test_without_script_the_same_steps_lead_there(enter: Enter) -> None:
    page = enter("admin", "/settings", java_script_enabled=False)
    field(page, "MAX_TRADES").fill("many")
    show_difference(page)
    expect(page.locator("#MAX_TRADES-faults")).to_contain_text("not a number")
    expect(page.get_by_role("alert")).to_contain_text("MAX_TRADES")
    expect(field(page, "MAX_TRADES")).to_have_value("many")
    field(page, "MAX_TRADES").fill("7")
    show_difference(page)
    page.get_by_role("button", name="Save these changes").click()
    expect(field(page, "MAX_TRADES")).to_have_value("7")


@pytest.mark.parametrize(("scheme", "width"), [("light", 420), ("dark", 1280)])
def test_the_form_and_its_difference_keep_nobody_out(enter: Enter, scheme: Any, width: int) -> None:
    page = enter(
        "admin", "/settings", color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    field(page, "MAX_TRADES").fill("900")
    show_difference(page)
    expect(page.get_by_role("alert")).to_be_visible()
    check_everybody_can_use(page)
    field(page, "MAX_TRADES").fill("7")
    show_difference(page)
    expect(page.locator("h1")).to_contain_text("What would change")
    check_everybody_can_use(page)


def test_the_past_and_the_history_keep_nobody_out(enter: Enter) -> None:
    page = enter("admin", "/settings", viewport={"width": 1280, "height": 900})
    for address in ("/settings/history", "/settings?known_at=6"):
        page.goto(address)
        check_everybody_can_use(page)


def check_everybody_can_use(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
