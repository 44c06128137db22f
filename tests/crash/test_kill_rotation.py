"""SIGKILL in the middle of rotations, while others read and write: nothing acknowledged is lost.

Three processes share one folder: one rotates and is killed, at random moments, at every step, and
again while it recovers; one reads in a loop; one appends events. The same programme must fail with
a vault that renames its files one by one, which shows that it would notice.
"""

import importlib.util
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from config import failpoints
from config.paths import DataFolder
from security.generation import Generation, read_generation
from security.root_keys import NewRootKey, RootKeys
from security.secret_names import NAMES, key_file, secret_file
from security.vault import Vault

RECOVERING = ("vault.root_key.dropped", "vault.generation.dropped")  # by no rotation itself
WARM = 2  # rotations before a kill: so that there is an older generation to retire


@pytest.fixture(scope="module")
def rotating() -> ModuleType:
    """The helper beside this file, which is no package."""
    spec = importlib.util.spec_from_file_location(
        "rotating", Path(__file__).with_name("rotating.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rotating"] = module
    spec.loader.exec_module(module)
    return module


class Programme:
    """One folder that is rotated, read and written, and what was acknowledged of it."""

    def __init__(self, rotating: ModuleType, root: Path, beside: Any, roots: int) -> None:
        """``roots``: with every so many rotations the root key is changed, too; 0: never."""
        self.rotating, self.beside, self.roots = rotating, beside, roots
        self.folder: DataFolder = rotating.provision(root)
        self.acknowledged, self.reads, self.deposits = 1, 0, 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The reader and the supervisor run meanwhile; in the end everything is judged."""
        r, folder = self.rotating, self.folder
        works = (lambda tell: r.read_on(folder, tell), lambda tell: r.trade_on(folder, tell))
        with self.beside(*works) as said:
            yield
            (folder.root / "stop").touch()
        ((self.reads,), (self.deposits,)) = said
        r.check_end(folder, self.acknowledged, self.deposits, self.roots)

    def rotations(self, more: int) -> Callable[[Any], None]:
        return lambda tell: self.rotating.rotate_on(self.folder, tell, more, self.roots)

    def take_note(self, outcome: Any) -> bool:
        """What a process told before its end must still be so. Whether it was killed."""
        if outcome.said:
            assert outcome.said[0] >= self.acknowledged, "an acknowledged rotation was lost"
            self.acknowledged = outcome.said[-1]
        return bool(outcome.killed)

    def count(self, count: Callable[..., None]) -> None:
        count("rotations that survived kills", self.acknowledged)
        count("whole sets of secrets read beside them, without an error", self.reads)
        count("events appended beside them by another process", self.deposits)


@pytest.fixture
def programme(
    rotating: ModuleType, tmp_path: Path, beside: Any, request: pytest.FixtureRequest
) -> Programme:
    return Programme(rotating, tmp_path / "data", beside, getattr(request, "param", 0))


def steps_of_a_rotation(programme: Programme, child: Any) -> Counter[str]:
    """How often each step is reached by a process that starts, and rotates once."""

    def counted(tell: Any) -> None:
        found: Counter[str] = Counter()
        failpoints.arm(lambda step: found.update([step]))
        programme.rotations(1)(lambda _: None)
        tell(found)

    programme.take_note(child(programme.rotations(WARM)))
    reached = Counter(child(counted).said[0])
    programme.acknowledged += 1
    assert {"custody.recorded", "vault.generation.retired"} <= set(reached)
    if programme.roots:
        assert {"vault.root_key.written", "vault.root_key.retired"} <= set(reached)
    return reached


ROOTS = pytest.mark.parametrize("programme", [0, 1, 3], indirect=True, ids="root key {}".format)


@ROOTS
def test_killed_at_random_moments(
    programme: Programme,
    child_killed_after: Any,
    child: Any,
    count: Callable[..., None],
    full: bool,
) -> None:
    rng = random.Random(20260302)
    with programme.running():
        for _ in range(300 if full else 12 // (1 + programme.roots)):
            killed = child_killed_after(programme.rotations(10**6), rng.uniform(0.0, 0.12))
            assert programme.take_note(killed)
            count("kills: random moments of rotating processes")
        programme.take_note(child(programme.rotations(1)))
    programme.count(count)


@pytest.mark.parametrize("programme", [0, 1], indirect=True)
def test_killed_at_every_step(
    programme: Programme, child: Any, count: Callable[..., None], full: bool
) -> None:
    """Each time that a step is reached; in a run that is not full, the last time."""
    reached = steps_of_a_rotation(programme, child)
    with programme.running():
        for step, times in reached.items():
            for nth in range(1, times + 1) if full else [times]:
                assert programme.take_note(child(programme.rotations(1), step, nth)), step
                count("kills: one step of a rotation, with the processes beside")
        programme.take_note(child(programme.rotations(1)))
    programme.count(count)


@pytest.mark.parametrize("programme", [0, 1], indirect=True)
def test_killed_and_killed_again_while_it_recovers(
    programme: Programme, child: Any, count: Callable[..., None], full: bool
) -> None:
    """Each two steps, each at a drawn time of those that it is reached."""
    reached = steps_of_a_rotation(programme, child)
    rng = random.Random(20260303)
    pairs = list(product(reached, [*reached, *RECOVERING]))
    picked = [("custody.prepared", step) for step in RECOVERING] + rng.sample(pairs, 4)
    with programme.running():
        for first, second in pairs if full else picked:
            nth = rng.randint(1, reached[first])
            assert programme.take_note(child(programme.rotations(1), first, nth)), first
            nth = rng.randint(1, reached.get(second, 1))
            programme.take_note(child(programme.rotations(1), second, nth))
            programme.take_note(child(programme.rotations(1)))
            count("pairs of kills: a step of a rotation, then one of the recovery and the next")
    programme.count(count)


# The same programme with a vault that renames its files one by one


class FileByFile(Vault):
    """The files in force are those of gen/000001, whatever generation they are of; no recovery."""

    pending = 0
    slow_disk_s = 0.0  # between two renames

    @property
    def place(self) -> Path:
        return self.gen / "000001"

    def linked(self) -> int:
        manifest = (self.place / "MANIFEST.json").read_bytes()
        return int(manifest.split(b'"generation": ')[1].split(b",")[0])

    def read(self, number: int) -> Generation:
        return read_generation(self.place, self.number, number, self.roots.of)

    def prepare(self, number: int, *args: Any, **more: Any) -> Generation:
        self.drop(number)
        self.pending = number
        return PREPARE(self, number, *args, **more)

    def recover(self, committed: int) -> None:
        if self.pending == committed:
            pairs = (f(name) for name in NAMES for f in (key_file, secret_file))
            for relative in (*pairs, "MANIFEST.json"):
                (self._folder(committed) / relative).replace(self.place / relative)
                self._reach("vault.flip.replaced")
                time.sleep(self.slow_disk_s)
        self.pending = 0

    def follow(self, committed: Callable[[], int]) -> None:
        end = time.monotonic() + 0.5  # whoever is renaming has done it by then, or was killed
        while self.linked() < committed() and time.monotonic() < end:
            time.sleep(0.001)


PREPARE = Vault.prepare


def rename_file_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = ("slow_disk_s", "place", "linked", "read", "prepare", "recover", "follow")
    for name in ("pending", *replaced):
        monkeypatch.setattr(Vault, name, FileByFile.__dict__[name], raising=False)


NOTICED = (
    "was changed or cut off|a mix|are apart|secrets of|does not belong|is not the one|key of epoch"
)


def test_the_programme_notices_a_kill_between_two_renames(
    programme: Programme, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_file_by_file(monkeypatch)

    def kill() -> None:
        with programme.running():
            for nth in (5, 20):
                step = "vault.flip.replaced"
                assert programme.take_note(child(programme.rotations(1), step, nth))
                programme.take_note(child(programme.rotations(1)))

    with pytest.raises(AssertionError, match=NOTICED):
        kill()


def test_the_programme_notices_a_reader_between_two_renames(
    programme: Programme, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is killed: reading beside it is enough, where the disk is slower than a reader waits.
    A fast disk would leave it to chance whether a read falls between two renames."""
    rename_file_by_file(monkeypatch)
    monkeypatch.setattr(Vault, "slow_disk_s", 0.06)

    def only_rotate() -> None:
        with programme.running():
            programme.take_note(child(programme.rotations(4)))

    with pytest.raises(AssertionError, match=NOTICED):
        only_rotate()


@pytest.mark.parametrize("programme", [1], indirect=True)
def test_the_programme_notices_a_root_key_that_is_written_over(
    programme: Programme, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file for all root keys, as if a change were no more than writing it anew."""
    one = RootKeys.file

    def written_over(roots: RootKeys, _number: int, fresh: Callable[[int], bytes]) -> NewRootKey:
        return NewRootKey(fresh(32), one(roots, 0), roots.vault)

    monkeypatch.setattr(RootKeys, "new", written_over)
    programme.take_note(child(programme.rotations(0)))
    assert child(programme.rotations(1), "custody.prepared").killed
    with pytest.raises(AssertionError, match="is not the root key"):
        child(programme.rotations(1))
