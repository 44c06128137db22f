"""The pages in a real browser, from a real server: script, no script, keys, both clocks, access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

MAIN_PAGES = (
    "/", "/day/2013-10-07", "/days", "/ledger", "/ledger/journal", "/ledger/account/1110.ALFA",
    "/ledger/difference?period=2013-10&since=40", "/history", "/history/18", "/history/24",
    "/verify", "/help",
)  # fmt: skip


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    found = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
    found.set_default_timeout(5000)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page; at the end nothing may stand in the console, refusals of the policy included."""
    found, faults = context.new_page(), []
    found.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    found.on("pageerror", lambda e: faults.append(str(e)))
    found.on("requestfailed", lambda r: faults.append(r.url) if _refused(r) else None)
    yield found
    assert not faults


def _refused(request: Request) -> bool:
    """A request that leaving the page cut off was not refused."""
    return request.failure != "net::ERR_ABORTED"


def opened(page: Page, title: str) -> None:
    """The page with that title is there and its script has run."""
    expect(page.locator("h1")).to_contain_text(title)
    page.wait_for_function("() => document.readyState === 'complete'")


def moment(page: Page) -> str:
    return page.locator(".clocks .moment").inner_text()


def test_the_pages_run_clean_and_the_badge_comes_by_itself(page: Page) -> None:
    for address in MAIN_PAGES:
        page.goto(address)
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("#badge")).to_contain_text("verified to 66")
    assert page.evaluate("() => document.styleSheets.length") >= 2


def test_the_curve_is_drawn(page: Page) -> None:
    page.goto("/day/2013-10-08")
    expect(page.locator("figure.drawn canvas")).to_be_visible()
    expect(page.locator(".plot > svg")).to_be_hidden()
    drawn = page.evaluate(
        """() => {
            const c = document.querySelector("figure canvas");
            const pixels = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            return pixels.filter((v, i) => i % 4 === 3 && v > 0).length;
        }"""
    )
    assert drawn > 1000
    page.locator(".u-over").hover()
    expect(page.locator(".u-legend")).to_contain_text("100,248.65")
    expect(page.locator(".u-legend")).to_contain_text("EDT")


def test_both_clocks_stay_from_page_to_page(page: Page) -> None:
    page.goto("/ledger")
    page.get_by_label("As of").fill("2013-10-08")
    page.get_by_label("Known at").fill("64")
    page.get_by_role("button", name="Show").click()
    assert "as_of=2013-10-08&known_at=64" in page.url
    assert "As of Tue 8 Oct 2013, known at event 64" in moment(page)
    assert "read only" in moment(page)
    page.get_by_role("link", name="4010").click()
    expect(page.locator("dl.figures")).to_contain_text("236.50")
    page.get_by_role("link", name="Whole entries of this account").click()
    page.get_by_role("link", name="#47").click()
    assert "/history/47?as_of=2013-10-08&known_at=64" in page.url
    page.get_by_role("link", name="Today").click()
    expect(page.locator("h1")).to_have_text("Tuesday 8 October 2013")
    page.get_by_role("link", name="Back to now").click()
    expect(page.locator("h1")).to_have_text("Wednesday 9 October 2013")
    assert "?" not in page.url


def test_an_empty_clock_does_not_stand_in_the_address(page: Page) -> None:
    page.goto("/ledger/journal?account=1010")
    page.get_by_label("As of").fill("2013-10-07")
    page.get_by_role("button", name="Show").click()
    assert page.url.endswith("/ledger/journal?account=1010&as_of=2013-10-07")


def test_from_the_journal_to_the_event_and_back(page: Page) -> None:
    page.goto("/ledger/journal")
    entry = page.locator("tbody.entry", has_text="Re-cost of event 47")
    entry.get_by_role("link", name="#47").click()
    expect(page.locator("h1")).to_have_text("Order.Filled")
    expect(page.get_by_text("Sold 500 ALFA at 26.05")).to_be_visible()
    page.go_back()
    expect(page.locator("h1")).to_contain_text("Journal")


