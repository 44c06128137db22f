"""From the empty folder to the dashboard in a real browser: with script and without, by axe too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from config.paths import DataFolder
from runtime.setup_token import new_token

PASSWORD = "four unrelated words here"  # noqa: S105 - of a throw-away bot
STEPS = ("Identity and zone", "Broker", "Market data", "Mail", "Settings", "Recovery key")


class Newcomer:
    """Goes through the set-up, and looks at each page with axe when there is script."""

    def __init__(self, page: Page, scheme: str, script: bool) -> None:
        self.page, self.options, self.script = page, {}, script
        self.fields = 0
        if scheme == "dark":  # there only colours differ
            self.options = {"runOnly": ["color-contrast"]}

    def sees(self, title: str) -> None:
        expect(self.page.locator("h1")).to_have_text(title)
        if self.script:
            self.page.mouse.move(0, 0)  # off the button, whose colours are on their way back
            self.page.wait_for_timeout(300)
            report = Axe().run(self.page, options=self.options)
            assert report.violations_count == 0, f"{title}\n{report.generate_report()}"

    def types(self, label: str, text: str) -> None:
        self.fields += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def presses(self, name: str) -> None:
        self.page.get_by_role("button", name=name).first.click()

    def sets_up(self) -> None:
        self.sees(STEPS[0])
        self.presses("Go on")  # an entity must be named: the browser holds the form back
        self.sees(STEPS[0])
        self.types("Entity", "ACME")
        self.presses("Go on")
        for title in STEPS[1:5]:
            self.sees(title)
            self.presses("Go on")
        self.sees(STEPS[5])
        self.types("Paste the key", self.page.locator("code.once").inner_text())
        self.presses("Go on")
        self.sees("Check and set up")
        self.presses("Set up the bot")

    def registers(self) -> None:
        self.page.wait_for_url("**/setup/admin")
        self.sees("First admin")
        self.types("User name", "anna")
        self.types("Password", PASSWORD)
        self.types("The password again", PASSWORD)
        self.presses("Register")
        self.page.wait_for_url("**/sign-in*")

    def signs_in(self) -> None:
        self.page.get_by_label("User name").fill("anna")
        self.page.get_by_label("Password").fill(PASSWORD)
        self.presses("Sign in")
        self.sees("No session yet")


@pytest.mark.parametrize(("scheme", "script"), [("light", True), ("dark", True), ("light", False)])
def test_a_newcomer_gets_to_the_dashboard(
    browser: Browser, empty: tuple[str, DataFolder], scheme: Any, script: bool
) -> None:
    address, folder = empty
    context = browser.new_context(
        base_url=address, color_scheme=scheme, java_script_enabled=script,
        viewport={"width": 1100, "height": 900},
    )  # fmt: skip
    context.set_default_timeout(20_000)
    page, faults = context.new_page(), list[str]()
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    newcomer = Newcomer(page, scheme, script)
    page.goto("/")
    newcomer.sees("This bot is not set up yet")
    page.goto(f"/setup?token={new_token(folder)}")
    newcomer.sets_up()
    newcomer.registers()
    newcomer.signs_in()
    expect(page.locator("main")).to_contain_text("ACME_USA_SIM_01 is set up and idle")
    assert newcomer.fields == 5, "entity, recovery key, name and the password twice"
    assert not faults
    context.close()


def test_narrow_pages_do_not_scroll_sideways_and_the_key_can_be_kept_as_a_file(
    browser: Browser, empty: tuple[str, DataFolder], tmp_path: Path
) -> None:
    address, folder = empty
    context = browser.new_context(base_url=address, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"/setup?token={new_token(folder)}")
    for place in ("step/identity", "step/broker", "step/settings", "summary", "recovery"):
        page.goto(f"/setup/{place}")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, place
    with page.expect_download() as download:
        page.get_by_role("button", name="Download it as a file").click()
    kept = tmp_path / "kept.txt"
    download.value.save_as(kept)
    page.get_by_label("Or choose the file").set_input_files(kept)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/setup/summary")
    context.close()
