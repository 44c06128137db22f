"""What stands around every page in a real browser: slider, keys, narrow screens, print, jobs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from web import navigation, proof
from web.shared import NAME

NARROW = {"width": 360, "height": 740}
PATIENCE_S = 10
Enter = Callable[..., Page]


@pytest.fixture
def look(browser: Browser, address: str) -> Iterator[Enter]:
    """`look(place)` opens a page of the sample's books."""
    contexts = []

    def opened(place: str, **options: Any) -> Page:
        contexts.append(browser.new_context(base_url=address, **options))
        contexts[-1].set_default_timeout(5000)
        page = contexts[-1].new_page()
        page.goto(place)
        return page

    yield opened
    for context in contexts:
        context.close()


def test_the_slider_goes_to_a_moment_by_keys(look: Enter) -> None:
    page = look("/ledger")
    slider = page.get_by_role("slider", name="As it stood")
    expect(page.locator(".travel select")).to_be_hidden()
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".travel output")).to_have_text("Tue 8 Oct 2013, close: press Enter")
    assert slider.get_attribute("aria-valuetext") == "Tue 8 Oct 2013, close"
    assert page.url.endswith("/ledger")  # nothing moves under who only looks along it
    page.keyboard.press("Enter")
    page.wait_for_url("**/ledger?known_at=52")
    expect(page.locator(".clocks .moment")).to_contain_text("known at event 52")
    expect(page.locator(".clocks .moment")).to_contain_text("read only")


def test_the_slider_dragged_goes_there_at_once_and_back_to_now(look: Enter) -> None:
    page = look("/ledger?as_of=2013-10-08")
    page.get_by_role("slider", name="As it stood").fill("1")
    page.wait_for_url("**/ledger?known_at=28")  # as it stood: the effective clock is free again
    page.get_by_role("slider", name="As it stood").fill("4")
    page.wait_for_url(re.compile(r"/ledger\??$"))


def test_without_script_the_moments_are_a_list(look: Enter) -> None:
    page = look("/ledger", java_script_enabled=False)
    page.get_by_label("As it stood").select_option(label="Tue 8 Oct 2013, close")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".clocks .moment")).to_contain_text("known at event 52")


def test_words_typed_into_the_clocks_are_settled(look: Enter) -> None:
    page = look("/ledger")
    page.keyboard.press("t")
    page.keyboard.type("2013-10")
    page.keyboard.press("Enter")
    expect(page.locator(".clocks .moment")).to_contain_text("As of Thu 31 Oct 2013")
    assert page.get_by_label("As of").input_value() == "2013-10-31"


def test_on_a_narrow_screen_the_clocks_wait_behind_one_line(look: Enter) -> None:
    page = look("/ledger", viewport=NARROW)
    expect(page.get_by_label("As of")).to_be_hidden()
    page.keyboard.press("t")
    expect(page.get_by_label("As of")).to_be_focused()
    expect(look("/ledger?as_of=x", viewport=NARROW).get_by_label("As of")).to_be_visible()


def test_the_first_stop_of_the_keyboard_skips_the_header(look: Enter) -> None:
    page = look("/ledger")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Trial balance")).to_be_focused()


def test_print_repeats_heads_and_leaves_the_controls_out(look: Enter) -> None:
    page = look("/history?after=0", color_scheme="dark")
    page.emulate_media(media="print")
    style = "(e) => getComputedStyle(e).display"
    assert page.locator(".sheet thead").evaluate(style) == "table-header-group"
    for part in (".ribbon", ".clocks", ".bar", "footer.site", ".pager >> nth=0"):
        expect(page.locator(part)).to_be_hidden()
    head = page.locator(".print-head")
    for said in ("DEMO_USA_SIM_01", "TEST, demo books", "US/Eastern", "event 66", "TradeBot 0.1"):
        expect(head).to_contain_text(said)
    # ink on paper, also for who reads in the dark
    assert page.locator("body").evaluate("(e) => getComputedStyle(e).color") == "rgb(0, 0, 0)"
    made = page.pdf(format="A4", prefer_css_page_size=True)
    assert made.startswith(b"%PDF")
    assert made.count(b"/Type /Page\n") >= 2


def test_no_page_of_the_header_is_wider_than_a_narrow_screen(
    enter: Enter, provisioned: Any
) -> None:
    page, there = enter("admin", "/", viewport=NARROW), provisioned.app.view_functions
    with provisioned.app.test_request_context():
        pages = [p.endpoint for p in navigation.PAGES if p.endpoint in there]
        places = [provisioned.app.url_for(endpoint) for endpoint in pages]
    assert len(places) >= 9
    for place in [*places, "/verify", "/jobs", "/help", "/nowhere", "/ledger?known_at=9"]:
        page.goto(place)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, place


# In the dark only colours differ. Pages with forms of their own are looked at by their own tests.
@pytest.mark.parametrize(
    ("scheme", "options", "places"),
    [
        ("light", {}, ("/", "/jobs", "/ledger?known_at=9", "/nowhere")),
        ("dark", {"runOnly": ["color-contrast"]}, ("/jobs", "/ledger?known_at=9")),
    ],
)
def test_the_shell_can_be_used_by_everybody_on_a_narrow_screen(
    enter: Enter, scheme: Any, options: Any, places: tuple[str, ...]
) -> None:
    page, axe = enter("admin", "/", viewport=NARROW, color_scheme=scheme), Axe()
    for place in places:
        page.goto(place)
        report = axe.run(page, options=options)
        assert report.violations_count == 0, f"{place}\n{report.generate_report()}"


def test_a_job_is_followed_without_loading_the_page_again(
    enter: Enter, provisioned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = provisioned.app.extensions[NAME].verifier
    go_on, verify = threading.Event(), verifier._queries.verify_now

    def slow(progress: Any) -> Any:
        progress(8, 16)
        assert go_on.wait(PATIENCE_S)
        return verify(progress)

    monkeypatch.setattr(verifier._queries, "verify_now", slow)
    monkeypatch.setattr(proof, "PATIENCE_S", 0)
    page = enter("operator", "/verify")
    expect(page.locator("#verification")).to_contain_text("8 of")
    page.get_by_role("link", name="Days", exact=True).click()
    expect(page.locator("#jobs")).to_contain_text("Verification 8 of")
    expect(page.locator("#jobs").get_by_role("button", name="Cancel")).to_be_visible()
    go_on.set()
    expect(page.locator("#jobs")).to_contain_text("done")
    expect(page.locator("#badge")).to_contain_text("verified to")
