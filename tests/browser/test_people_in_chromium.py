"""People in a real browser, over http on this machine: the `__Host-` cookie is kept there too."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

PASSWORDS = {"admin": "lantern orchid nimda walnut", "eve": "harbour violin compass"}


def visitor(browser: Browser, address: str, *, script: bool = True) -> Page:
    context = browser.new_context(base_url=address, java_script_enabled=script)
    context.set_default_timeout(8000)
    return context.new_page()


def sign_in(page: Page, name: str) -> None:
    page.goto("/users")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORDS[name])
    page.get_by_role("button", name="Sign in").click()


def fault_free(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize("script", [True, False])
def test_a_user_is_made_sets_a_password_and_is_denied_what_the_role_denies(
    bot_address: str, browser: Browser, script: bool
) -> None:
    admin, eve = (visitor(browser, bot_address, script=script) for _ in range(2))
    sign_in(admin, "admin")
    expect(admin.locator("h1")).to_contain_text("Users")  # where one wanted to go
    admin.get_by_role("button", name="New user").or_(
        admin.get_by_role("link", name="New user")
    ).click()
    admin.get_by_label("User name").fill("eve")
    admin.get_by_role("button", name="Register").click()
    expect(admin.locator("h1")).to_contain_text("eve")
    link = admin.locator("code.once").inner_text()
    admin.reload()
    expect(admin.locator("code.once")).to_have_count(0)

    eve.goto(link)
    eve.get_by_label("New password").fill(PASSWORDS["eve"])
    eve.get_by_label("The same again").fill(PASSWORDS["eve"])
    eve.get_by_role("button", name="Set the password").click()
    expect(eve.locator(".notice")).to_contain_text("The password is set")
    sign_in(eve, "eve")
    expect(eve.locator("h1")).to_contain_text("Not allowed")  # led to /users, as a viewer
    expect(eve.locator("main")).to_contain_text("admin")
    expect(eve.locator("nav[aria-label=Pages]")).not_to_contain_text("Users")
    eve.get_by_role("button", name="Sign out").click()
    expect(eve.locator(".notice")).to_contain_text("You are signed out")
    eve.goto("/ledger")
    expect(eve.locator("h1")).to_contain_text("Sign in")
    for page in (admin, eve):
        page.context.close()


def test_the_pages_about_people_have_no_fault_of_access(
    bot_address: str, browser: Browser, provisioned: Any
) -> None:
    page = visitor(browser, bot_address)
    page.goto("/sign-in")
    fault_free(page)
    sign_in(page, "admin")
    user = f"/users/{provisioned.ids['viewer']}"
    for place in (
        "/account", "/account/second-factor", "/users", "/users/new", user, "/activity",
    ):  # fmt: skip
        page.goto(place)
        expect(page.locator("h1")).to_be_visible()
        fault_free(page)
    page.context.close()
