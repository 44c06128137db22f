"""The pages of the screens in a real browser, with script and without, light and dark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from beside import beside
from playwright.sync_api import Page, expect

screened = beside("browser/screened")


def fault_free(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize(("script", "scheme"), [(True, "light"), (False, "dark")])
def test_screens_are_read_and_a_symbol_is_blocked(
    enter: Callable[..., Page], trading: Any, tmp_path: Path, script: bool, scheme: str
) -> None:
    kept = Path(os.environ.get("SCREENSHOTS", tmp_path))
    trading.open()
    screened.candidates(trading)
    screened.candidates(trading, "MID", rows=[], mode="intraday", said="Finnhub gave no answer.")
    screened.universe(trading)
    page = enter(
        "operator", "/screens", java_script_enabled=script, color_scheme=scheme,
        viewport={"width": 1280, "height": 1200},
    )  # fmt: skip
    expect(page.locator("nav[aria-label=Pages] [aria-current=page]")).to_contain_text("Screens")
    expect(page.locator("#of-open")).to_contain_text("2 of 4 securities looked at")
    page.screenshot(path=kept / f"screens-{scheme}.png", full_page=True)
    if script:
        page.get_by_text("The rejected with their facts").click()
        fault_free(page)
    page.get_by_role("link", name="Universe", exact=True).click()
    expect(page.locator("nav.pager .where")).to_have_text("1 to 100 of 250")
    page.screenshot(path=kept / f"screens-universe-{scheme}.png")
    page.get_by_role("link", name="After").click()
    expect(page.locator("nav.pager .where")).to_have_text("101 to 200 of 250")
    page.get_by_role("link", name="Blocklist", exact=True).click()
    page.get_by_role("button", name="Block it").click()
    expect(page.locator(".field.bad")).to_have_count(2)
    page.screenshot(path=kept / f"screens-blocklist-faults-{scheme}.png", full_page=True)
    page.get_by_label("Symbol").fill("alfa")
    page.get_by_label("Reason").fill("a lawsuit")
    page.get_by_role("button", name="Block it").click()
    expect(page.locator(".notice")).to_contain_text("ALFA is blocked from the next entry on")
    expect(page.locator("table").first).to_contain_text("a lawsuit")
    page.screenshot(path=kept / f"screens-blocklist-{scheme}.png", full_page=True)
    if script:
        fault_free(page)
