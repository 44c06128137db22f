"""The page of the keys in a real browser: a new signing key, with and without script."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from runtime.key_facts import key_facts


@pytest.fixture
def own_root_key(provisioned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, before the pages are served: that of all copies stays as it is."""
    with provisioned.people() as people:
        root = key_facts(people.custody).root_key
    provisioned.close()
    provisioned._app = provisioned._queries = None
    shutil.copytree(root.parent, tmp_path / "config" / "tradebot")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.usefixtures("own_root_key")
def test_keys_are_changed_and_the_page_has_no_fault_of_access(enter: Callable[..., Page]) -> None:
    page = enter("admin", "/settings")
    page.get_by_role("link", name="Keys", exact=True).click()
    for name, word in (("Introduce a new signing key", "introduce"), ("Change the root key", "")):
        form = page.locator("form", has=page.get_by_role("group", name=name))
        form.get_by_label("Reason").fill("a new machine")
        form.get_by_label("to confirm").fill(word)
        form.get_by_role("button", name=name).click()
        expect(page.locator("h1")).to_contain_text("Keys")
    expect(page.locator(".fault")).to_have_text("Type the word change to confirm")
    fault_free(page)
    page.get_by_label("Type “change” to confirm").fill("change")
    page.get_by_role("button", name="Change the root key").click()
    expect(page.locator(".notice").first).to_contain_text("A new root key is in use")
    expect(page.locator("main table")).to_contain_text("a new machine")
    fault_free(page)


def fault_free(page: Page) -> None:
    found = Axe().run(page).response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