def test_keys_lead_around(page: Page) -> None:
    page.goto("/")
    for keys, title in (("gl", "Trial balance"), ("ge", "History"), ("gd", "Days"), ("gt", "Wed")):
        for key in keys:
            page.keyboard.press(key)
        opened(page, title)
    page.keyboard.press("[")
    opened(page, "Tuesday 8 October 2013")
    page.keyboard.press("]")
    opened(page, "Wednesday 9 October 2013")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    expect(page.locator("#help-title")).to_be_in_viewport()  # not scrolled down to its end
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("t")
    expect(page.get_by_label("As of")).to_be_focused()


def test_keys_typed_into_a_field_are_only_text(page: Page) -> None:
    page.goto("/history")
    field = page.get_by_label("Text in the payload")
    field.press_sequentially("gl[?")
    expect(field).to_have_value("gl[?")
    assert page.url.endswith("/history")
    expect(page.locator("#help")).to_be_hidden()


def test_a_session_back_in_the_ledger(page: Page) -> None:
    page.goto("/ledger")
    page.keyboard.press("[")
    page.wait_for_url("**/ledger?as_of=2013-10-08")
    opened(page, "Trial balance")
    page.keyboard.press("]")
    page.wait_for_url("**/ledger?as_of=2013-10-09")


def test_everything_is_there_without_script(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/day/2013-10-08")
    expect(page.locator(".plot > svg")).to_be_visible()
    page.locator("summary", has_text="Figures of this curve").click()
    expect(page.get_by_role("cell", name="session close")).to_be_visible()
    seen, waiting = set[str](), ["/"]
    kinds = {"/", "/days", "/day/", "/ledger", "/ledger/journal", "/ledger/account/",
             "/ledger/difference", "/history", "/history/", "/verify", "/help"}  # fmt: skip
    while waiting and not kinds <= seen:
        page.goto(waiting.pop(0))
        for link in page.locator("a[href^='/']").all():
            target = str(link.get_attribute("href")).partition("?")[0]
            stem, _, last = target.rpartition("/")
            kind = f"{stem}/" if stem in ("/day", "/history", "/ledger/account") else target
            if kind not in seen and last is not None:
                seen.add(kind)
                waiting.append(target)
    assert kinds <= seen
    page.goto("/ledger")
    page.get_by_label("As of").fill("2013-10-07")
    page.get_by_role("button", name="Show").click()
    assert "As of Mon 7 Oct 2013" in moment(page)
    page.goto("/verify")
    expect(page.locator("main")).to_contain_text("The history is intact.")
    context.close()


KINDS = (
    "/day/2013-10-07", "/days", "/ledger?as_of=2013-10-08", "/ledger/journal",
    "/ledger/difference?period=2013-10&since=40", "/history?after=50", "/history/18", "/verify",
    "/help", "/ledger?as_of=x",
)  # fmt: skip


# In the dark only colours differ.
@pytest.mark.parametrize(
    ("scheme", "options", "places"),
    [("light", {}, KINDS), ("dark", {"runOnly": ["color-contrast"]}, KINDS[::2])],
)
def test_the_pages_can_be_used_by_everybody(
    browser: Browser, address: str, scheme: Any, options: Any, places: tuple[str, ...]
) -> None:
    context = browser.new_context(base_url=address, color_scheme=scheme)
    page, axe = context.new_page(), Axe()
    for place in places:
        page.goto(place)
        report = axe.run(page, options=options)
        assert report.violations_count == 0, f"{place}\n{report.generate_report()}"
    context.close()


def test_narrow_pages_scroll_only_inside_their_tables(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, viewport={"width": 390, "height": 800})
    page = context.new_page()
    for place in MAIN_PAGES:
        page.goto(place)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, place
    context.close()


def test_print_has_a_head_of_its_own(page: Page) -> None:
    page.goto("/ledger?as_of=2013-10-08")
    expect(page.locator(".print-head")).to_be_hidden()
    page.emulate_media(media="print")
    head = page.locator(".print-head")
    expect(head).to_contain_text("DEMO_USA_SIM_01")
    expect(head).to_contain_text("As of Tue 8 Oct 2013")
    assert len(page.locator(".print-head code").inner_text()) == 64
    expect(page.locator(".clocks")).to_be_hidden()
    expect(page.locator("nav[aria-label=Pages]")).to_be_hidden()
