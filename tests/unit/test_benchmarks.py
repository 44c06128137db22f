"""`make bench` at a tiny size: what it reports and when it refuses to; never how long it took."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def bench(
    tmp_path: Path, *options: str, path: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A run of 150 trades and one round, with ``path`` as the PATH that programs are found on."""
    command = [sys.executable, "-m", "benchmarks", "--trades", "150", "--rounds", "1"]
    command += ["--appends", "20", "--folder", str(tmp_path), *options]
    env = os.environ | {"PATH": path} | variables
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def figures(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by section, the first word of whose title names it."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(file.read_text())["rows"]:
        sections.setdefault(row["section"].partition(" ")[0], []).append(row)
    return sections


def test_every_part_reports_figures_and_all_programs_agree(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "figures.json"
    parts = "appends views verification rebuild questions proofs pages".split()
    ran = bench(tmp_path, "--only", *parts, "--json", str(file), path=os.environ["PATH"])

    assert ran.returncode == 0, ran.stderr
    found = figures(file)
    assert list(found) == [
        "Durable", "Views", "Verification", "Rebuilding", "Questions", "Proofs", "Pages",
    ]  # fmt: skip
    for rows in found.values():
        for row in rows:
            assert row["name"].strip() in ran.stdout
            if "ours" not in row:
                assert row["note"].startswith(("equal in all programs", "not installed ("))
                continue
            for figure in ("ours", "theirs", "ratio"):
                median, low, high = row.get(figure, (0, 0, 0))
                assert low <= median <= high, row
    rebuilds = [r for r in found["Rebuilding"] if "rebuild" in r["name"]]
    assert len(rebuilds) == 4, "ours against four of other programs"
    assert found["Rebuilding"][-1]["note"].startswith("equal in all programs, ")
    assert "MB" in ran.stdout
    assert "round 1 of 1" in ran.stderr, "progress is told apart from the figures"
    assert list(tmp_path.iterdir()) == [file.parent], "what was worked on is gone"


def test_a_program_that_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    (nothing := tmp_path / "bin").mkdir()
    ran = bench(tmp_path, "--only", "rebuild", "--json", str(file), path=str(nothing))

    assert ran.returncode == 0, ran.stderr
    notes = {r["name"].partition(" | ")[2]: r.get("note") for r in figures(file)["Rebuilding"][:4]}
    assert notes == {
        "hledger, exported journal": "not installed (hledger)",
        "hledger, book values only": "not installed (hledger)",
        "beancount, exported journal": None,
        "ledger-cli, book values only": "not installed (ledger)",
    }
    assert ran.stdout.count("not installed (hledger)") == 2


def test_no_figure_when_a_program_disagrees_about_a_balance(tmp_path: Path) -> None:
    (programs := tmp_path / "bin").mkdir()
    wrong = programs / "hledger"
    wrong.write_text(
        '#!/bin/sh\necho \'"account","balance"\'\necho \'"assets:1010 Cash float","1.00 USD"\'\n'
    )
    wrong.chmod(0o755)
    ran = bench(tmp_path, "--only", "rebuild", path=str(programs))

    assert ran.returncode == 1
    assert "No figures: hledger, exported journal says 100 for account 1010" in ran.stderr
    assert ran.stdout == ""


def test_the_engine_and_the_wire_report_figures_without_other_programs(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    nowhere = {"BENCH_EXTRAS": str(tmp_path / "nowhere")}
    parts = ("--only", "engine", "wire", "--json", str(file))
    ran = bench(tmp_path, *parts, path=os.environ["PATH"], **nowhere)

    assert ran.returncode == 0, ran.stderr
    found = figures(file)
    notes = [row.get("note") for row in found["7,800"]]
    assert notes[:2] == ["not installed (backtrader)", "not installed (nautilus_trader)"]
    assert found["7,800"][2]["ours"][0] > 0, "bars a second"
    assert [row["unit"] for row in found["From"]] == ["ms", "ms"]


def test_no_figure_when_an_engine_does_other_trades(tmp_path: Path) -> None:
    (package := tmp_path / "extras" / "lib" / "python3" / "site-packages" / "backtrader").mkdir(
        parents=True
    )
    (python := package.parents[3] / "bin" / "python").parent.mkdir()
    python.write_text(
        '#!/bin/sh\necho \'{"seconds": 1, "version": "0", "trades": [[0, "MADEAA", 31, 32]]}\'\n'
    )
    python.chmod(0o755)
    extras = {"BENCH_EXTRAS": str(tmp_path / "extras")}
    ran = bench(tmp_path, "--only", "engine", path=os.environ["PATH"], **extras)

    assert ran.returncode == 1
    assert "No figures: backtrader did 1 trades where 6 were due" in ran.stderr
    assert "[0, 'MADEAA', 31, 32]" in ran.stderr
    assert ran.stdout == ""


def test_sizes_that_make_no_sense_are_usage_errors(tmp_path: Path) -> None:
    ran = bench(tmp_path, "--rounds", "0", path=os.environ["PATH"])
    assert ran.returncode == 2
    assert "--rounds must be at least 1" in ran.stderr
