"""The page of the keys: what it tells, who may, each form's bad input, twice, stale and refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from runtime.custody import Custody
from runtime.key_facts import KeyFacts, key_facts
from runtime.key_renewal import renew_keys
from security.root_key import CREDENTIAL

SEND = {
    "signer": {"reason": "a new machine", "confirm": "introduce"},
    "root": {"reason": "leaked", "confirm": "Change "},
    "renew": {"reason": "once a year"},
}


@pytest.fixture
def bot(provisioned: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """With root keys in a folder of its own: the one of all copies stays as it is."""
    with provisioned.people() as people:
        root = key_facts(people.custody).root_key
    provisioned.close()
    shutil.copytree(root.parent, tmp_path / "config" / "tradebot")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    provisioned._app = provisioned._queries = None
    return provisioned


@contextmanager
def custody_of(bot: Any) -> Iterator[Any]:
    with bot.people() as people:
        yield people.custody


def facts(bot: Any) -> KeyFacts:
    with custody_of(bot) as custody:
        return key_facts(custody)


@pytest.fixture
def admin(bot: Any) -> Any:
    return bot.client("admin")


def seen(page: str, form: str) -> str:
    found = re.search(rf'action="/keys/{form}".*?name="seen" value="([^"]*)"', page, re.DOTALL)
    assert found is not None, f"no form {form}"
    return unescape(found[1])


def send(client: Any, form: str, **typed: str) -> Any:
    """As the page stands, with some fields typed otherwise."""
    return post(client, form, {"seen": seen(client.get("/keys").text, form)} | SEND[form] | typed)


def post(client: Any, form: str, fields: dict[str, str], address: str = "") -> Any:
    """Fields that several forms have bear the name of theirs."""
    own = {f"{form}-{n}" if n in ("reason", "confirm") else n: v for n, v in fields.items()}
    return client.post(address or f"/keys/{form}", data=own)


def test_it_tells_places_and_public_halves_and_no_key(bot: Any, admin: Any) -> None:
    now, html = facts(bot), admin.get("/keys").text
    for told in (
        now.vault, str(now.root_key), now.recovery, now.vkey, "It is the first one",
        f'href="/history/{now.position}"', "restore-keys", f"generation {now.generation}",
    ):  # fmt: skip
        assert told in unescape(html), told
    assert now.root_key.read_bytes().hex() not in html
    assert 'href="/keys"' in admin.get("/settings").text


@pytest.mark.parametrize("role", [None, "viewer", "accountant", "compliance", "operator"])
def test_it_is_for_admins_alone(bot: Any, role: str | None) -> None:
    client, before = bot.client(role), facts(bot)
    wanted = 403 if role else 303
    for answer in (client.get("/keys"), client.get("/keys/introductions/1.json")):
        assert answer.status_code == wanted
    for form, typed in SEND.items():
        assert post(client, form, typed).status_code in (wanted, 403)
    if role:
        assert 'href="/keys"' not in client.get("/settings").text
    assert facts(bot).generation == before.generation


def test_a_new_signing_key_is_introduced_and_waits_for_its_checkpoint(bot: Any, admin: Any) -> None:
    before = facts(bot)
    answer = send(admin, "signer")
    assert (answer.status_code, answer.location) == (303, "/keys")
    now, html = facts(bot), unescape(admin.get("/keys").text)
    assert now.vkey != before.vkey
    assert (now.generation, now.line[0].reason) == (before.generation + 1, "a new machine")
    assert "A new signing key is in force" in html
    assert f"<td><code>{now.vkey}</code></td>" in html
    assert ">admin</td>" in html
    assert "with the next checkpoint" in html
    assert 'action="/keys/signer"' not in html
    assert admin.get("/keys/introductions/1.json").status_code == 404
    proof = bot.folder.signer_proof(1)
    proof.parent.mkdir(parents=True)
    proof.write_text('{"kind": "entry"}')  # as a checkpoint leaves it
    assert "001.json" in admin.get("/keys").text
    assert admin.get("/keys/introductions/1.json").json == {"kind": "entry"}
    assert "introduce" in admin.get("/activity?kind=keys").text


def test_another_one_before_the_checkpoint_is_refused(bot: Any, admin: Any) -> None:
    assert send(admin, "signer").status_code == 303
    now = facts(bot)
    answer = post(admin, "signer", {"seen": now.vkey, **SEND["signer"]})
    assert answer.status_code == 422
    assert "no checkpoint yet" in answer.text
    assert facts(bot).vkey == now.vkey


def test_the_root_key_is_changed_and_the_old_one_goes_with_the_next_rotation(
    bot: Any, admin: Any
) -> None:
    before = facts(bot)
    assert send(admin, "root").status_code == 303
    now, html = facts(bot), admin.get("/keys").text
    assert now.root_key != before.root_key
    assert now.older_root_keys == [before.root_key]
    assert "A new root key is in use" in html
    assert str(now.root_key) in html
    assert "the next rotation removes it" in html
    assert send(admin, "renew").status_code == 303
    assert facts(bot).older_root_keys == []
    assert not before.root_key.exists()
    activity = admin.get("/activity?kind=keys").text
    assert "root key changed: leaked" in activity
    assert "all keys renewed by hand: once a year" in activity


@pytest.mark.parametrize("form", ["signer", "root", "renew"])
@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"reason": " "}, "reason", "A reason is needed"),
        ({"reason": "x" * 501}, "reason", "At most 500 characters"),
        ({"confirm": "yes"}, "confirm", "to confirm"),
    ],
)
def test_bad_input_is_said_beside_its_field_and_what_was_typed_stays(
    bot: Any, admin: Any, form: str, typed: dict[str, str], field: str, said: str
) -> None:
    if (form, field) == ("renew", "confirm"):
        return
    before = facts(bot)
    answer = send(admin, form, **typed)
    assert answer.status_code == 422
    fault = re.search(rf'id="{form}-{field}-fault">([^<]*)<', answer.text)
    assert fault is not None
    assert said in unescape(fault[1])
    assert answer.text.count('aria-invalid="true"') == 1
    kept = (SEND[form] | typed)["reason"].strip()
    assert f'name="{form}-reason" type="text" value="{kept}"' in answer.text
    assert facts(bot).generation == before.generation


@pytest.mark.parametrize("form", ["signer", "root", "renew"])
def test_a_form_that_is_sent_twice_counts_once(bot: Any, admin: Any, form: str) -> None:
    before = facts(bot)
    data = {"seen": seen(admin.get("/keys").text, form), "command_id": "a" * 32, **SEND[form]}
    for _ in range(2):
        assert post(admin, form, data).status_code == 303
    assert facts(bot).generation == before.generation + 1


@pytest.mark.parametrize("form", ["signer", "root"])
def test_a_form_from_before_somebody_elses_change_is_stale(bot: Any, admin: Any, form: str) -> None:
    old = seen(admin.get("/keys").text, form)
    assert send(admin, form).status_code == 303
    now = facts(bot)
    answer = post(admin, form, {"seen": old, **SEND[form], "reason": "mine, too"})
    assert answer.status_code == 409
    assert "Somebody else changed this meanwhile" in answer.text
    if form == "root":
        assert 'value="mine, too"' in answer.text
    assert facts(bot).generation == now.generation


def test_a_folder_that_cannot_take_the_new_root_key_is_said(bot: Any, admin: Any) -> None:
    before = facts(bot)
    number = before.generation + 1
    before.root_key.with_name(f"{before.vault}.{number:06d}.root-key").touch()
    answer = send(admin, "root")
    assert answer.status_code == 503
    assert "is there already" in answer.text
    assert "Nothing was changed" in answer.text
    assert 'value="leaked"' in answer.text
    assert facts(bot).root_key == before.root_key


def test_a_root_key_from_systemd_has_no_button_and_the_way_by_hand(
    bot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next((tmp_path / "config" / "tradebot").iterdir())
    (unit := tmp_path / "credentials").mkdir(mode=0o700)
    key.rename(unit / CREDENTIAL)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(unit))
    client = bot.client("admin")
    html = client.get("/keys").text
    assert 'action="/keys/root"' not in html
    assert "LoadCredential=" in html
    answer = post(client, "root", {"seen": CREDENTIAL, **SEND["root"]})
    assert answer.status_code == 503
    assert "handed over by systemd" in answer.text


def test_in_the_past_there_is_nothing_to_change(bot: Any, admin: Any) -> None:
    before = facts(bot)
    html = admin.get("/keys?known_at=5").text
    assert "go back to now" in html
    assert 'action="/keys/' not in html
    answer = post(admin, "renew", SEND["renew"], "/keys/renew?known_at=5")
    assert answer.status_code == 409
    assert facts(bot).generation == before.generation


def test_another_process_that_changed_the_root_key_is_followed(bot: Any, admin: Any) -> None:
    assert admin.get("/keys").status_code == 200
    other = Custody.open(bot.folder, bot.clock)
    for number in range(3):
        renew_keys(other, root_key=True, reason="t", actor="bob", command_id=f"c{number}")
        assert str(key_facts(other).root_key) in admin.get("/keys").text
        assert admin.get("/ledger").status_code == 200
    other.close()
