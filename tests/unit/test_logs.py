"""What is logged is weighed, cleaned of secrets, and written whole or not at all."""

import csv
import io
import json
import os
import stat
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import demo_settings
from runtime import logs
from runtime.log_files import FIELDS, LOGS, closed_logs
from runtime.log_reading import Wanted, lines_backwards, logs_here, page_of
from runtime.log_secrets import KnownValues
from runtime.log_writing import Shape, append, drop_closed
from runtime.logs import Pipeline, Rules, append_line

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
CANARY = "canary orchid/lantern+4711"


class Knows:
    """Who knows one secret text and one key."""

    def now(self) -> KnownValues:
        return KnownValues([CANARY, bytes(range(32))])


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test has the logging of a fresh process."""
    monkeypatch.setattr(logs._Process, "pipeline", Pipeline(known=Knows()))
    monkeypatch.setattr(logs._Process, "held", None)
    return


def set_to(monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    rules = Rules.of(demo_settings(texts))
    monkeypatch.setattr(logs._Process, "pipeline", Pipeline(rules, Knows()))


def read(path: Path) -> list[dict[str, str]]:
    """As somebody else's program reads it."""
    text = path.read_text()
    if text.startswith("{"):
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text)))


# -- lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_every_line_has_the_fields_of_the_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    set_to(monkeypatch, LOG_FORMAT=form)
    path = tmp_path / "output" / "logs" / "main_bot.log"
    append_line(path, NOW, "INFO", "the first", ticker="SPY", error_code="x", where="here")
    append_line(path, NOW, "WARNING", "the second\nin two lines", size=3)
    first, second = read(path)
    assert list(first) == list(FIELDS)
    assert {"timestamp", "strategy_name", "ticker", "side", "size", "entry_price", "exit_price",
            "PnL", "broker", "error_code"} <= first.keys()  # fmt: skip
    assert first["timestamp"] == "2026-03-02T14:30:00.000000Z"
    assert (first["ticker"], first["message"]) == ("SPY", "the first (where here)")
    assert (second["level"], second["size"]) == ("WARNING", "3")
    assert len(path.read_text().splitlines()) == (3 if form == "CSV" else 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        ({"DEBUG_LOG_LEVEL": "DEBUG"}, ["DEBUG", "INFO", "WARNING", "ERROR", "FATAL", "strange"]),
        ({}, ["INFO", "WARNING", "ERROR", "FATAL", "strange"]),
        ({"DEBUG_LOG_LEVEL": "ERROR"}, ["ERROR", "FATAL", "strange"]),
        ({"ENABLE_LOGGING": "false", "DEBUG_LOG_LEVEL": "DEBUG"}, ["ERROR", "FATAL", "strange"]),
    ],
)
def test_lighter_lines_are_not_written_and_switched_off_only_errors_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: dict[str, str], kept: list[str]
) -> None:
    set_to(monkeypatch, **texts)
    path = tmp_path / "main_bot.log"
    for level in ("DEBUG", "INFO", "WARNING", "ERROR", "FATAL", "strange"):
        append_line(path, NOW, level, "said")
    assert [line["level"] for line in read(path)] == kept


def test_switched_off_nothing_is_written_not_even_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to(monkeypatch, ENABLE_LOGGING="false")
    append_line(tmp_path / "logs" / "main_bot.log", NOW, "WARNING", "said")
    assert list(tmp_path.iterdir()) == []


def test_until_the_settings_are_read_lines_wait_and_are_judged_by_them(tmp_path: Path) -> None:
    path, folder = tmp_path / "main_bot.log", DataFolder(tmp_path / "bot")
    logs.hold()
    append_line(path, NOW, "INFO", "starts")
    assert not path.exists()
    append_line(path, NOW, "FATAL", "cannot start")  # what led to it is seen
    assert [line["message"] for line in read(path)] == ["starts", "cannot start"]
    logs.hold()
    append_line(path, NOW, "INFO", "starts again")
    logs.use(folder, replace(demo_settings(), ENABLE_LOGGING=False))
    assert len(read(path)) == 2


# -- secrets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["CSV", "JSON"])
@pytest.mark.parametrize(
    "text",
    [
        CANARY, "canary%20orchid%2Flantern%2B4711", "canary+orchid%2Flantern%2B4711",
        CANARY.encode().hex(), b64encode(CANARY.encode()).decode(), bytes(range(32)).hex(),
        b64encode(bytes(range(32))).decode().rstrip("="), repr(bytes(range(32))),
    ],
)  # fmt: skip
def test_a_known_secret_is_replaced_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, text: str
) -> None:
    set_to(monkeypatch, LOG_FORMAT=form)
    path = tmp_path / "main_bot.log"
    append_line(path, NOW, "INFO", f"key={text}&x, {text}{text}", broker=text, unknown=text)
    try:
        raise ValueError(f"cannot use {text}")
    except ValueError as e:
        append_line(path, NOW, "ERROR", "failed", exc_info=e)
    written = path.read_text()
    assert text not in written
    assert text.replace("\\", "\\\\") not in written
    assert "(secret)" in written


