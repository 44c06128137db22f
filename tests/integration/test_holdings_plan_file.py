"""The holdings plan of a provisioned bot: event, encrypted file and rotation say the same."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyrage
import pytest
from cryptography.fernet import Fernet

from aggregates.errors import DomainError
from aggregates.holdings_plan import (
    DEFAULT_PLAN,
    HoldingsPlanSaved,
    Plan,
    PlannedSecurity,
    RollBackPlan,
    SavePlan,
)
from config.clock import VirtualClock
from config.paths import DataFolder
from config.setting_model import KEYS
from config.settings import settings_from
from eventstore.application import Store
from eventstore.feed import Feed
from runtime.bootstrap import opening_commands
from runtime.custody import Custody, create_custody
from runtime.dispatch import Dispatcher
from runtime.holdings_plan import (
    PlanDiffers,
    PlanMoved,
    PlanRefused,
    RulesBroken,
    check_plan_file,
    current_plan,
    file_plan,
    roll_back_plan,
    save_plan,
)
from runtime.settings_change import change_settings, secret_contents
from security.archive import archive_files, open_archive
from security.data_keys import KeyRing
from security.generation import VaultDamaged
from security.keyfile import KeyFileError

D = Decimal
NOW = datetime(2026, 3, 3, 2, 30, tzinfo=UTC)  # in New York it is still the 2nd
PERSON = pyrage.x25519.Identity.generate()
TIMEZONE = "America/New_York"
GIVEN = {n: key.default_text for n, key in KEYS.items() if key.required} | {
    "ENTITY_CODE": "ACME", "TIMEZONE": TIMEZONE,
}  # fmt: skip
TWENTY = Plan(
    securities=tuple(PlannedSecurity(f"S{n:02d}", D(4) if n % 2 else None) for n in range(20)),
    tax_vehicle="BIL", sweep=True, rebalance_months=3,
)  # fmt: skip
ONE = Plan(securities=(PlannedSecurity("VTI", D(100)),), float_target=D("12.5"))
Make = Callable[..., Custody]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """``make()`` gives the custody of a bot that was provisioned, whole and real."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    made: list[Custody] = []

    def provisioned(**texts: str) -> Custody:
        settings = settings_from(GIVEN | texts)
        opening = opening_commands(settings, symbols=(), deposit=D("1000"), at=NOW, demo=False)
        custody = create_custody(
            DataFolder(tmp_path / "bot"), VirtualClock(NOW),
            recovery=str(PERSON.to_public()), contents=secret_contents(settings),
            commands=[command for batch in opening.values() for command in batch],
            actor="setup", command_id="provision",
        )  # fmt: skip
        made.append(custody)
        return custody

    yield provisioned
    for custody in made:
        custody.close()


def save(custody: Custody, plan: Plan, seen: int, number: int = 1, **more: Any) -> list[int]:
    fields = {"actor": "u-ann", "reason": "as typed", "command_id": f"plan:{seen}:{number}"}
    return save_plan(custody, plan, seen=seen, **(fields | more)).positions


def put_back(custody: Custody, to: int, seen: int) -> None:
    roll_back_plan(
        custody, to, seen=seen, actor="u-ann", reason="better before", command_id=f"back:{seen}"
    )


def history(custody: Custody) -> list[tuple[Any, Any]]:
    with closing(Feed(custody.folder.events, custody.store.keys)) as feed:
        rows = feed.stream("holdings-plan")
        return [(row, feed.event(row)) for row in rows]


def write_otherwise(custody: Custody, content: bytes) -> None:
    """The file of the vault changed past the plan, as nothing of ours does."""
    custody.change(actor="x", command_id="otherwise", secrets={"holdings": lambda _: content})


# "handling missing files gracefully (creates file when first settings are saved)"


def test_before_the_first_save_there_is_no_plan_and_no_fault(make: Make) -> None:
    custody = make()
    assert file_plan(custody) is None
    assert current_plan(custody) == check_plan_file(custody) == (0, None)


def test_the_first_save_creates_the_file(make: Make) -> None:
    custody = make()
    save(custody, DEFAULT_PLAN, 0)
    assert file_plan(custody) == DEFAULT_PLAN
    assert current_plan(custody.store) == check_plan_file(custody) == (1, DEFAULT_PLAN)
    (_, event), = history(custody)  # fmt: skip
    assert (event.version, event.before, event.after) == (1, None, DEFAULT_PLAN)


# "atomic, encrypted read/write routines", "persistent audit entry including the user and timestamp"


