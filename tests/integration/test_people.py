"""People on a real vault: what proves them is there alone, and changes with its event."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import pyotp
import pytest

from aggregates.errors import DomainError, TradeBotError
from aggregates.users import RegisterUser
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import settings_from
from runtime.bootstrap import opening_commands
from runtime.credentials import read_credentials
from runtime.custody import Custody, create_custody
from runtime.people import FormFaults, People
from runtime.recovery_key import new_recovery_key
from runtime.settings_change import secret_contents

START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
TEXTS = {
    "ENTITY_CODE": "ACME", "JURISDICTION_CODE": "USA", "BROKER_CODE": "SIM", "BOT_ID": "01",
    "CURRENCY_CODE": "USD", "TIMEZONE": "US/Eastern", "EXCHANGE_CALENDAR": "XNYS",
}  # fmt: skip
GOOD, OTHER = "lantern orchid walnut", "harbour violin compass"


@pytest.fixture
def custody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Custody]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    clock, settings = VirtualClock(START), settings_from(TEXTS)
    opening = opening_commands(settings, symbols=(), deposit=None, at=START, demo=False)
    made = create_custody(
        DataFolder(tmp_path / "data"), clock, recovery=new_recovery_key().recipient,
        contents=secret_contents(settings), actor="setup", command_id="provision",
        commands=[command for batch in opening.values() for command in batch],
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def people(custody: Custody) -> People:
    return People(custody, cost=4)


def register(people: People, name: str, role: str = "admin", password: str = GOOD) -> str:
    return people.register(name, password, role, actor="setup", command_id=f"register:{name}")


def test_who_is_registered_is_proven_by_name_and_password(people: People) -> None:
    ann = register(people, "Ann")
    found = people.proven("ＡＮＮ", GOOD)
    assert found is not None
    assert (found.id, found.name, found.role) == (ann, "ann", "admin")
    assert people.proven("ann", OTHER) is None
    assert people.proven("ben", GOOD) is None


def test_every_try_takes_exactly_one_bcrypt(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(people, "ann")
    register(people, "newcomer", "viewer", password="")
    gone = register(people, "gone", "viewer")
    people.deactivate(gone, "left", actor="a", command_id="gone")
    costs: list[int] = []
    real_check, real_make = bcrypt.checkpw, bcrypt.hashpw
    monkeypatch.setattr(
        bcrypt, "checkpw", lambda p, k: (costs.append(int(k[4:6])), real_check(p, k))[1]
    )
    monkeypatch.setattr(bcrypt, "hashpw", lambda *a: (costs.append(0), real_make(*a))[1])
    for name in ("ann", "nobody", "newcomer", "gone", ""):
        costs.clear()
        assert people.proven(name, OTHER) is None
        assert costs == [4], name


def test_the_same_form_sent_twice_registers_once(people: People) -> None:
    first = register(people, "ann")
    assert register(people, "ann") == first
    assert len(people.users.people) == 1


def test_every_fault_of_a_form_is_told_by_its_field(people: People) -> None:
    register(people, "ann")
    with pytest.raises(FormFaults) as refused:
        people.register("ANN", "short", "root", email="x", actor="a", command_id="1")
    assert set(refused.value.faults) == {"name", "password", "role", "email"}
    assert "Nothing was changed" in str(refused.value)


def test_each_change_rotates_and_no_event_holds_a_proof(people: People, custody: Custody) -> None:
    ann = register(people, "ann")
    kept = read_credentials(custody.secret("users"))
    assert kept is not None
    people.change_password(ann, GOOD, OTHER, actor=ann, command_id="2")
    secret = people.new_factor()
    codes = people.enrol(ann, secret, pyotp.TOTP(secret).at(START), actor=ann, command_id="3")
    now = read_credentials(custody.secret("users"))
    assert now is not None
    secrets = [
        GOOD, OTHER, secret, *codes, *now.of(ann).recovery, now.of(ann).password,
        kept.of(ann).password, kept.pepper.hex(), str(kept.pepper),
    ]  # fmt: skip
    # the vault keeps hashes; the recovery codes themselves are nowhere
    assert not [text for text in (GOOD, OTHER, *codes) if text in str(custody.secret("users"))]
    for stream in ("users", f"user-{ann}", "keys"):
        told = str([repr(new) for new in custody.store.events.get(stream)])
        assert not [text for text in secrets if text in told]
    assert custody.generation().number == 4  # provisioning and three changes
    assert now.pepper == kept.pepper
    assert "***" in repr(now)
    assert "***" in repr(now.of(ann))


def test_a_changed_password_replaces_the_former(people: People) -> None:
    ann = register(people, "ann")
    for present, new, field in (
        (OTHER, OTHER, "present"), (GOOD, GOOD, "new"), (GOOD, "short", "new"),
    ):  # fmt: skip
        with pytest.raises(FormFaults) as refused:
            people.change_password(ann, present, new, actor=ann, command_id="x")
        assert field in refused.value.faults
    assert people.proven("ann", GOOD)
    era = people.users.people[ann].era
    people.change_password(ann, GOOD, OTHER, actor=ann, command_id="2")
    assert people.proven("ann", GOOD) is None
    assert people.proven("ann", OTHER)
    assert people.users.people[ann].era == era + 1


def test_a_refused_change_leaves_the_vault_as_it_was(people: People, custody: Custody) -> None:
    ann = register(people, "ann")
    before = custody.generation().number, custody.secret("users")
    with pytest.raises(DomainError, match="last active admin"):
        people.deactivate(ann, "leaves", actor="x", command_id="2")
    with pytest.raises(DomainError, match="own role"):
        people.change_role(ann, "viewer", "r", actor=ann, command_id="3")
    assert (custody.generation().number, custody.secret("users")) == before


def test_who_is_deactivated_is_not_proven(people: People) -> None:
    register(people, "ann")
    ben = register(people, "ben", "viewer")
    people.deactivate(ben, "left", actor="a", command_id="1")
    assert people.proven("ben", GOOD) is None
    people.reactivate(ben, "is back", actor="a", command_id="2")
    assert people.proven("ben", GOOD)


def test_a_second_factor_holds_once_its_code_was_shown(people: People) -> None:
    ann, secret = register(people, "ann"), people.new_factor()
    with pytest.raises(FormFaults):
        people.enrol(ann, secret, "000000", actor=ann, command_id="1")
    assert people.step_of(ann, pyotp.TOTP(secret).at(START)) is None
    people.enrol(ann, secret, pyotp.TOTP(secret).at(START), actor=ann, command_id="2")
    later = START + timedelta(seconds=30)
    assert people.step_of(ann, pyotp.TOTP(secret).at(later)) == int(later.timestamp()) // 30
    people.remove_factor(ann, "new phone", actor=ann, command_id="3")
    assert people.step_of(ann, pyotp.TOTP(secret).at(START)) is None
    assert people.recovery_codes_left(ann) == 0


def test_a_recovery_code_works_once_and_for_its_user_alone(people: People) -> None:
    ann, ben = register(people, "ann"), register(people, "ben", "viewer")
    secret = people.new_factor()
    codes = people.enrol(ann, secret, pyotp.TOTP(secret).at(START), actor=ann, command_id="1")
    assert not people.use_recovery_code(ben, codes[0], command_id="2")
    assert people.use_recovery_code(ann, codes[0].upper(), command_id="3")
    assert not people.use_recovery_code(ann, codes[0], command_id="4")
    assert not people.use_recovery_code(ann, "", command_id="5")
    assert people.recovery_codes_left(ann) == 9


def test_people_see_what_another_process_recorded(people: People, custody: Custody) -> None:
    ann = register(people, "ann")
    other = Custody.open(custody.folder, custody.clock)
    register(People(other, cost=4), "ben", "viewer")
    other.close()
    assert [p.name for p in people.users.people.values()] == ["ann", "ben"]
    assert people.proven("ben", GOOD)
    assert people.users.people[ann].active


@pytest.mark.parametrize("content", [b"[]", b'{"pepper": 1}', b"\0", b'{"people": {}}'])
def test_a_secret_that_cannot_be_read_is_said_without_quoting_it(content: bytes) -> None:
    with pytest.raises(TradeBotError, match="Nobody can sign in") as refused:
        read_credentials(content)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


def test_a_name_that_another_process_gave_meanwhile_is_taken(
    people: People, custody: Custody
) -> None:
    register(people, "ann")
    other = Custody.open(custody.folder, custody.clock)
    register(People(other, cost=4), "eve", "viewer")
    other.close()
    with pytest.raises(FormFaults, match="The name eve is taken"):
        register(people, "Eve", "viewer", OTHER)
    # and the rule itself holds where the look before the change came too early
    late = people._command(RegisterUser, user_id="x", name="eve", role="viewer", email="")
    with pytest.raises(DomainError, match="taken"):
        custody.change(late, actor="x", command_id="late")
