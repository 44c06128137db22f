"""Settings of a provisioned bot: event, vault and rotation say the same, or nothing starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyrage
import pytest

from aggregates.configuration import AdoptSettings
from aggregates.errors import DomainError
from config.clock import VirtualClock
from config.paths import DataFolder
from config.setting_model import KEYS, Settings
from config.settings import settings_from
from eventstore.feed import Feed
from runtime.bootstrap import opening_commands
from runtime.custody import Custody, create_custody
from runtime.keys import key_ring
from runtime.settings_change import (
    SettingsDiffer,
    SettingsMoved,
    SettingsRefused,
    SettingsUnusable,
    change_settings,
    current_settings,
    in_force,
    loose_files,
    proposed,
    refuse_stray_files,
    secret_contents,
    settings_at,
)
from runtime.settings_files import HOMES, StrayFile, texts_of_secrets
from runtime.settings_history import Revision, revisions

D = Decimal
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
OLD, NEW = "hunter2-hunter2", "correct horse battery"
GIVEN = {n: key.default_text for n, key in KEYS.items() if key.required} | {
    "ENTITY_CODE": "ACME", "SMTP_USERNAME": "bot", "SMTP_PASSWORD": OLD,
}  # fmt: skip
Make = Callable[..., Custody]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """``make()`` gives the custody of a bot that was provisioned with GIVEN, whole and real."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    made: list[Custody] = []

    def provisioned(contents: dict[str, bytes] | None = None) -> Custody:
        settings = settings_from(GIVEN)
        opening = opening_commands(settings, symbols=(), deposit=D("1000"), at=NOW, demo=False)
        custody = create_custody(
            DataFolder(tmp_path / "bot"),
            VirtualClock(NOW),
            recovery=str(pyrage.x25519.Identity.generate().to_public()),
            contents=secret_contents(settings) | (contents or {}),
            commands=[command for batch in opening.values() for command in batch],
            actor="setup",
            command_id="provision",
        )
        made.append(custody)
        return custody

    yield provisioned
    for custody in made:
        custody.close()


def save(custody: Custody, seen: int, number: int = 1, reason: str = "", **texts: str) -> list[int]:
    done = change_settings(
        custody, texts, seen=seen, actor="u-ann", reason=reason, command_id=f"web:settings:{number}"
    )
    return done.positions


def history(custody: Custody) -> list[Revision]:
    feed = Feed(custody.folder.events, key_ring(custody.folder))
    try:
        return revisions(feed)
    finally:
        feed.close()


def everything_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Reading


def test_a_provisioned_bot_has_the_settings_that_it_was_set_up_with(make: Make) -> None:
    assert current_settings(make()) == settings_from(GIVEN)


def test_every_setting_has_one_home_in_the_vault_and_reads_back() -> None:
    settings = settings_from(GIVEN)
    homes = [name for file, names in HOMES.items() if file != "bot_identity" for name in names]
    assert sorted(homes) == sorted(KEYS)
    contents = secret_contents(settings)
    assert settings_from(texts_of_secrets(contents.__getitem__)) == settings
    assert [name for name, content in contents.items() if OLD.encode() in content] == [
        "smtp_credentials"
    ]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("env_bot", b"MAX_TRADES=10", b"MAX_TRADES=99", "disagree about MAX_TRADES"),
        ("smtp_credentials", b'"SMTP_PORT":"587"', b'"SMTP_PORT":"25"', "about SMTP_PORT"),
    ],
)
def test_a_vault_that_says_otherwise_than_the_history_starts_nothing(
    make: Make, name: str, old: bytes, new: bytes, words: str
) -> None:
    content = secret_contents(settings_from(GIVEN))[name]
    assert old in content
    with pytest.raises(SettingsDiffer, match=words) as said:
        current_settings(make({name: content.replace(old, new)}))
    assert OLD not in str(said.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("env_bot", b"", "holds nothing"),
        ("env_bot", b"\xff", "not UTF-8"),
        ("env_bot", b"MAX_TRADES=10\nMAX_TRADES=11", "MAX_TRADES: stands in line 1 already"),
        ("env", f"SMTP_PASSWORD={OLD}".encode(), "1 key(s) that do not belong there"),
        ("smtp_credentials", OLD.encode(), "is no JSON object"),
        ("broker_credentials", b'{"ALPACA_PAPER":true}', "is no JSON object of texts"),
        ("bot_identity", b'{"ENTITY_CODE":"OTHER"}', "ENTITY_CODE is not what env_bot says"),
    ],
)
def test_a_damaged_file_is_named_and_not_quoted(name: str, content: bytes, words: str) -> None:
    contents = secret_contents(settings_from(GIVEN)) | {name: content}
    with pytest.raises(Exception, match="The vault's settings cannot be used") as said:
        texts_of_secrets(contents.__getitem__)
    assert words in str(said.value)
    assert name in str(said.value)
    assert OLD not in str(said.value)


