"""The chart of accounts in a real browser: live check, edits, two people, the past, no script."""

from __future__ import annotations

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

Enter = Callable[..., Page]


def form(page: Page, button: str) -> Locator:
    """The form that this button sends."""
    return page.locator("form", has=page.get_by_role("button", name=button, exact=True))


def send(page: Page, button: str, reason: str = "asked for") -> None:
    found = form(page, button)
    found.get_by_label("Reason").fill(reason)
    found.get_by_role("button", name=button, exact=True).click()


def row(page: Page, name: str) -> Locator:
    return page.locator("table.tree tr", has_text=name)


def create(page: Page, code: str, name: str, under: str = "", kind: str = "expense") -> None:
    page.goto("/accounts/new")
    page.get_by_label("Code").fill(code)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Type").select_option(kind)
    page.get_by_label("Under").select_option(under)
    send(page, "Create account")
    expect(page.locator("main .notice")).to_contain_text(f"Account {code} was created.")


def test_an_account_is_checked_while_one_types_and_created(enter: Enter) -> None:
    page = enter("accountant", "/accounts")
    page.get_by_role("button", name="New account").click()
    page.get_by_label("Code").press_sequentially("1010")
    expect(page.locator("#new-code-fault")).to_have_text("1010 is taken by Cash float; a code is "
                                                         "never used again.")  # fmt: skip
    page.get_by_label("Code").fill("5080")
    expect(page.locator("#new-code-fault")).to_be_empty()
    page.get_by_label("Name", exact=True).fill("dividends")
    expect(page.locator("#new-name-fault")).to_contain_text("4030 is called Dividends already")
    expect(page.locator("#new-reason-fault")).to_contain_text("Say why")  # nothing is saved without
    page.get_by_label("Name", exact=True).fill("Data feeds")
    page.get_by_label("Type").select_option("expense")
    page.get_by_label("Under").select_option("1010")
    expect(page.locator("#new-parent-fault")).to_contain_text("1010 above it of type asset")
    page.get_by_label("Under").select_option("5020")
    expect(page.locator("#new-parent-fault")).to_be_empty()
    page.get_by_role("button", name="Create account").click()
    expect(page.locator(".faults")).to_contain_text("Say why")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Data feeds")
    send(page, "Create account", "apart from broker's fees")
    expect(page.locator("h1")).to_contain_text("Data feeds")
    page.goto("/accounts")
    expect(row(page, "Data feeds")).to_contain_text("5080")
    expect(page.locator("tr.depth-2", has_text="Data feeds")).to_be_visible()
    expect(row(page, "Regulatory and broker fees")).to_contain_text("with those under it")
    row(page, "Cash float").get_by_role("link", name="100,000.00").click()
    expect(page.locator("h1")).to_contain_text("Cash float")


def test_rename_remap_and_what_is_refused(enter: Enter) -> None:
    page = enter("admin", "/accounts")
    create(page, "5080", "Data feeds")
    form(page, "Rename").get_by_label("Name").fill("Market data")
    send(page, "Rename")
    expect(page.locator("h1")).to_contain_text("Market data")
    page.goto("/accounts/roles")
    page.get_by_role("link", name="Change fees", exact=True).click()
    page.get_by_label("From now on").select_option("5080")
    send(page, "Map to this account")
    expect(page.locator("main .notice")).to_contain_text("From now on the role fees posts to 5080")
    page.goto("/accounts/account/5080")
    expect(page.locator("#deactivate-code")).to_contain_text("The role fees posts to 5080")
    expect(page.get_by_role("button", name="Deactivate")).to_have_count(0)
    create(page, "1020", "Second cash", kind="asset")
    page.goto("/accounts/role/cash_float")
    page.get_by_label("From now on").select_option("1020")
    expect(page.locator("#map-code-fault")).to_contain_text("1010 still holds 100,000.00")
    send(page, "Map to this account")
    expect(page.locator(".faults")).to_contain_text("which would stay there")
    page.goto("/accounts/account/5020")
    send(page, "Deactivate")
    expect(page.locator("h1")).to_contain_text("inactive")
    page.goto("/accounts/difference?from=1&to=3")
    expect(page.locator("main ul").last).to_contain_text("Account 5080 Market data was added")
    expect(page.locator("table.sides tr.added")).to_contain_text("5080")


def test_the_second_of_two_people_loses_nothing(enter: Enter) -> None:
    mine, theirs = enter("accountant", "/accounts"), enter("admin", "/accounts")
    for page in (mine, theirs):
        page.goto("/accounts/account/5020")
    form(mine, "Rename").get_by_label("Name").fill("Fees")
    send(mine, "Rename", "shorter")
    expect(mine.locator("h1")).to_contain_text("Fees")
    form(theirs, "Rename").get_by_label("Name").fill("Broker fees")
    send(theirs, "Rename", "clearer")
    told = theirs.locator(".notice.warn")
    expect(told).to_contain_text("Somebody changed the chart since you saw version 1.")
    expect(told).to_contain_text("Regulatory and broker fees → Fees")
    expect(form(theirs, "Rename").get_by_label("Name")).to_have_value("Broker fees")
    expect(form(theirs, "Rename").get_by_label("Reason")).to_have_value("clearer")
    form(theirs, "Rename").get_by_role("button").click()
    expect(theirs.locator("h1")).to_contain_text("Broker fees")
    theirs.goto("/accounts/versions")
    expect(theirs.locator("tbody tr")).to_have_count(3)
    expect(theirs.locator("tbody tr").first).to_contain_text("clearer")


def test_without_script_and_in_the_past(enter: Enter) -> None:
    page = enter("accountant", "/accounts", java_script_enabled=False)
    create(page, "5080", "Data feeds")
    page.goto("/accounts/versions")
    page.get_by_role("link", name="1", exact=True).click()
    expect(page.locator("main")).to_contain_text("it is changed in the present only")
    expect(page.locator("main")).not_to_contain_text("Data feeds")
    expect(page.get_by_role("button", name="New account")).to_have_count(0)
    expect(page.get_by_role("link", name="Change 1010")).to_have_count(0)


PLACES = (
    "/accounts", "/accounts/new", "/accounts/account/5080", "/accounts/roles",
    "/accounts/role/fees", "/accounts/versions", "/accounts/difference", "/accounts?known_at=5",
)  # fmt: skip


def test_the_pages_can_be_used_by_everybody(enter: Enter) -> None:
    """No violation in light and dark, nothing wider than a phone."""
    page, axe = enter("accountant", "/accounts"), Axe()
    create(page, "5080", "Data feeds", under="5020")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto("/accounts/account/5080")
        form(page, "Rename").get_by_label("Name").fill("")
        send(page, "Rename")
        expect(page.locator(".faults")).to_be_visible()
        report = axe.run(page)
        assert report.violations_count == 0, f"faults, {scheme}\n{report.generate_report()}"
        for place in PLACES if scheme == "light" else PLACES[::2]:
            page.goto(place)
            report = axe.run(page, options={"runOnly": ["color-contrast"]} if scheme == "dark"
                             else None)  # fmt: skip
            assert report.violations_count == 0, f"{place}, {scheme}\n{report.generate_report()}"
    page.set_viewport_size({"width": 390, "height": 800})
    for place in PLACES:
        page.goto(place)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, place
