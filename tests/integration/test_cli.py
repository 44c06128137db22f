"""The command line on a played demo: what it prints, what it exits with, what it leaves alone."""

import csv
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from config.paths import DataFolder
from runtime.demo import plan_of, play

Tbot = Callable[..., subprocess.CompletedProcess[str]]
READING = (
    ("status",),
    ("balances",),
    ("journal",),
    ("events",),
    ("verify",),
    ("balances", "--as-of", "2026-03-03", "--known-at", "100"),
)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cli") / "demo"
    play(DataFolder(root), plan_of(None, None, None, (), seed=1), lambda *_: None)
    return root


@pytest.fixture
def tbot(played: Path) -> Tbot:
    def run(*arguments: str, data_dir: Path = played) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runtime.cli", *arguments, "--data-dir", str(data_dir)],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def data(result: subprocess.CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm"))
    }


def test_balances_add_up_to_zero_and_are_decimal_strings(tbot: Tbot) -> None:
    rows = data(tbot("balances", "--format", "json"))
    assert sum(Decimal(row["amount"]) for row in rows) == 0
    assert {"code", "account", "currency", "amount"} <= rows[0].keys()
    assert all(isinstance(row["amount"], str) and "E" not in row["amount"] for row in rows)


def test_securities_carry_their_quantity(tbot: Tbot) -> None:
    fills = data(tbot("events", "--topic", "Order.Filled", "--limit", "1", "--format", "json"))
    rows = data(tbot("balances", "--known-at", str(fills[0]["position"]), "--format", "json"))
    security = next(row for row in rows if row["code"].startswith("1110."))
    assert Decimal(security["quantity"]) == Decimal(fills[0]["payload"]["quantity"])


def test_csv_and_json_say_the_same(tbot: Tbot) -> None:
    as_csv = list(csv.DictReader(io.StringIO(tbot("balances", "--format", "csv").stdout)))
    as_json = data(tbot("balances", "--format", "json"))
    assert [(r["code"], r["amount"]) for r in as_csv] == [(r["code"], r["amount"]) for r in as_json]


def test_as_of_and_known_at_are_two_clocks(tbot: Tbot) -> None:
    first = data(tbot("balances", "--as-of", "2026-03-02", "--format", "json"))
    end = data(tbot("balances", "--format", "json"))
    assert first != end
    by_time = data(tbot("balances", "--known-at", "2026-03-02T23:59:59Z", "--format", "json"))
    assert by_time == first  # nothing came late in the demo, so both clocks agree at the day's end


def test_status_names_identity_position_and_head(tbot: Tbot) -> None:
    status = data(tbot("status", "--format", "json"))
    events = data(tbot("events", "--after", str(status["position"] - 1), "--format", "json"))
    assert status["identity"] == "DEMO_USA_SIM_01"
    assert status["head_hash"] == events[0]["hash"]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_changes_no_file(tbot: Tbot, played: Path, arguments: tuple[str, ...]) -> None:
    before = fingerprint(played)
    assert tbot(*arguments).returncode == 0
    assert fingerprint(played) == before


def test_reading_beside_a_writer_in_the_middle_of_a_batch(tbot: Tbot, played: Path) -> None:
    writer = sqlite3.connect(played / "storage" / "events.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert tbot("verify").returncode == 0
        assert tbot("balances").returncode == 0
    finally:
        writer.execute("ROLLBACK")
        writer.close()


def test_rebuild_gives_the_digest_of_the_live_ledger_twice(
    tbot: Tbot, played: Path, tmp_path: Path
) -> None:
    from projections.ledger import Ledger

    digests = []
    for name in ("one.db", "two.db"):
        result = tbot("rebuild", "-o", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
        digests.append(result.stdout.split()[-1])
    live = Ledger.read_only(DataFolder(played).ledger("DEMO_USA_SIM_01"))
    assert digests == [live.digest()] * 2
    live.close()
    assert (tmp_path / "one.db").read_bytes() == (tmp_path / "two.db").read_bytes()


def test_rebuild_until_a_position_and_never_over_a_file(tbot: Tbot, tmp_path: Path) -> None:
    target = tmp_path / "part.db"
    assert "to event 40" in tbot("rebuild", "-o", str(target), "--until", "40").stdout
    before = target.read_bytes()
    refused = tbot("rebuild", "-o", str(target))
    assert refused.returncode == 2
    assert "exists already" in refused.stderr
    assert target.read_bytes() == before


@pytest.mark.parametrize("kind", ["ofx", "hledger", "beancount"])
def test_exports_are_the_same_bytes_each_time(tbot: Tbot, tmp_path: Path, kind: str) -> None:
    for name in ("a", "b"):
        result = tbot("export", kind, "-o", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("balances", "--as-of", "soon"), "not a date"),
        (("balances", "--known-at", "999999"), "There is no event 999999"),
        (("balances", "--known-at", "someday"), "neither an event number"),
        (("journal", "--format", "xml"), "xml"),
    ],
)
def test_bad_usage_exits_2_and_says_what_is_allowed(
    tbot: Tbot, arguments: tuple[str, ...], words: str
) -> None:
    result = tbot(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_no_store_and_no_folder_exit_3_and_make_nothing(tbot: Tbot, tmp_path: Path) -> None:
    result = tbot("balances", data_dir=tmp_path / "none")
    assert result.returncode == 3
    assert "tbot demo" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_file_that_is_no_store_exits_3(tbot: Tbot, tmp_path: Path) -> None:
    file = tmp_path / "storage" / "events.db"
    file.parent.mkdir()
    file.write_bytes(b"this is a letter, not a database" * 100)
    for command in ("verify", "status"):
        result = tbot(command, data_dir=tmp_path)
        assert result.returncode == 3
        assert "Traceback" not in result.stderr


def test_help_answers_without_the_heavy_libraries() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom runtime.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print(sorted({'pandas', 'flask', 'eventsourcing', 'ofxtools'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_times_with_a_zone_mean_the_same_instant(tbot: Tbot) -> None:
    utc = datetime(2026, 3, 4, 20, 0, tzinfo=UTC).isoformat()
    a = data(tbot("balances", "--known-at", utc, "--format", "json"))
    b = data(tbot("balances", "--known-at", "2026-03-04T15:00:00-05:00", "--format", "json"))
    assert a == b


def test_output_is_the_same_in_every_zone(played: Path) -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "runtime.cli", "journal", "--data-dir", str(played)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"TZ": zone},
        ).stdout
        for zone in ("UTC", "Pacific/Auckland")
    }
    assert len(outputs) == 1


def test_run_tells_every_setting_that_cannot_be_used(tbot: Tbot, tmp_path: Path) -> None:
    (tmp_path / ".env_bot").write_text("ENTITY_CODE=AB\nMAX_TRADE=3\nTIMEZONE=Mars/Base\n")
    refused = tbot("run", data_dir=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    for words in ("MAX_TRADE", "TIMEZONE", ".env_bot line 3", ".env: cannot be read"):
        assert words in refused.stderr
    assert "Traceback" not in refused.stderr