def test_settings_that_this_version_cannot_use_are_told_all_at_once(make: Make) -> None:
    bot = secret_contents(settings_from(GIVEN))["env_bot"]
    bad = bot.replace(b"MAX_TRADES=10", b"MAX_TRADES=ten").replace(b"XNYS", b"XXXX", 1)
    custody = make({"env_bot": bad})
    # as if an older version, with other limits, had recorded them
    recorded = settings_from(GIVEN).as_text() | {"MAX_TRADES": "ten"}
    custody.change(
        AdoptSettings(at=NOW, effective_date=NOW.date(), values=recorded, reason=""),
        actor="u", command_id="older", secrets={"env_bot": lambda _: bad.replace(b"XXXX", b"XNYS")},
    )  # fmt: skip
    with pytest.raises(SettingsUnusable, match="MAX_TRADES = 'ten'"):
        current_settings(custody)


# Changing


def test_a_change_is_one_batch_with_the_rotation(make: Make) -> None:
    custody = make()
    before = custody.generation().number
    first, second = save(custody, 1, reason="calmer", MAX_TRADES="5", SMTP_PASSWORD=NEW)
    assert second == first + 1
    assert custody.generation().number == before + 1
    held = current_settings(custody)
    assert (held.MAX_TRADES, held.SMTP_PASSWORD.reveal()) == (5, NEW)
    adopted, changed = history(custody)
    assert (adopted.number, changed.number, changed.actor, changed.reason) == (
        1, 2, "u-ann", "calmer",
    )  # fmt: skip
    assert [(c.key, c.before, c.after) for c in changed.changes] == [
        ("MAX_TRADES", "10", "5"),
        ("SMTP_PASSWORD", custody.fingerprint(OLD), custody.fingerprint(NEW)),
    ]


def test_a_session_that_began_goes_on_with_its_settings_and_the_secrets_of_now(make: Make) -> None:
    custody = make()
    began = custody.store.head().position
    save(custody, 1, MAX_TRADES="3", SMTP_PASSWORD=NEW)
    assert current_settings(custody).MAX_TRADES == 3
    then = settings_at(custody, began)
    assert (then.MAX_TRADES, then.SMTP_PASSWORD.reveal()) == (10, NEW)
    assert settings_at(custody, custody.store.head().position) == current_settings(custody)


def test_what_is_read_by_a_fresh_process_is_the_same(make: Make) -> None:
    custody = make()
    save(custody, 1, MAX_TRADES="5", SMTP_PASSWORD=NEW)
    other = Custody.open(custody.folder, custody.clock)
    assert in_force(other) == (2, settings_from(GIVEN | {"MAX_TRADES": "5", "SMTP_PASSWORD": NEW}))
    other.close()


def test_no_secret_lies_in_clear_below_the_data_folder(make: Make) -> None:
    custody = make()
    save(custody, 1, SMTP_PASSWORD=NEW)
    content = everything_below(custody.folder.root)
    for text in (OLD, NEW):
        assert text.encode() not in content


def test_who_saw_an_older_revision_saves_nothing(make: Make) -> None:
    custody = make()
    save(custody, 1, MAX_TRADES="5")
    with pytest.raises(SettingsMoved) as moved:
        save(custody, 1, 2, MAX_TRADES="6", WEB_PORT="7000")
    assert [(c.key, c.after) for c in moved.value.changes] == [("MAX_TRADES", "5")]
    assert current_settings(custody).WEB_PORT == 6900
    save(custody, 2, 2, WEB_PORT="7000")
    assert (current_settings(custody).MAX_TRADES, current_settings(custody).WEB_PORT) == (5, 7000)


def test_a_form_that_is_sent_twice_counts_once(make: Make) -> None:
    custody = make()
    first = save(custody, 1, MAX_TRADES="5", SMTP_PASSWORD=NEW)
    generation = custody.generation().number
    assert save(custody, 1, MAX_TRADES="5", SMTP_PASSWORD=NEW) == first
    assert custody.generation().number == generation
    with pytest.raises(SettingsMoved):  # the same number with other content is another change
        save(custody, 1, MAX_TRADES="6")


