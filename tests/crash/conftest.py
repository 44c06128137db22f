"""Children that are killed at named steps, and the counts that the programme reports."""

import gc
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CDLL
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from config import failpoints

LONGEST_S = 60  # a child that takes longer is ended and fails the test
Tell = Callable[[Any], None]


class Outcome(NamedTuple):
    """What became of a child: ``said`` is all that it told before its end."""

    killed: bool
    said: list[Any]


def run_in_child(work: Callable[[Tell], object], stop: str = "", nth: int = 1) -> Outcome:
    """Fork, and kill the child when it reaches the step ``stop`` for the ``nth`` time.

    The parent must have no connection open to what the child opens: SQLite's locks are the
    process's, and a child would take them for its own.
    """
    return _wait(*_start(work, stop, nth))


def run_and_kill(work: Callable[[Tell], object], after_s: float) -> Outcome:
    """Fork, and kill the child after that time, wherever it is; the same care as above."""
    child, pipe = _start(work)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)  # one that has ended keeps its number until it is asked for
    return _wait(child, pipe)


@contextmanager
def run_beside(*works: Callable[[Tell], object]) -> Iterator[list[list[Any]]]:
    """Fork for each, which must end by themselves after the block; what they told is then there."""
    started, said = [_start(work) for work in works], list[list[Any]]()
    try:
        yield said
    except BaseException:
        for child, pipe in started:
            os.kill(child, signal.SIGKILL)
            os.close(pipe)
            os.waitpid(child, 0)
        raise
    said += [_wait(*one).said for one in started]


def run_together(works: list[Callable[[Tell], object]]) -> list[list[Any]]:
    """Fork for each at one time; what each told. They begin together, when all are there."""
    gate, key = os.pipe()

    def behind_the_gate(work: Callable[[Tell], object], tell: Tell) -> None:
        os.close(key)
        os.read(gate, 1)  # returns when the last one closes the other end: the parent
        work(tell)

    started = [_start(partial(behind_the_gate, work)) for work in works]
    os.close(key)
    os.close(gate)
    return [_wait(*one).said for one in started]


def _start(work: Callable[[Tell], object], stop: str = "", nth: int = 1) -> tuple[int, int]:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        _be_the_child(work, stop, nth, theirs)
    os.close(theirs)
    return child, ours


def _wait(child: int, pipe: int) -> Outcome:
    with os.fdopen(pipe) as lines:
        said = [json.loads(line) for line in lines]
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    assert ended in (0, -signal.SIGKILL), f"the child failed ({ended}): {said[-1:]}"
    return Outcome(ended != 0, said)


def _be_the_child(work: Callable[[Tell], object], stop: str, nth: int, pipe: int) -> None:
    """Never returns: what pytest would do at the end of a process is the parent's alone."""

    def tell(what: Any) -> None:
        os.write(pipe, json.dumps(what).encode() + b"\n")

    try:
        gc.disable()  # it would touch, and so copy, all the memory of the parent
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST_S)
        kill_at(stop, nth)
        work(tell)
        os._exit(0)
    except BaseException:
        tell(traceback.format_exc())
        os._exit(1)


def kill_at(stop: str, nth: int = 1) -> None:
    """SIGKILL for this very process at the ``nth`` time from now on; "" disarms."""
    assert not stop or stop in failpoints.STEPS, f"{stop} is not in the list of steps"
    left = nth

    def act(step: str) -> None:
        nonlocal left
        left -= step == stop
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    failpoints.arm(act if stop else None)


@pytest.fixture(scope="session")
def child() -> Callable[..., Outcome]:
    """`child(work, stop, nth)` runs `work(tell)` in a forked process; see `run_in_child`."""
    return run_in_child


@pytest.fixture(scope="session")
def children() -> Callable[..., list[list[Any]]]:
    """`children(works)` runs several at one time; see `run_together`."""
    return run_together


@pytest.fixture(scope="session")
def child_killed_after() -> Callable[..., Outcome]:
    """`child_killed_after(work, seconds)`; see `run_and_kill`."""
    return run_and_kill


@pytest.fixture(scope="session")
def beside() -> Callable[..., Any]:
    """`with beside(*works) as said`: they run meanwhile; see `run_beside`."""
    return run_beside


def mount_memory(where: Path, options: str) -> bool:
    """In a child: a file system in memory that no other process sees; with "remount" another size.

    False where the system does not allow it.
    """
    if "remount" not in options:
        user, group, unshare = os.getuid(), os.getgid(), getattr(CDLL(None), "unshare", None)
        if unshare is None or unshare(0x10020000):  # CLONE_NEWUSER | CLONE_NEWNS
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    command = ["mount", "-t", "tmpfs", "-o", options, "none", where]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def mount() -> Callable[[Path, str], bool]:
    """`mount(where, "size=100k")` in a child; see `mount_memory`."""
    return mount_memory


@pytest.fixture(scope="session")
def kill() -> Callable[..., None]:
    """`kill(step, nth)` for a child that wants to be armed later than from its start."""
    return kill_at


@pytest.fixture(scope="session")
def asked() -> ModuleType:
    """The helper beside this file, which is no package."""
    spec = importlib.util.spec_from_file_location(
        "crash_asked", Path(__file__).with_name("asked.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["crash_asked"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def calm(asked: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The history of `asked` that nobody disturbed."""
    return asked.calm_history(tmp_path_factory.mktemp("calm"))


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """Nothing that a test armed in this process outlives it."""
    yield
    failpoints.arm(None)


@pytest.fixture(scope="session")
def full() -> bool:
    """PROGRAMME=full runs everything instead of a share that is fast; see `make crash`."""
    return os.environ.get("PROGRAMME") == "full"
