"""The demo as a user runs it: one history everywhere, goes on after a stop, refuses nonsense."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Demo = Callable[..., subprocess.CompletedProcess[str]]
FEW = ("--from", "2026-03-02", "--to", "2026-03-03")


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """Run `tbot demo` in a folder of this test, with other environment variables when given."""

    def run(
        *options: str, folder: str = "demo", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "runtime.cli",
            "demo",
            "--data-dir",
            str(tmp_path / folder),
        ]
        return subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )

    return run


def head_hash(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return next(line.split()[-1] for line in result.stdout.splitlines() if "Head hash" in line)


def test_same_seed_same_head_hash_in_another_zone_locale_and_folder(demo: Demo) -> None:
    here = demo(*FEW, folder="a", TZ="UTC", PYTHONHASHSEED="1")
    there = demo(*FEW, folder="deeper/b c", TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="2")
    assert head_hash(here) == head_hash(there)


def test_another_seed_is_another_history(demo: Demo) -> None:
    assert head_hash(demo(*FEW, "--seed", "1", folder="a")) != head_hash(
        demo(*FEW, "--seed", "2", folder="b")
    )


def test_real_bars_give_the_same_history_under_another_zone(demo: Demo, marketdata: Path) -> None:
    options = ("--bars", str(marketdata), "--from", "2013-10-07", "--to", "2013-10-08")
    here = demo(*options, folder="a", TZ="America/New_York")
    there = demo(*options, folder="b", TZ="Australia/Lord_Howe", PYTHONHASHSEED="9")
    assert head_hash(here) == head_hash(there)
    assert "cash and units equal after every session" in here.stdout
    assert "none, all flat" in here.stdout


def test_played_again_it_prints_the_same_and_adds_nothing(demo: Demo) -> None:
    first, again = demo(*FEW), demo(*FEW)
    assert again.stdout == first.stdout


def test_a_folder_with_another_demo_is_refused_and_left_alone(demo: Demo, tmp_path: Path) -> None:
    demo(*FEW)
    before = contents(tmp_path / "demo")
    refused = demo(*FEW, "--seed", "2")
    assert refused.returncode == 2
    assert "holds a demo with other options" in refused.stderr
    assert contents(tmp_path / "demo") == before


def test_the_ledger_of_another_history_blocks_the_start(demo: Demo, tmp_path: Path) -> None:
    demo(*FEW, folder="a")
    demo(*FEW, "--seed", "2", folder="b")
    name = "output/DEMO_USA_SIM_01/ledgers/DEMO_USA_SIM_01_BOT_ledger.db"
    for end in ("-wal", "-shm"):
        (tmp_path / "b" / (name + end)).unlink(missing_ok=True)
    shutil.copy(tmp_path / "a" / name, tmp_path / "b" / name)
    balances = subprocess.run(
        [sys.executable, "-m", "runtime.cli", "balances", "--data-dir", str(tmp_path / "b")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert balances.returncode == 3
    assert "built from another history" in balances.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE coa_accounts SET name = 'Slush fund' WHERE account_code = '1010'", "accounts"),
        ("UPDATE books SET currency_code = 'EUR'", "currency"),
        ("ALTER TABLE entry_lines ADD COLUMN note TEXT", "entry_lines"),
    ],
)
def test_a_ledger_that_does_not_match_stops_the_start_and_is_logged(
    demo: Demo, tmp_path: Path, change: str, words: str
) -> None:
    demo(*FEW)
    ledger = tmp_path / "demo/output/DEMO_USA_SIM_01/ledgers/DEMO_USA_SIM_01_BOT_ledger.db"
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute(change)
    connection.close()
    events = (tmp_path / "demo/storage/events.db").read_bytes()
    stopped = demo(*FEW)
    assert stopped.returncode == 3
    assert words in stopped.stderr
    assert "start is blocked" in stopped.stderr
    assert (tmp_path / "demo/storage/events.db").read_bytes() == events
    log = (tmp_path / "demo/output/logs/main_bot.log").read_text().splitlines()
    assert json.loads(log[-1])["level"] == "FATAL"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but SQLite's own -wal and -shm."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


BAR = "2013-10-07T13:{:02}:00Z,10.00,10.10,9.90,10.00,5000"
QUOTE = "2013-10-07T13:{:02}:00Z,9.99,100,10.01,100"


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A folder of bars and quotes for one symbol and one day, whole and well."""
    for kind, head, row in (
        ("bars", "ts,open,high,low,close,volume", BAR),
        ("quotes", "ts,bid,bid_size,ask,ask_size", QUOTE),
    ):
        file = tmp_path / "csv" / kind / "TEST" / "2013-10-07.csv"
        file.parent.mkdir(parents=True)
        file.write_text("\n".join([head, *(row.format(m) for m in range(30, 60))]) + "\n")
    return tmp_path / "csv"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2013-10-07T13:40:00Z", "2013-10-07T13:38:00Z", "line 12"),
        ("T13:40:00Z,10.00", "T13:40:00Z,-10.00", "line 12"),
        (",volume", "", "volume"),
    ],
)
def test_bad_bars_stop_before_anything_is_written(
    demo: Demo, bars: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = bars / "bars" / "TEST" / "2013-10-07.csv"
    file.write_text(file.read_text().replace(old, new))
    result = demo("--bars", str(bars))
    assert result.returncode in (2, 3)
    assert message in result.stderr
    assert "2013-10-07.csv" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "demo").exists()


def test_a_hole_in_the_bars_stays_a_hole(demo: Demo, bars: Path) -> None:
    file = bars / "bars" / "TEST" / "2013-10-07.csv"
    kept = [line for line in file.read_text().splitlines() if "T13:4" not in line]
    file.write_text("\n".join(kept) + "\n")
    result = demo("--bars", str(bars))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "2013-10-12", "--to", "2013-10-13"),
        ("--from", "2020-01-01"),
        ("--symbols", "NOPE"),
    ],
)
def test_days_and_symbols_outside_the_data_are_named(
    demo: Demo, bars: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = demo("--bars", str(bars), *options)
    assert result.returncode in (2, 3)
    assert "Traceback" not in result.stderr
    assert "TEST" in result.stderr or "2013-10-07" in result.stderr or "NOPE" in result.stderr
    assert not (tmp_path / "demo").exists()


def test_logs_and_trade_history_hold_the_fields_of_the_specification(
    demo: Demo, tmp_path: Path
) -> None:
    demo(*FEW)
    output = tmp_path / "demo" / "output" / "DEMO_USA_SIM_01"
    wanted = {"timestamp", "strategy_name", "ticker", "side", "size", "entry_price", "exit_price",
              "PnL", "broker", "error_code"}  # fmt: skip
    for line in (output / "logs" / "open.log").read_text().splitlines():
        assert wanted <= json.loads(line).keys()
    history = sorted((output / "trades").glob("*.csv"))
    assert len(history) == 2
    assert wanted <= set(history[0].read_text().splitlines()[0].split(","))
    private = [
        p for p in (tmp_path / "demo").rglob("*") if p.is_file() and p.stat().st_mode & 0o077
    ]
    assert not private, "books, keys and logs are their owner's alone"
