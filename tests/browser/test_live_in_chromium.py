"""Today's page in a real browser: it keeps itself up to date, stops, and kills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from web import live_stream
from web.live import streams

Enter = Callable[..., Page]
NARROW = {"width": 360, "height": 740}
WORDS = "KILL ACME_USA_SIM_01"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "EVERY_S", 0.1)


def test_the_page_updates_by_itself(enter: Enter, provisioned: Any, trading: Any) -> None:
    page = enter("viewer", "/")
    expect(page.locator("h1")).to_have_text("No session yet")
    expect(page.locator(".following")).to_be_visible()
    trading.open()
    expect(page.locator("h1")).to_have_text("Monday 2 March 2026")
    expect(page.locator("#live")).to_contain_text("All flat.")
    trading.mark(ALFA="25.00")
    trading.order("ALFA-1", "ALFA", "100")
    trading.fill("ALFA-1", "100", "25.00")
    expect(page.locator("#live")).to_contain_text("ALFA Corp")
    trading.tell()
    expect(page.locator("#live")).to_contain_text("40 s")
    provisioned.later(minutes=1)
    trading.mark(ALFA="26.50")
    expect(page.locator("tfoot", has_text="Unrealized of trading")).to_contain_text("150.00")
    expect(page.locator("figure.drawn canvas")).to_have_count(1)


def test_a_hidden_tab_has_no_stream_and_is_up_to_date_when_it_is_seen_again(
    enter: Enter, provisioned: Any, trading: Any
) -> None:
    trading.open()
    page = enter("viewer", "/")
    expect(page.locator(".following")).to_be_visible()

    def hide(hidden: bool) -> None:
        page.evaluate(
            """(hidden) => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    hide(True)
    with provisioned.app.app_context():
        for _ in range(100):
            if not streams().count:
                break
            page.wait_for_timeout(50)
        assert not streams().count
    trading.refuse("BRVO")
    page.wait_for_timeout(300)
    expect(page.locator("#live")).not_to_contain_text("max spread")
    hide(False)
    expect(page.locator("#live")).to_contain_text("max spread")


def test_what_is_typed_stays_while_the_page_goes_on(enter: Enter, trading: Any) -> None:
    trading.open()
    page = enter("operator", "/")
    page.get_by_label("Reason").fill("lunch")
    trading.refuse("BRVO")
    expect(page.locator("#live")).to_contain_text("max spread")
    expect(page.get_by_label("Reason")).to_have_value("lunch")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("main")).to_contain_text("A stop is asked for")
    expect(page.locator("main")).to_contain_text("operator: lunch")
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def test_a_kill_is_confirmed_and_its_steps_are_seen(enter: Enter, trading: Any) -> None:
    trading.day()
    trading.tell()
    page = enter("operator", "/")
    page.get_by_role("button", name="Kill…").click()
    expect(page.locator(".lead")).to_contain_text("ACME_USA_SIM_01: 2 positions, 2 orders")
    page.get_by_label("Type “").fill("KILL")
    page.get_by_role("button", name="Kill now").click()
    expect(page.locator(".faults")).to_contain_text(f"Type {WORDS} to confirm")
    page.get_by_label("Type “").fill(WORDS)
    page.get_by_role("button", name="Kill now").click()
    steps = page.locator(".kill-steps")
    expect(steps).to_contain_text("Entries blocked waits")
    expect(page.get_by_role("button", name="Kill…")).to_have_count(0)
    trading.start_kill()
    expect(steps).to_contain_text("operator: asked for on the page")  # not: the supervisor
    expect(steps.locator("[aria-current]")).to_contain_text("Orders cancelled")
    expect(page.locator("#bot-state")).to_have_text("bot closing positions")
    expect(page.locator("#live-said")).to_have_text("bot closing positions")
    trading.step("orders_cancelled", "2 open orders of trading")
    expect(steps.locator("[aria-current]")).to_contain_text("Trading positions sold")
    trading.step("positions_sold", "110 ALFA, 20 BRVO")
    trading.latch()
    expect(steps).to_contain_text("trading holds nothing more, as the broker says")
    expect(page.locator("#bot-state")).to_have_text("bot killed")
    expect(page.locator("#controls")).to_contain_text("An admin resets it.")


def test_a_kill_is_reset_without_script(enter: Enter, trading: Any) -> None:
    trading.start_kill()
    trading.latch()
    page = enter("admin", "/", java_script_enabled=False)
    page.get_by_role("button", name="Reset the kill switch…").click()
    page.get_by_label("Reason").fill("looked at")
    page.get_by_label("Type “").fill("RESET ACME_USA_SIM_01")
    page.get_by_role("button", name="Reset the kill switch").click()
    expect(page.locator("main")).to_contain_text("The kill is reset.")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("main")).to_contain_text("The start is asked for")


def test_who_is_signed_out_is_led_to_the_door(enter: Enter, provisioned: Any, trading: Any) -> None:
    trading.open()
    page = enter("viewer", "/")
    expect(page.locator(".following")).to_be_visible()
    with provisioned.people() as people:
        people.sign_out_everywhere(
            provisioned.ids["viewer"], actor=provisioned.ids["admin"], command_id="test:out"
        )
    page.wait_for_url("**/sign-in**")


# In the dark only colours differ.
@pytest.mark.parametrize(
    ("scheme", "options"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})]
)
def test_the_live_page_can_be_used_by_everybody(
    enter: Enter, trading: Any, scheme: Any, options: Any
) -> None:
    trading.day()
    trading.tell()
    page, axe = enter("operator", "/", viewport=NARROW, color_scheme=scheme), Axe()

    def check(place: str) -> None:
        page.goto(place)
        expect(page.locator("h1")).to_be_visible()
        report = axe.run(page, options=options)
        assert report.violations_count == 0, f"{place}\n{report.generate_report()}"
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, place

    check("/")
    check("/control/kill")
    trading.start_kill()
    trading.step("orders_cancelled", "2 open orders of trading", "BRVO-2 is unknown")
    trading.latch("BRVO: 20 left")
    check("/")


def test_print_leaves_the_buttons_out(enter: Enter, trading: Any) -> None:
    trading.day()
    page = enter("operator", "/")
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator(".print-head")).to_be_visible()
    expect(page.locator("#positions-title")).to_be_visible()
