"""Defense mode and the mail page in a real browser: switched by the form, readable by everybody."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from runtime.alert_status import AlertsStatus

Enter = Callable[..., Page]


def told(bot: Any, **fields: Any) -> None:
    now = bot.clock.now()
    own: dict[str, Any] = {
        "at": now, "on": ("NOTIFY_ON_FAILURE",), "recipients": 2, "sent": 41, "mails": 7,
        "waiting": 3, "off": 12, "last_sent": now, "failing": True, "next_try": now,
        "error": "The mail server mail.example.org:587 did not take the mail (it refuses the user "
        "name or the password).", "error_at": now,
    }  # fmt: skip
    bot.folder.alerts.write_bytes(msgspec.json.encode(AlertsStatus(**(own | fields))))


def look(page: Page, name: str) -> None:
    assert Axe().run(page).violations_count == 0
    if place := os.environ.get("SHOTS"):
        page.screenshot(path=Path(place) / f"{name}.png", full_page=True)


def test_defense_mode_is_switched_and_shown(enter: Enter, provisioned: Any, trading: Any) -> None:
    trading.day()
    told(provisioned)
    page = enter("operator", "/")
    page.get_by_text("Defense mode…").click()
    page.get_by_role("button", name="Switch defense mode on").click()
    expect(page.locator(".faults")).to_contain_text("Nothing was switched")
    look(page, "defense")
    page.get_by_label("Reason").fill("news at noon")
    page.get_by_role("button", name="Switch defense mode on").click()
    expect(page.locator("#live")).to_contain_text("Defense mode: on by hand since")
    look(page, "today")


def test_the_mail_page(enter: Enter, provisioned: Any) -> None:
    told(provisioned)
    page = enter("admin", "/settings/mail", color_scheme="dark")
    expect(page.locator("h1")).to_have_text("Mail")
    look(page, "mail-dark")
    narrow = enter("admin", "/settings/mail", viewport={"width": 360, "height": 740})
    wide = narrow.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360
    look(narrow, "mail-narrow")
