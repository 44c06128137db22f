"""The disk says no: an error that halts with words, nothing lost, and on it goes with room.

Errors are raised at every step of an append for every kind of command; then the files may really
not grow, by a limit on the process and on a file system of a few hundred kilobytes.
"""

import random
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config import failpoints
from config.failpoints import STEPS
from config.paths import DataFolder
from eventstore.errors import StoreUnreadable

COMMITTED = "store.committed"
ON_DISK = [s for s in STEPS if s.startswith("store.append.")] + [COMMITTED]
SAID = [
    ("disk I/O error", "acknowledged before is safe.*ask for the same again"),
    ("database or disk is full", "Nothing was changed; make room on the disk"),
]


def fail_at(step: str, said: str) -> None:
    def act(reached: str) -> None:
        if reached == step:
            raise sqlite3.OperationalError(said)

    failpoints.arm(act)


@pytest.mark.parametrize("step", ON_DISK)
def test_an_error_halts_the_command_and_asked_again_it_is_carried_out_once(
    asked: ModuleType, calm: Any, tmp_path: Path, count: Callable[..., None], step: str
) -> None:
    """After COMMIT: one that reports a failure, and is on the disk all the same."""
    with closing(asked.Asker(tmp_path)) as asker:
        for number in range(len(asked.ASKS)):
            said, words = SAID[number % 2]
            fail_at(step, said)
            with pytest.raises(StoreUnreadable, match=f"{said}.*{words}"):
                asker.ask(number)
            failpoints.arm(None)
            done = step == COMMITTED
            assert asked.rows(tmp_path) == calm.rows[: calm.ends[number + done]]
            assert asker.ask(number).repeated == done
            count("errors: one step of an append × one batch")
    assert asked.rows(tmp_path) == calm.rows
    assert asked.check_books(tmp_path) == calm.books


# Files that may not grow


def may_grow_to(size: int) -> None:
    """The size at which writing to any file of this process fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def ask_while_files_may_not_grow(asked: ModuleType, root: Path, tell: Any, restart: bool) -> None:
    """Every command is asked for in too little room first, then with enough, each as told."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = random.Random(7)
    asker = asked.Asker(root)
    for number in range(len(asked.ASKS)):
        log = DataFolder(root).events.with_name("events.db-wal")
        may_grow_to(log.stat().st_size + rng.randrange(8000))  # or in the middle of a write
        try:
            asker.ask(number)
        except StoreUnreadable as e:
            tell(str(e))
        if restart:
            asker.close()
        may_grow_to(resource.RLIM_INFINITY)
        if restart:
            asker = asked.Asker(root)
        asker.ask(number)
    asker.close()


@pytest.mark.parametrize("restart", [False, True])
def test_with_room_again_writing_goes_on(
    asked: ModuleType, calm: Any, child: Any, tmp_path: Path, count: Callable[..., None],
    restart: bool,
) -> None:  # fmt: skip
    said = child(lambda tell: ask_while_files_may_not_grow(asked, tmp_path, tell, restart)).said
    assert len(said) > len(asked.ASKS) // 2
    assert all("acknowledged before is safe" in text or "make room" in text for text in said)
    assert asked.rows(tmp_path) == calm.rows
    assert asked.check_books(tmp_path) == calm.books
    count("halts: a file may not grow", len(said))


# A disk that is full


def test_a_full_disk_halts_and_with_room_writing_goes_on(
    asked: ModuleType, calm: Any, child: Any, mount: Any, tmp_path: Path,
    count: Callable[..., None],
) -> None:  # fmt: skip
    def fill(tell: Any) -> None:
        if not mount(tmp_path, "size=100k"):
            return tell("not allowed")
        kib, full = 100, []
        with closing(asked.Asker(tmp_path)) as asker:
            for number in range(len(asked.ASKS)):
                while True:
                    try:
                        asker.ask(number)
                        break
                    except StoreUnreadable as e:
                        full.append(str(e))
                        kib += 4
                        assert mount(tmp_path, f"remount,size={kib}k")
        tell(full)
        assert mount(tmp_path, "remount,size=64m")
        assert asked.rows(tmp_path) == calm.rows
        assert asked.check_books(tmp_path) == calm.books
        return tell("whole")

    said = child(fill).said
    if said == ["not allowed"]:
        pytest.skip("this system does not let a process mount a small file system of its own")
    full, whole = said
    assert whole == "whole"
    assert full
    assert all("make room on the disk" in text for text in full)
    assert not DataFolder(tmp_path).events.exists()  # it was the child's disk
    count("halts: the disk is full", len(full))