def test_a_secret_is_cleared_by_an_empty_text(make: Make) -> None:
    custody = make()
    save(custody, 1, SMTP_PASSWORD="", SMTP_USERNAME="")
    assert not current_settings(custody).SMTP_PASSWORD
    assert history(custody)[-1].values["SMTP_PASSWORD"] == ""


def test_every_fault_is_told_at_once_and_nothing_is_changed(make: Make) -> None:
    custody = make()
    head = custody.store.head()
    with pytest.raises(SettingsRefused) as refused:
        save(
            custody, 1, MAX_TRADES="many", MIN_PRICE="50", MAX_PRICE="10", TYPO="1",
            ENTITY_CODE="OTHER", FLASK_SECRET_KEY="\"'" + "x" * 40,
        )  # fmt: skip
    keys = [each.keys for each in refused.value.found]
    assert keys == [
        ("MAX_TRADES",), ("TYPO",), ("MIN_PRICE", "MAX_PRICE"), ("FLASK_SECRET_KEY",),
        ("ENTITY_CODE",),
    ]  # fmt: skip
    assert "5 setting(s)" in str(refused.value)
    assert "x" * 40 not in str(refused.value)
    assert custody.store.head() == head


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({}, "Nothing differs"),
        ({"MAX_TRADES": "10"}, "Nothing differs"),
        ({"SMTP_PASSWORD": OLD}, "Nothing differs"),
        ({"CURRENCY_CODE": "EUR"}, "fixed once the books are open"),
    ],
)
def test_what_changes_nothing_or_the_books_is_refused(
    make: Make, texts: dict[str, str], words: str
) -> None:
    custody = make()
    generation = custody.generation().number
    with pytest.raises(DomainError, match=words):
        save(custody, 1, **texts)
    assert custody.generation().number == generation


@pytest.mark.parametrize("reason", ["x" * 501, "a\x00b", "a\x1b[31m"])
def test_a_reason_is_a_short_text(make: Make, reason: str) -> None:
    with pytest.raises(SettingsRefused, match="reason"):
        save(make(), 1, reason=reason, MAX_TRADES="5")


def test_a_proposal_changes_nothing(make: Make) -> None:
    custody = make()
    head = custody.store.head()
    found = proposed(custody, {"MAX_TRADES": "5"})
    assert (found.revision, found.after.MAX_TRADES, found.before.MAX_TRADES) == (1, 5, 10)
    assert custody.store.head() == head
    assert isinstance(found.after, Settings)


# Files that nobody may rely on


@pytest.mark.parametrize("name", [".env", ".env_bot"])
def test_a_file_that_appears_after_set_up_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = DataFolder(tmp_path)
    refuse_stray_files(folder)
    (tmp_path / name).write_text(f"SMTP_PASSWORD={OLD}")
    with pytest.raises(StrayFile) as said:
        refuse_stray_files(folder)
    assert str(tmp_path / name) in str(said.value)
    assert "move it away" in str(said.value)
    assert OLD not in str(said.value)


def test_a_link_that_leads_nowhere_is_a_stray_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StrayFile):
        refuse_stray_files(DataFolder(tmp_path))
    assert "is a link" in loose_files(DataFolder(tmp_path))[0]


@pytest.mark.parametrize(("mode", "count"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_before_set_up_loose_permissions_are_said(tmp_path: Path, mode: int, count: int) -> None:
    (tmp_path / ".env").touch()
    (tmp_path / ".env").chmod(mode)
    said = loose_files(DataFolder(tmp_path))
    assert len(said) == count
    assert all(f"{mode:04o}" in line and "chmod 600" in line for line in said)


def test_a_bot_moves_to_another_broker_and_never_to_two(make: Make) -> None:
    custody = make()
    texts = {"BROKER_NAME": "IBKR", "IBKR_ENABLED": "true", "IBKR_ACCOUNT": "DU1234567"}
    alpaca = {"ALPACA_API_KEY": "k" * 20, "ALPACA_SECRET_KEY": "s" * 40}
    with pytest.raises(SettingsRefused, match="only the named broker"):
        save(custody, 1, **texts, ALPACA_ENABLED="true", **alpaca)
    with pytest.raises(SettingsRefused, match="IBKR_ENABLED"):
        save(custody, 1, BROKER_NAME="IBKR", IBKR_ACCOUNT="DU1234567")
    save(custody, 1, **texts)
    assert current_settings(custody).BROKER_NAME == "IBKR"
