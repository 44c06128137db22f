"""The page of the bearish instruments in a real browser, with script and without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

PASSWORDS = {"admin": "lantern orchid nimda walnut"}


def opened(browser: Browser, address: str, script: bool, scheme: Any) -> Page:
    context = browser.new_context(
        base_url=address, java_script_enabled=script, color_scheme=scheme,
        viewport={"width": 1280, "height": 1500},
    )  # fmt: skip
    context.set_default_timeout(8000)
    page = context.new_page()
    page.goto("/bearish")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORDS["admin"])
    page.get_by_role("button", name="Sign in").click()
    return page


@pytest.mark.parametrize(("script", "scheme"), [(True, "light"), (False, "dark")])
def test_a_fund_is_mapped(
    bot_address: str, browser: Browser, tmp_path: Path, script: bool, scheme: str
) -> None:
    page = opened(browser, bot_address, script, scheme)
    expect(page.locator("nav[aria-label=Pages] [aria-current=page]")).to_contain_text("Bearish")
    page.get_by_role("button", name="Save the mapping").click()
    expect(page.locator(".field.bad")).to_have_count(4)
    kept = Path(os.environ.get("SCREENSHOTS", tmp_path))
    page.screenshot(path=kept / f"bearish-faults-{scheme}.png", full_page=True)
    page.get_by_label("Weak symbol").fill("qqq")
    page.get_by_label("Inverse ETF", exact=True).fill("sqqq")
    page.get_by_label("Leverage").fill("3")
    page.get_by_label("Reason").fill("its prospectus of May")
    page.get_by_role("button", name="Save the mapping").click()
    expect(page.locator(".notice")).to_contain_text("QQQ is mapped to SQQQ")
    expect(page.locator("table", has_text="Leverage")).to_contain_text("SQQQ")
    page.screenshot(path=kept / f"bearish-{scheme}.png", full_page=True)
    if script:
        found = Axe().run(page).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