def test_a_secret_setting_and_bytes_show_nothing_even_when_nobody_knows_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "main_bot.log"
    append_line(path, NOW, "INFO", "x", a=Secret("hunter2hunter2"), b=b"hunter2hunter2")
    assert "hunter2" not in path.read_text()
    assert "14 bytes" in path.read_text()


def test_a_traceback_names_places_and_errors_and_no_variable(tmp_path: Path) -> None:
    def fail(password: str) -> None:
        local = password + "-local"
        raise ValueError(f"of {len(local)} characters")

    try:
        fail("hunter2hunter2")
    except ValueError as e:
        logs.log_error(DataFolder(tmp_path), NOW, e, "A page failed")
    (tmp_path / "output" / "ACME" / "logs").mkdir(parents=True)
    logs.log_error(DataFolder(tmp_path), NOW, KeyError("gone"), "Another")
    (line,) = read(tmp_path / "output/logs/main_bot.log")
    assert (line["level"], line["error_code"]) == ("ERROR", "ValueError")
    assert line["message"].startswith("A page failed\nTraceback")
    assert "test_logs.py" in line["message"]
    assert "of 20 characters" in line["message"]
    assert "hunter2hunter2-local" not in line["message"]
    (line,) = read(tmp_path / "output/ACME/logs/error_tracebacks.log")
    assert "KeyError: 'gone'" in line["message"]


@settings(max_examples=60)
@given(
    st.lists(st.text("abc", min_size=4, max_size=8), min_size=1, max_size=5),
    st.text("abcd", max_size=40),
)
def test_nothing_known_is_left_and_nothing_else_is_touched(secrets: list[str], text: str) -> None:
    hidden = KnownValues(secrets).hide(text)
    assert not any(secret in hidden.replace("(secret)", "\0") for secret in secrets)
    if not any(form in text for secret in secrets for form in (secret, secret.encode().hex())):
        assert hidden == text


# -- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-cmd", "@SUM(A1)", "--", "-1e5+A1"])
def test_free_text_never_becomes_a_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    set_to(monkeypatch, LOG_FORMAT="CSV")
    path = tmp_path / "main_bot.log"
    append_line(path, NOW, "INFO", text, PnL="-12.50", strategy_name=text)
    (line,) = read(path)
    assert line["message"] == line["strategy_name"] == f"'{text}"
    assert line["PnL"] == "-12.50"  # a number stays one


@settings(max_examples=100)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.sampled_from(["CSV", "JSON"]))
def test_whatever_is_said_is_one_record_and_one_line(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], form: Any
) -> None:
    path = tmp_path_factory.mktemp("logs") / "main_bot.log"
    pipeline = Pipeline(Rules(shape=Shape(form=form)))
    for text in texts:
        line = pipeline.line("INFO", text, {"timestamp": "t", "ticker": text})
        assert line is not None
        assert pipeline.write(path, [line])
    raw = path.read_bytes().decode()
    assert len(raw.splitlines()) == len(texts) + (form == "CSV")
    found = read(path)
    assert len(found) == len(texts)
    assert list(lines_backwards(path))[::-1] == found
    if form == "JSON":
        assert [line["message"] for line in found] == texts


# -- files -----------------------------------------------------------------------------------


def line(text: str, at: datetime = NOW) -> dict[str, str]:
    return {"timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", "level": "INFO", "message": text}


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_a_full_file_is_closed_with_a_stamp_and_no_line_is_lost(tmp_path: Path, form: Any) -> None:
    path, closed = tmp_path / "main_bot.log", list[Path]()
    shape = Shape(form=form, longest=2000, closed=closed.append)
    lines = [line(f"number {n}", NOW + timedelta(seconds=n)) for n in range(100)]
    append(path, FIELDS, lines[:60], shape)
    append(path, FIELDS, lines[60:], shape)
    parts = [log.path for log in closed_logs(tmp_path)]
    assert parts == closed
    assert len(parts) > 1
    assert all(part.stat().st_size <= 2000 for part in [*parts, path])
    found = [row["message"] for part in [*parts, path] for row in read(part)]
    assert found == [f"number {n}" for n in range(100)]
    one_by_one = tmp_path / "one" / "main_bot.log"
    for each in lines:
        append(one_by_one, FIELDS, [each], shape)
    names = sorted(p.name for p in one_by_one.parent.iterdir())
    assert names == sorted(p.name for p in tmp_path.iterdir() if p.is_file())
    assert all((tmp_path / n).read_bytes() == (one_by_one.parent / n).read_bytes() for n in names)


def test_two_files_closed_in_one_second_have_two_names(tmp_path: Path) -> None:
    path = tmp_path / "main_bot.log"
    append(path, FIELDS, [line("x" * 100) for _ in range(3)], Shape(form="JSON", longest=300))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "main_bot.20260302T143000Z-2.log", "main_bot.20260302T143000Z.log", "main_bot.log",
    ]  # fmt: skip