def test_a_save_is_one_batch_with_the_rotation_and_says_who_when_before_and_after(
    make: Make,
) -> None:
    custody = make()
    save(custody, ONE, 0)
    before = custody.generation().number
    saved, rotated = save(custody, TWENTY, 1)
    assert rotated == saved + 1
    assert custody.generation().number == before + 1
    row, event = history(custody)[-1]
    assert (row.actor, row.recorded_at) == ("u-ann", int(NOW.timestamp() * 1_000_000))
    assert isinstance(event, HoldingsPlanSaved)
    assert (event.before, event.after, event.reason) == (ONE, TWENTY, "as typed")
    assert (event.effective_date, event.rolled_back_to) == (date(2026, 3, 2), None)


def test_a_fresh_process_reads_the_same(make: Make) -> None:
    custody = make()
    save(custody, TWENTY, 0)
    with closing(Custody.open(custody.folder, custody.clock)) as other:
        assert file_plan(other) == TWENTY
        assert check_plan_file(other) == (1, TWENTY)


def test_neither_file_nor_event_lies_in_clear(make: Make) -> None:
    custody = make()
    save(custody, TWENTY, 0)
    root = custody.folder.root
    content = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    # long enough that no cipher text holds them by chance
    assert b"securities" not in content
    assert b"allocation" not in content


def test_the_file_holds_the_plan_never_the_holdings_and_the_settings_only_its_name(
    make: Make,
) -> None:
    custody = make()
    save(custody, TWENTY, 0)
    content = msgspec.json.decode(custody.secret("holdings"))
    assert content.keys() == {"version", "plan"}
    assert content["plan"].keys() == set(Plan.__struct_fields__)
    pointer = [line for line in custody.secret("env_bot").splitlines() if b"HOLDINGS_FILE" in line]
    assert pointer == [b"HOLDINGS_FILE=holdings.json.enc"]
    assert b"S07" not in custody.secret("env_bot")


# "All config changes must trigger a backup of the previous secrets"


def test_every_earlier_file_stays_in_a_backup_that_the_recovery_key_opens(make: Make) -> None:
    custody = make()
    kept = {}
    for seen, plan in enumerate((DEFAULT_PLAN, ONE, TWENTY)):
        save(custody, plan, seen)
        kept[custody.generation().number] = plan
    for number, plan in kept.items():
        path, _ = archive_files(custody.folder.storage / "gen", number)
        archive = open_archive(path, str(PERSON))
        opened = Fernet(base64.urlsafe_b64encode(archive.keys["holdings"]))
        held = msgspec.json.decode(opened.decrypt(archive.secrets["holdings"]))
        assert msgspec.convert(held["plan"], Plan, strict=False) == plan


# "rollback support"


def test_every_earlier_version_can_be_put_back(make: Make) -> None:
    custody = make()
    plans = [DEFAULT_PLAN, ONE, TWENTY]
    for seen, plan in enumerate(plans):
        save(custody, plan, seen)
    for to in (1, 2, 3):
        seen = current_plan(custody)[0]
        put_back(custody, to, seen)
        assert file_plan(custody) == plans[to - 1]
        assert check_plan_file(custody) == (seen + 1, plans[to - 1])
    assert [event.rolled_back_to for _, event in history(custody)] == [None] * 3 + [1, 2, 3]


# Refusals leave everything as it was


class Reserves(NamedTuple):
    float: Decimal = D("10")
    tax_cash: Decimal = D("900")
    tax_vehicle: Decimal = D("0")
    payroll: Decimal = D("0")
    pool: Decimal = D("0")


class Account(NamedTuple):
    account_value: Decimal = D("1000")
    reserves: Reserves = Reserves()


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (lambda c: save(c, msgspec.structs.replace(ONE, float_target=D(101)), 1), RulesBroken,
         "FLOAT: The float target is 101 %"),
        (lambda c: save(c, ONE, 1), DomainError, "Nothing differs"),
        (lambda c: save(c, TWENTY, 0), PlanMoved, "you saw version 0, now it is 1"),
        (lambda c: save(c, TWENTY, 7), DomainError, "There is no version 7"),
        (lambda c: save(c, ONE, 1, state=Account()), RulesBroken,
         "allowed: a float target of at most 10 %"),
        (lambda c: put_back(c, 4, 1), DomainError, "There is no version 4"),
        (lambda c: put_back(c, 1, 1), DomainError, "Nothing differs"),
    ],
    ids=["faulty", "same", "moved", "unseen", "account", "nowhere", "in force"],
)  # fmt: skip
def test_a_refused_change_leaves_file_history_and_keys_as_they_were(
    make: Make, asked: Callable[[Custody], Any], error: type[Exception], words: str
) -> None:
    custody = make()
    save(custody, ONE, 0, number=9)
    head, generation = custody.store.head(), custody.generation().number
    with pytest.raises(error, match=words):
        asked(custody)
    assert (custody.store.head(), custody.generation().number) == (head, generation)
    assert check_plan_file(custody) == (1, ONE)


