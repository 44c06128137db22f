"""The holdings page in a real browser: every control, warnings while one types, without script."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from web import live_stream

Enter = Callable[..., Page]
# What a test client proves as well, without a browser.
also_without = pytest.mark.skipif(
    os.environ.get("PROGRAMME") != "full", reason="PROGRAMME=full runs it in the browser, too"
)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture
def provisioned(with_holdings: Any) -> Any:
    return with_holdings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "EVERY_S", 0.1)


def type_in(page: Page, field: str, text: str) -> None:
    """Key by key, and the field is not left."""
    page.locator(f"#{field}").select_text()
    page.locator(f"#{field}").press_sequentially(text, delay=20)


def faults(page: Page, field: str) -> Any:
    return page.locator(f"#{field}-faults")


def said(page: Page) -> Any:
    return page.locator("#plan-said")


def test_what_is_typed_is_warned_about_and_saved_when_it_is_valid(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    type_in(page, "float_target", "101")
    expect(faults(page, "float_target")).to_contain_text("from 0 to 100 %")
    expect(said(page)).to_contain_text("Not saved: 1 thing")
    type_in(page, "float_target", "12.5")
    expect(said(page)).to_contain_text("version 2")
    expect(faults(page, "float_target")).to_be_empty()
    expect(page.locator("#plan-version")).to_have_text("version 2")
    type_in(page, "allocation-0", "100")
    expect(page.locator("#plan-sum")).to_contain_text("leaves nothing for the 2 blank")
    type_in(page, "allocation-0", "40")
    expect(said(page)).to_contain_text("version 3")
    expect(page.locator("#plan-sum")).to_contain_text("30.00 % for each of 2 blanks")
    expect(page.locator("#target-1")).to_have_text("30.00 %")
    plan = held.versions()[-1].plan
    assert (str(plan.float_target), str(plan.securities[0].allocation)) == ("12.5", "40")
    assert len(held.versions()) == 3  # what was not valid is no version


def test_half_a_number_is_not_saved(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    page.clock.install()
    page.clock.pause_at("2100-01-01")  # so that the time between two keys is what is said here
    page.locator("#float_target").select_text()
    page.keyboard.type("2")
    page.clock.run_for(1400)
    expect(page.locator("#sweep-help")).to_contain_text("about 33,157.86")  # looked at already
    page.keyboard.type("0")
    page.clock.run_for(1400)
    expect(page.locator("#sweep-help")).to_contain_text("about 14,991.05")
    assert len(held.versions()) == 1
    page.clock.run_for(200)
    # "Saved as version 2", or already what a later look at the same figures says
    expect(said(page)).to_contain_text(re.compile("[Ss]aved as version 2|As in version 2, saved"))
    expect(page.locator("#plan-lead")).to_contain_text("#")
    assert [int(v.plan.float_target) for v in held.versions()] == [10, 20]


def test_a_symbol_is_saved_when_its_field_is_left(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    type_in(page, "symbol-3", "SC")
    expect(said(page)).to_contain_text("when you leave the field")
    type_in(page, "symbol-3", "schd")
    expect(faults(page, "symbol-3")).to_contain_text("SCHD stands in the plan 2 times")
    expect(faults(page, "symbol-0")).to_contain_text("SCHD stands in the plan 2 times")
    type_in(page, "symbol-3", "bnd")
    expect(faults(page, "symbol-3")).to_be_empty()
    assert len(held.versions()) == 1
    page.keyboard.press("Tab")
    expect(said(page)).to_contain_text("version 2")
    expect(page.locator("#units-3")).to_contain_text("100")
    assert [s.symbol for s in held.versions()[-1].plan.securities] == ["SCHD", "SCHY", "VTI", "BND"]


def test_a_look_that_takes_long_never_costs_a_save(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    looks: list[Route] = []

    def hold(look: Route) -> None:
        looks.append(look)

    page.route("**/holdings/check", hold)
    type_in(page, "symbol-3", "BN")
    page.wait_for_timeout(600)
    assert len(looks) == 1  # a look is under way; save and next look wait for it
    page.locator("#symbol-3").press("D")
    page.keyboard.press("Tab")
    page.wait_for_timeout(600)
    looks[0].continue_()
    page.unroute("**/holdings/check")
    expect(said(page)).to_contain_text("version 2")
    assert [s.symbol for s in held.versions()[-1].plan.securities][-1] == "BND"


def test_what_was_typed_last_is_saved_when_a_row_is_asked_for_at_once(
    enter: Enter, held: Any
) -> None:
    page = enter("admin", "/holdings")
    page.clock.install()
    page.clock.pause_at("2100-01-01")  # the form's own save would come 50 ms later
    page.locator("#symbol-3").fill("BND")
    page.get_by_role("button", name="Add a security").click()
    expect(page.locator("#symbol-4")).to_be_focused()
    expect(said(page)).to_contain_text("version 2")
    assert [s.symbol for s in held.versions()[-1].plan.securities][-1] == "BND"


def test_every_setting_saves_by_itself(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    for name, text in (("tax_reserve", "25"), ("payroll", "15"), ("drift_band", "2")):
        type_in(page, name, text)
    expect(page.locator("#shares")).to_contain_text("+3.40")
    page.get_by_label("Rebalance every").select_option("12")
    page.get_by_label("Rebalance by itself").uncheck()
    page.get_by_label("Sweep cash").check()
    page.get_by_label("Tax reserve held in").fill("SGOV")
    page.get_by_label("Why").fill("a calm year")
    page.get_by_role("textbox", name="Payroll").fill("14")
    expect(page.locator("#tax_vehicle")).to_have_value("SGOV")

    for _ in range(100):
        if held.versions()[-1].plan.payroll == 14:
            break
        page.wait_for_timeout(50)
    plan = held.versions()[-1].plan
    assert (plan.tax_reserve, plan.drift_band, plan.payroll) == (25, 2, 14)
    assert (plan.rebalance_months, plan.tax_vehicle) == (12, "SGOV")
    assert (plan.auto_rebalance, plan.sweep) == (False, True)
    assert held.versions()[-1].reason == "a calm year"
    page.reload()
    expect(page.locator("dl.figures")).to_contain_text("by hand")
    expect(page.locator("#rebalance_months")).to_have_value("12")


def test_rows_are_added_and_deleted_and_go_on_saving(enter: Enter, held: Any) -> None:
    page = enter("admin", "/holdings")
    page.get_by_role("button", name="Add a security").click()
    expect(page.locator("#symbol-4")).to_be_visible()
    expect(page.locator("#symbol-4")).to_be_focused()
    page.keyboard.type("BND")
    page.keyboard.press("Tab")
    expect(said(page)).to_contain_text("version 2")
    expect(page.locator("#plan-count")).to_have_text("4 of at most 20")
    page.get_by_role("button", name="Delete SCHY").click()
    expect(page.locator("#symbol-1")).to_be_focused()
    expect(said(page)).to_contain_text("version 3")
    expect(page.locator(".unplanned")).to_contain_text("SCHY not in the plan")
    type_in(page, "allocation-0", "30")
    expect(said(page)).to_contain_text("version 4")
    assert [s.symbol for s in held.versions()[-1].plan.securities] == ["SCHD", "VTI", "BND"]


@also_without
def test_the_second_of_two_admins_is_told_and_loses_nothing(enter: Enter, held: Any) -> None:
    mine = enter("admin", "/holdings")
    held.plan(seen="1", float_target="15")
    type_in(mine, "payroll", "12")
    expect(said(mine)).to_contain_text("the plan was changed meanwhile")
    mine.locator(".plan-bar").get_by_role("button", name="Save").click()
    expect(mine.get_by_role("alert")).to_contain_text("Nothing of yours was saved")
    expect(mine.locator("table.changes")).to_contain_text("Float target")
    expect(mine.locator("#payroll")).to_have_value("12")
    type_in(mine, "float_target", "15")
    expect(said(mine)).to_contain_text("version 3")
    assert [v.plan.payroll for v in held.versions()] == [10, 10, 12]


def test_when_nobody_answers_the_page_says_that_nothing_is_saved(enter: Enter) -> None:
    page = enter("admin", "/holdings")
    page.route("**/holdings/plan", lambda route: route.fulfill(status=403, body="no"))
    type_in(page, "payroll", "12")
    expect(said(page)).to_contain_text("Not saved: the server refused it (403).")
    expect(page.locator("#payroll")).to_have_value("12")


def test_figures_follow_the_bot_while_what_is_typed_stays(
    enter: Enter, held: Any, provisioned: Any
) -> None:
    page = enter("admin", "/holdings")
    expect(page.locator(".following")).to_be_visible()
    type_in(page, "float_target", "x")
    expect(faults(page, "float_target")).to_contain_text("not a number")
    provisioned.later(minutes=1)
    held.trading.mark(SCHD="30.00")
    expect(page.locator("#price-0")).to_contain_text("30.00")
    expect(page.locator("#value-0")).to_contain_text("24,003.70")
    expect(page.locator("#float_target")).to_have_value("x")
    expect(page.locator("#plan-sends input[name=seen]")).to_have_value("1")


def test_a_rebalance_is_previewed_asked_for_seen_waiting_and_withdrawn(enter: Enter) -> None:
    page = enter("operator", "/holdings")
    page.get_by_role("link", name="Preview a rebalance").click()
    orders = page.get_by_role("region", name="Orders")
    expect(orders).to_contain_text("BND")
    expect(orders.locator("tbody tr")).to_have_count(4)
    page.get_by_role("button", name="Ask for this rebalance").click()
    expect(page.get_by_role("alert")).to_contain_text("A reason is needed")
    page.get_by_label("Reason").fill("the year ends")
    page.get_by_role("button", name="Ask for this rebalance").click()
    asked = page.locator("table.requests")
    expect(asked).to_contain_text("waiting")
    expect(asked).to_contain_text("the year ends")
    other = enter("viewer", "/holdings")
    expect(other.locator("table.requests")).to_contain_text("operator")
    asked.get_by_role("link", name="Look at it").click()
    expect(page.get_by_role("region", name="The preview that was confirmed")).to_be_visible()
    page.get_by_role("button", name="Take the request back").click()
    expect(page.locator("main .notice")).to_contain_text("withdrawn")
    expect(other.locator("table.requests")).to_contain_text("withdrawn")  # by itself


def test_a_version_is_put_back_and_what_came_meanwhile_is_shown_first(
    enter: Enter, held: Any
) -> None:
    held.plan(seen="1", float_target="15")
    page = enter("admin", "/holdings")
    page.get_by_role("link", name="Versions of the plan").click()
    page.get_by_role("link", name="Go back to version 1").click()
    expect(page.locator("table.changes tbody tr")).to_have_count(1)
    expect(page.locator("table.changes")).to_contain_text("Float target")
    page.get_by_role("link", name="Do nothing").click()
    page.get_by_role("link", name="Go back to version 1").click()
    page.get_by_label("Why").fill("it was calmer")
    held.plan(seen="2", float_target="15", payroll="12")  # by somebody else
    page.get_by_role("button", name="Put version 1 back").click()
    expect(page.get_by_role("alert")).to_contain_text("The plan was changed meanwhile.")
    expect(page.locator("table.changes")).to_contain_text("Payroll")
    assert len(held.versions()) == 3
    page.get_by_role("button", name="Put version 1 back").click()
    expect(page.locator("main .notice")).to_contain_text("Version 1 of the plan is in force again")
    expect(page.locator("#float_target")).to_have_value("10")
    expect(page.locator("#payroll")).to_have_value("10")
    last = held.versions()[-1]
    assert (last.number, last.rolled_back_to, last.reason) == (4, 1, "it was calmer")


FILES = [f"{what}.{form}" for what in ("report", "log", "transactions")
         for form in ("csv", "json", "txt")]  # fmt: skip


def test_files_are_downloaded_with_what_the_page_shows(enter: Enter) -> None:
    page = enter("viewer", "/holdings")
    page.get_by_role("link", name="Files", exact=True).click()
    expect(page.locator("a[download]")).to_have_count(len(FILES))
    for name in FILES if os.environ.get("PROGRAMME") == "full" else FILES[:1]:
        with page.expect_download() as found:
            page.locator(f'a[download][href^="/holdings/files/{name}"]').click()
        assert found.value.suggested_filename == f"ACME_USA_SIM_01_BOT_holdings_{name}"
        text = found.value.path().read_text()
        assert "SCHD" in text


@also_without
def test_a_top_up_is_asked_for(enter: Enter, held: Any) -> None:
    held.plan(seen="1", float_target="50")
    page = enter("operator", "/holdings")
    expect(page.locator("dl.figures")).to_contain_text("below the target")
    page.get_by_role("link", name="Top up the cash float").click()
    expect(page.locator("dl.figures")).to_contain_text("15,286.98")
    page.get_by_label("Reason").fill("before the holidays")
    page.get_by_role("button", name="Ask for the top-up").click()
    expect(page.locator("table.requests")).to_contain_text("Cash top-up")


def test_without_script_the_same_can_be_done(enter: Enter) -> None:
    page = enter("admin", "/holdings", java_script_enabled=False)
    save = page.locator(".plan-bar").get_by_role("button", name="Save")
    page.locator("#payroll").fill("lots")
    save.click()
    expect(faults(page, "payroll")).to_contain_text("not a number")
    expect(page.locator("#payroll")).to_have_value("lots")
    page.locator("#payroll").fill("12")
    save.click()
    expect(page.locator("main .notice")).to_contain_text("saved as version 2")
    page.get_by_role("button", name="Add a security").click()
    expect(page.locator("#symbol-4")).to_be_visible()
    page.locator("#symbol-4").fill("BND")
    page.keyboard.press("Enter")
    expect(page.locator("main .notice")).to_contain_text("saved as version 3")
    page.get_by_role("button", name="Delete VTI").click()
    expect(page.locator("main .notice")).to_contain_text("saved as version 4")
    page.get_by_role("link", name="Versions of the plan").click()
    page.get_by_role("link", name="Go back to version 1").click()
    page.get_by_role("button", name="Put version 1 back").click()
    expect(page.locator("main .notice")).to_contain_text("Version 1 of the plan is in force again")
    expect(page.locator("#payroll")).to_have_value("10")


# In the dark only colours differ; each place is looked at once.
@pytest.mark.parametrize(
    ("scheme", "size", "options", "places"),
    [
        ("light", WIDE, {}, ("rebalance", "versions")),
        ("dark", NARROW, {"runOnly": ["color-contrast"]}, ("top-up", "versions/1/back")),
    ],
)
def test_the_pages_keep_nobody_out(
    enter: Enter, held: Any, scheme: Any, size: Any, options: Any, places: tuple[str, ...]
) -> None:
    held.plan(seen="1", float_target="50")
    page = enter("admin", "/holdings", color_scheme=scheme, viewport=size)
    type_in(page, "allocation-0", "120")
    expect(faults(page, "allocation-0")).not_to_be_empty()
    check_everybody_can_use(page, options)
    for place in places:
        page.goto(f"/holdings/{place}")
        expect(page.locator("h1")).to_be_visible()
        check_everybody_can_use(page, options)


def check_everybody_can_use(page: Page, options: Any) -> None:
    found = Axe().run(page, options=options)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), page.url
