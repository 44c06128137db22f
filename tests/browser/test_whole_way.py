"""From the empty folder to a bot in use, in one browser: set-up, a setting, an account, a user, a
role that is denied, a password that is set anew."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from config.paths import DataFolder
from runtime.queries import Queries
from runtime.setup_token import new_token

ADMIN, VIEWER, LATER = "four unrelated words here", "violet harbour candle", "copper meadow lantern"


def enter(browser: Browser, address: str) -> Page:
    context = browser.new_context(base_url=address)
    context.set_default_timeout(20_000)
    return context.new_page()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(password)
    press(page, "Sign in")
    page.wait_for_url(re.compile(r"/$"))


def set_up(page: Page, token: str) -> None:
    page.goto(f"/setup?token={token}")
    page.get_by_label("Entity", exact=True).fill("ACME")
    for _ in range(5):  # identity, broker, market data, mail, settings: the defaults will do
        press(page, "Go on")
    page.get_by_label("Paste the key", exact=True).fill(page.locator("code.once").inner_text())
    press(page, "Go on")
    press(page, "Set up the bot")
    page.wait_for_url("**/setup/admin")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password", exact=True).fill(ADMIN)
    page.get_by_label("The password again").fill(ADMIN)
    press(page, "Register")
    page.wait_for_url("**/sign-in*")


def change_a_setting(page: Page) -> None:
    page.goto("/settings")
    page.locator("#MAX_TRADES").fill("7")
    press(page, "Show the difference")
    expect(page.locator("table.changes")).to_contain_text("MAX_TRADES")
    press(page, "Save these changes")
    expect(page.locator("#MAX_TRADES")).to_have_value("7")


def rename_an_account(page: Page) -> None:
    page.goto("/accounts/account/1010")
    page.locator("#rename-name").fill("Trading cash")
    page.locator("#rename-reason").fill("the bank calls it so")
    press(page, "Rename")
    expect(page.locator("main")).to_contain_text("Trading cash")


def make_a_user(page: Page, name: str) -> str:
    """The one-time link that sets the first password."""
    page.goto("/users/new")
    page.get_by_label("User name").fill(name)
    press(page, "Register")
    return page.locator("code.once").inner_text()


def choose_password(page: Page, link: str, password: str) -> None:
    page.goto(link)
    for field in page.locator("input[type=password]").all():
        field.fill(password)
    page.locator("main button").first.click()
    page.wait_for_url("**/sign-in*")


def test_the_whole_way(browser: Browser, empty: tuple[str, DataFolder]) -> None:
    address, folder = empty
    anna, boris = enter(browser, address), enter(browser, address)

    set_up(anna, new_token(folder))
    sign_in(anna, "anna", ADMIN)
    expect(anna.locator("main")).to_contain_text("ACME_USA_SIM_01 is set up and idle")

    change_a_setting(anna)
    rename_an_account(anna)

    choose_password(boris, make_a_user(anna, "boris"), VIEWER)
    sign_in(boris, "boris", VIEWER)
    denied = boris.goto("/users")
    assert denied is not None
    assert denied.status == 403
    expect(boris.locator("main")).to_contain_text("admin")

    anna.goto("/users")
    anna.get_by_role("link", name="boris").click()
    press(anna, "Make a one-time link")
    choose_password(boris, anna.locator("code.once").inner_text(), LATER)
    sign_in(boris, "boris", LATER)

    anna.goto("/users")
    anna.get_by_role("link", name="boris").click()
    anna.get_by_label("New role").select_option("accountant")
    anna.locator("#change_role-reason").fill("keeps the books")
    press(anna, "Change the role")
    expect(anna.locator("main .lead .chip")).to_have_text("accountant")

    # all of it is history, and the history holds
    anna.goto("/history")
    for what in ("User.", "ChartOfAccounts.Changed", "Configuration.Changed", "Keys.Rotated"):
        assert what in anna.content(), what
    anna.context.close()
    boris.context.close()
    queries = Queries(folder)
    assert queries.verify_now().intact
    queries.close()