def test_another_form_begins_another_file(tmp_path: Path) -> None:
    path = tmp_path / "main_bot.log"
    append(path, FIELDS, [line("a")], Shape())
    append(path, FIELDS, [line("b")], Shape(form="CSV"))
    append(path, FIELDS, [line("c")], Shape())  # before the settings are read: as the file is
    (closed,) = closed_logs(tmp_path)
    assert [row["message"] for row in read(closed.path)] == ["a"]
    assert [row["message"] for row in read(path)] == ["b", "c"]


@pytest.mark.parametrize("torn", ["half a line", '{"timestamp": "2026', "x" * 70_000])
def test_what_a_kill_left_of_a_line_is_taken_off(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "main_bot.log"
    append(path, FIELDS, [line("whole")], Shape())
    with path.open("a") as file:
        file.write(torn)
    assert [row["message"] for row in lines_backwards(path)] == ["whole"]
    append(path, FIELDS, [line("next")], Shape())
    assert [row["message"] for row in read(path)] == ["whole", "next"]


def test_old_closed_files_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    kept = ["main_bot.log", "main_bot.20260301T000000Z.log", "notes.20200101T000000Z.log", "a.txt"]
    gone = ["main_bot.20260101T000000Z.log", "open.20260101T000000Z-2.log.age"]
    for name in kept + gone:
        (tmp_path / name).touch()
    drop_closed(tmp_path, NOW, timedelta(days=30))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def test_many_writers_at_once_lose_and_tear_nothing(tmp_path: Path) -> None:
    path, shape = tmp_path / "main_bot.log", Shape(form="JSON", longest=20_000)

    def write(writer: int) -> None:
        for n in range(60):
            append(path, FIELDS, [line(f"{writer}/{n}")], shape)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    parts = [*(log.path for log in closed_logs(tmp_path)), path]
    found = [row["message"] for part in parts for row in read(part)]
    assert sorted(found) == sorted(f"{w}/{n}" for w in range(3) for n in range(60))


def lay_folder(path: Path) -> None:
    path.mkdir()


def lay_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def lay_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("lay", [lay_folder, lay_link, lay_pipe])
def test_a_log_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], lay: Any
) -> None:
    path = tmp_path / "main_bot.log"
    lay(path)
    for _ in range(3):
        append_line(path, NOW, "INFO", "said")
    said = capfd.readouterr().err
    assert said.count("cannot be written") == 1
    assert "trading goes on" in said
    assert "main_bot.log cannot be written" in logs.trouble()
    assert not path.with_name("elsewhere").exists()
    path.rmdir() if path.is_dir() else path.unlink()
    append_line(path, NOW, "INFO", "again")
    assert logs.trouble() == ""
    assert [row["message"] for row in read(path)] == ["again"]


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "main_bot.log"
    append_line(path, NOW, "INFO", "before")
    before, write = path.read_bytes(), os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(handle, data[: len(data) // 2])

    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        append_line(path, NOW, "INFO", "lost")
        assert "No space left" in logs.trouble()
        assert path.read_bytes() == before
    append_line(path, NOW, "INFO", "after")
    assert [row["message"] for row in read(path)] == ["before", "after"]


# -- reading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["CSV", "JSON"])
def test_pages_hold_every_line_once_newest_first(tmp_path: Path, form: Any) -> None:
    path = tmp_path / "main_bot.log"
    lines = [line(f"{n} " + "x" * (n * 37 % 900)) for n in range(300)]
    append(path, FIELDS, lines, Shape(form=form))
    seen, before = list[str](), None
    while before != 0:
        page = page_of(path, Wanted(), 50, before)
        seen += [row["message"].split()[0] for row in page.lines]
        before = page.before
    assert seen == [str(n) for n in reversed(range(300))]
    found = page_of(path, Wanted(text="299 "), 50)
    assert [row["message"][:4] for row in found.lines] == ["299 "]
    assert found.before == 0


def test_the_files_that_are_there_are_listed_and_nothing_beside_them(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    own = folder.logs("ACME")
    for path in (
        folder.global_logs / "main_bot.log", folder.global_logs / "secret.log", own / "open.log",
        folder.global_logs / "main_bot.20260302T143000Z.log", own / "main_bot.log",
        folder.global_logs / "router.20260302T143000Z.log.age",
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    keys = [part.key for part in logs_here(folder)]
    assert keys == ["main_bot", "ACME/open", "main_bot.20260302T143000Z"]


def test_every_log_of_the_specification_is_in_the_table() -> None:
    wanted = (
        "main_bot heartbeat router screener kill_switch provisioning system_users "
        "user_activity_monitoring test_mode password_reset start_log stop_log "
        "open mid close unresolved_orders error_tracebacks"
    )
    assert set(wanted.split()) <= LOGS.keys()
