"""What the rotation programme does to one provisioned folder, and how it judges what it finds.

Each rotation sets all secrets and the settings to one mark, the number of the generation. So
whoever reads can tell at any moment whether secrets, settings and generation belong together.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyrage

from aggregates.base import Command
from aggregates.books import OpenBooks
from aggregates.capital import RecordDeposit
from aggregates.configuration import STREAM, AdoptSettings
from aggregates.keys import KeysRenewed, KeysRotated, RenewKeys
from config.clock import SystemClock, to_micros
from config.paths import DataFolder
from eventstore.application import Store
from eventstore.feed import Feed
from eventstore.verification import verify
from runtime.custody import Custody, create_custody
from runtime.dispatch import Dispatcher
from runtime.keys import key_ring, open_vault
from security.archive import open_archive
from security.generation import Generation
from security.root_key import root_key_file
from security.secret_names import GUARDED

PERSON = pyrage.x25519.Identity.generate()
LONGEST_S = 900  # the processes beside run as long as the programme
PAUSE_S = 0.002  # so that they leave something of the disk to the one that rotates
CLOCK = SystemClock()
Tell = Callable[[Any], None]


def of(kind: type, **fields: Any) -> Command:
    made: Command = kind(
        at=datetime(2026, 3, 2, tzinfo=UTC), effective_date=date(2026, 3, 2), **fields
    )
    return made


def settings(mark: int) -> Command:
    return of(AdoptSettings, values={"MARK": str(mark)}, reason="test")


def provision(root: Path) -> DataFolder:
    folder = DataFolder(root)
    opened = of(
        OpenBooks, identity="TEST_USA_SIM_01", entity_code="TEST", jurisdiction_code="USA",
        broker_code="SIM", bot_id="01", currency="USD", timezone="US/Eastern",
        exchange_calendar="XNYS", demo=False,
    )  # fmt: skip
    create_custody(
        folder, CLOCK, recovery=str(PERSON.to_public()), contents=dict.fromkeys(GUARDED, b"1"),
        commands=[opened, settings(1)], actor="setup", command_id="provision",
    ).close()  # fmt: skip
    return folder


def rotate(custody: Custody, mark: int, roots: int = 0) -> bool:
    """Set everything to the mark; whether it had been done before.

    With every so many rotations (``roots``; 0: never) the root key is another one, too.
    """
    edits = {name: lambda _: b"%d" % mark for name in GUARDED}
    other, commands = other_root_key(mark, roots), [settings(mark)]
    if other:
        commands.append(of(RenewKeys, root_key=True, reason="test"))
    done = custody.change(
        *commands, actor="t", command_id=f"mark:{mark}", secrets=edits, new_root_key=other
    )
    return done.repeated


def mark_of(generation: Generation) -> int:
    """The one mark of all secrets, which is the number of their generation."""
    found = {int(generation.secret(name)) for name in GUARDED}
    assert found == {generation.number}, f"a mix: {found} in generation {generation.number}"
    return generation.number


def other_root_key(mark: int, roots: int) -> bool:
    return bool(roots) and mark % roots == 0


def newest_settings(store: Store) -> int:
    (stored,) = store.events.get(STREAM, desc=True, limit=1)
    return int(getattr(stored, "event").values["MARK"])  # noqa: B009 - the protocol lacks it


# -- processes -------------------------------------------------------------------------------


def rotate_on(folder: DataFolder, tell: Tell, more: int, roots: int = 0) -> None:
    """A new process of the pages: finish or drop what is there, then rotate again and again."""
    with closing(Custody.open(folder, CLOCK)) as custody:
        mark = mark_of(custody.generation())
        assert newest_settings(custody.store) == mark, "settings and generation are apart"
        tell(mark)
        assert mark == 1 or rotate(custody, mark, roots), "asked again, it is done again"
        for following in range(mark + 1, mark + 1 + more):
            rotate(custody, following, roots)
            tell(following)


def read_on(folder: DataFolder, tell: Tell) -> None:
    """A reader in a loop: no error, no mix, and never secrets that are behind the settings."""
    signal.alarm(LONGEST_S)
    reads = 0
    with closing(Custody.open(folder, CLOCK)) as custody:
        while not stopped(folder):
            before = newest_settings(custody.store)
            mark = mark_of(custody.generation())
            after = newest_settings(custody.store)
            assert before <= mark <= after, f"secrets of {mark} beside settings {before}..{after}"
            mark_of(open_vault(folder).in_force())  # who has nothing but the link sees no mix
            reads += 1
            time.sleep(PAUSE_S)
    tell(reads)


def trade_on(folder: DataFolder, tell: Tell) -> None:
    """The supervisor: plain events to the same store, under whatever keys are in force."""
    signal.alarm(LONGEST_S)
    store = Store(
        folder.events, keys=key_ring(folder), now_us=lambda: to_micros(CLOCK.now()),
        software_version="test",
    )  # fmt: skip
    with closing(store):
        dispatch, number = Dispatcher(store, "supervisor"), 0
        while not stopped(folder):
            number += 1
            money = {"currency": "USD", "amount": Decimal(1), "reason": "test"}
            deposit = of(RecordDeposit, reference=f"d{number}", **money)
            dispatch(deposit, command_id=f"deposit:{number}")
            time.sleep(PAUSE_S)
    tell(number)


def stopped(folder: DataFolder) -> bool:
    return (folder.root / "stop").exists()


# -- the judge -------------------------------------------------------------------------------


def check_end(folder: DataFolder, acknowledged: int, deposits: int, roots: int = 0) -> int:
    """Everything that was acknowledged is there, once; no key twice. Returns the generation."""
    ring = key_ring(folder)
    verified = verify(folder.events, ring)
    assert verified.intact, verified
    with closing(Custody.open(folder, CLOCK)) as custody:
        generation = mark_of(custody.generation())
        assert newest_settings(custody.store) == generation >= acknowledged
        told = [new.event for new in custody.store.events.get("keys")]  # type: ignore[attr-defined]
    rotations = [event for event in told if isinstance(event, KeysRotated)]
    renewed = [event for event in told if isinstance(event, KeysRenewed)]
    assert [r.generation for r in rotations] == list(range(1, generation + 1))
    assert len(renewed) == sum(other_root_key(n, roots) for n in range(2, generation + 1))
    fingerprints = [f for r in rotations for f in r.fingerprints]
    assert len(set(fingerprints)) == len(fingerprints), "a key was used twice"
    check_rows(folder, generation, deposits)
    check_files(folder, generation)
    check_root_keys(folder, generation, roots)
    return generation


def check_rows(folder: DataFolder, generation: int, deposits: int) -> None:
    """A rotation and the setting are one batch, the first of its epoch; no deposit is lost."""
    first: dict[int, str] = {}
    booked = 0
    with closing(Feed(folder.events)) as feed:
        for row in feed.all():
            first.setdefault(row.key_epoch, row.command_id)
            booked += row.topic == "Capital.Deposited"
    assert first == {1: "provision"} | {n: f"mark:{n}" for n in range(2, generation + 1)}
    assert booked == deposits


def check_files(folder: DataFolder, generation: int) -> None:
    """The last two generations, an archive of each, and nothing else."""
    whole = [n for n in (generation - 1, generation) if n > 0]
    wanted = {f"{n:06d}.age" for n in range(1, generation + 1)}
    wanted |= {f"{n:06d}{end}" for n in whole for end in ("", ".data_keys.age")}
    assert {p.name for p in (folder.storage / "gen").iterdir()} == wanted
    for number in {1, generation}:
        archive = open_archive(folder.storage / "gen" / f"{number:06d}.age", str(PERSON))
        assert archive.generation == number
    assert sorted(os.listdir(folder.storage / "keys"))  # noqa: PTH208 - through the fixed links
    assert (folder.storage / "secrets" / ".env.enc").is_file()


def check_root_keys(folder: DataFolder, generation: int, roots: int) -> None:
    """Those of the last two generations, and nothing else: no half one, none too old."""
    number = folder.vault.read_text().strip()
    wanted = set()
    for one in (max(generation - 1, 1), generation):
        made = [n for n in range(2, one + 1) if other_root_key(n, roots)]
        wanted.add(f"{number}.{made[-1]:06d}.root-key" if made else f"{number}.root-key")
    config = root_key_file(number, os.environ).parent
    assert {path.name for path in config.glob(f"{number}*")} == wanted