def test_the_same_form_sent_twice_counts_once(make: Make) -> None:
    custody = make()
    first = save(custody, ONE, 0)
    assert save(custody, ONE, 0) == first
    assert check_plan_file(custody) == (1, ONE)


def test_of_two_people_who_save_at_once_one_is_told_what_the_other_did(make: Make) -> None:
    custody = make()
    save(custody, DEFAULT_PLAN, 0)

    def try_to(plan: Plan, number: int) -> str:
        try:
            save(custody, plan, 1, number)
        except PlanMoved as e:
            return str(e)
        return ""

    with ThreadPoolExecutor(2) as people:
        said = list(people.map(try_to, (ONE, TWENTY), (1, 2)))
    assert sorted(map(bool, said)) == [False, True]
    winner = ONE if not said[0] else TWENTY
    assert check_plan_file(custody) == (2, winner)
    assert f"{winner.securities[0].symbol}: none → " in "".join(said)


def test_a_plan_comes_with_new_keys_or_not_at_all(make: Make) -> None:
    custody = make()
    command = SavePlan(at=NOW, effective_date=NOW.date(), plan=ONE, seen=0)
    with pytest.raises(DomainError, match="came without new ones"):
        custody.record(command, actor="u", command_id="bare")
    assert current_plan(custody) == (0, None)


# A file that is not what the history says


def test_a_file_changed_on_disk_is_named(make: Make) -> None:
    custody = make()
    save(custody, ONE, 0)
    (path,) = (custody.generation().folder / "secrets").glob("holdings*")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"A")
    with pytest.raises(VaultDamaged, match=r"holdings\.json\.enc"):
        Custody.open(custody.folder, custody.clock)
    path.unlink()
    with pytest.raises(KeyFileError, match=r"holdings\.json\.enc"):
        Custody.open(custody.folder, custody.clock)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds nothing, and the history has version 1"),
        (b"\xff", "cannot be read"),
        (b'{"version":1}', "cannot be read"),
        (b'{"version":1,"plan":{"securities":[],"units":{"VTI":"5"}}}', "cannot be read"),
        (b'{"version":1,"plan":{"securities":[]}}', "holds another plan than version 1"),
        (b'{"version":3,"plan":{"securities":[]}}', "holds version 3, and the history has .* 1"),
    ],
)
def test_a_file_that_says_otherwise_than_the_history_is_named_with_what_to_do(
    make: Make, content: bytes, words: str
) -> None:
    custody = make()
    save(custody, ONE, 0)
    write_otherwise(custody, content)
    with pytest.raises(PlanDiffers, match=rf"holdings\.json\.enc {words}.*Nothing was changed"):
        check_plan_file(custody)
    assert current_plan(custody) == (1, ONE)
    save(custody, TWENTY, 1)  # which is what the error says to do
    assert check_plan_file(custody) == (2, TWENTY)


def test_a_plan_that_no_history_knows_is_named(make: Make) -> None:
    custody = make()
    write_otherwise(custody, b'{"version":2,"plan":{"securities":[]}}')
    with pytest.raises(PlanDiffers, match="holds version 2, and the history has no plan"):
        check_plan_file(custody)


def test_a_pointer_that_leads_elsewhere_is_named_and_nothing_is_saved(make: Make) -> None:
    custody = make()
    save(custody, ONE, 0)
    change_settings(
        custody, {"HOLDINGS_FILE": "users.json.enc"}, seen=1, actor="u", reason="", command_id="s"
    )
    for ask in (lambda: check_plan_file(custody), lambda: save(custody, TWENTY, 1)):
        with pytest.raises(PlanDiffers, match=r"HOLDINGS_FILE points \(users.json.enc\)"):
            ask()
    assert current_plan(custody) == (1, ONE)


# A store without a vault: a demo, a simulation


def test_without_a_vault_the_dispatcher_alone_saves_and_puts_back(tmp_path: Path) -> None:
    with closing(
        Store(tmp_path / "events.db", keys=KeyRing.plain(bytes(32)), now_us=lambda: 1,
              software_version="test")
    ) as store:  # fmt: skip
        dispatch = Dispatcher(store, "simulation")
        fields: dict[str, Any] = {"at": NOW, "effective_date": NOW.date()}
        dispatch(SavePlan(plan=ONE, seen=0, **fields), command_id="1")
        dispatch(SavePlan(plan=TWENTY, seen=1, **fields), command_id="2")
        dispatch(RollBackPlan(to=1, seen=2, **fields), command_id="3")
        assert current_plan(store) == (3, ONE)
        bad = Plan(securities=(), float_target=D(-1))
        with pytest.raises(PlanRefused):
            dispatch(SavePlan(plan=bad, seen=3, **fields), command_id="4")
