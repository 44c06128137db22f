"""SIGKILL at every step of `tbot checkpoint`: the node file is the old or the new one, whole."""

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from config import failpoints
from config.paths import DataFolder
from eventstore.feed import Feed
from eventstore.merkle_nodes import MerkleNodes
from runtime.cli import main
from runtime.demo import plan_of, play
from runtime.proving import entry_proof

DAYS = (date(2026, 3, 2), date(2026, 3, 3))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Two sessions, of which only the first has its checkpoint and nodes."""
    folder = DataFolder(tmp_path_factory.mktemp("played") / "data")
    play(folder, plan_of(None, DAYS[0], DAYS[1], ("SPY",), seed=3), lambda *_: None)
    first, second = sorted(folder.checkpoints.glob("*.checkpoint"))
    second.unlink()
    with closing(Feed(folder.events)) as feed:
        folder.merkle_nodes.write_bytes(MerkleNodes.of(feed, int(first.stem)).to_bytes())
    return folder


def sign(folder: DataFolder) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    out = folder.root.parent / "today.txt"
    main(["checkpoint", "--data-dir", str(folder.root), "-o", str(out)], standalone_mode=False)


def test_killed_while_signing_the_nodes_are_old_or_new_and_every_proof_is_right(
    played: DataFolder, child: Any, count: Callable[..., None], tmp_path: Path
) -> None:
    def copy(name: str) -> DataFolder:
        return DataFolder(shutil.copytree(played.root, tmp_path / name / "data"))

    def counted(tell: Any) -> None:
        steps: list[str] = []
        failpoints.arm(steps.append)
        sign(calm)
        tell(steps)

    calm = copy("calm")
    (steps,) = child(counted).said
    old, new = played.merkle_nodes.read_bytes(), calm.merkle_nodes.read_bytes()
    proven = [entry_proof(folder, 9)[0] for folder in (played, calm)]
    for number, step in enumerate(steps):
        folder = copy(f"{number}-{step}")
        assert child(lambda _: sign(folder), step, steps[: number + 1].count(step)).killed  # noqa: B023
        assert folder.merkle_nodes.read_bytes() in (old, new)
        assert entry_proof(folder, 9)[0] in proven
        child(lambda _: sign(folder))  # noqa: B023
        assert folder.merkle_nodes.read_bytes() == new
        assert entry_proof(folder, 9)[0] == proven[1]
        count("kills: one step of signing, with the node file looked at")
