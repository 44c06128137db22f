"""The way to Finnhub: its key in no text, a single call that tests it, and disks that refuse."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from beside import beside

from config.paths import DataFolder
from config.setting_forms import Secret
from config.settings import demo_settings
from runtime.connection_tests import try_finnhub, try_market_data
from screeners.kept_answers import Answer, KeptAnswers
from screeners.port import Facts, ScreenerError

rig_module, fakes = beside("integration/screening_rig"), beside("fakes/finnhub_server")
START = rig_module.datetime(2026, 3, 3, 12, tzinfo=rig_module.UTC)


def tried(rig: Any, key: str = fakes.KEY) -> Any:
    settings = replace(demo_settings(), FINNHUB_API_KEY=Secret(key), API_TIMEOUT=1)
    return try_finnhub(settings, rig.server.base)


def test_a_good_key_is_told_by_one_call(rig: Any) -> None:
    rig.market.add(fakes.Share("AAPL"))
    assert tried(rig) == ("Market data FINNHUB", True, "Finnhub accepts the key and tells prices.")
    assert rig.server.calls == ["quote AAPL"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("keys_refused", "refuses the key"), ("429", "HTTP 429"), ("504_before", "HTTP 504"),
        ("malformed_after", "makes no sense"), ("empty", "makes no sense"),
        ("mute_before", "no answer in time"), ("reset_before", "no connection"),
        ("echo", "HTTP 403"),
    ],
)  # fmt: skip
def test_a_failure_is_told_at_once_and_without_the_key(
    rig: Any, fault: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    rig.server.hold_s = 1.5
    rig.market.add(fakes.Share("AAPL"))
    rig.server.fault(fault, times=9)
    result = tried(rig)
    assert result.passed is False
    assert said in result.said
    assert rig.server.count("GET", "") == 1
    assert "canary" not in result.said + caplog.text


def test_no_price_is_no_sound_answer(rig: Any) -> None:
    rig.server.told["quote"] = {"c": 0, "t": 0}
    assert "not with a price" in tried(rig).said


def test_the_key_goes_in_a_header_to_one_place(rig: Any) -> None:
    rig.market.add(fakes.Share("AAPL"))
    tried(rig)
    asked = rig.server.asked[0]
    assert asked.headers["x-finnhub-token"] == fakes.KEY
    assert fakes.KEY not in asked.path
    assert "token" not in asked.path


def test_files_that_are_wrong_are_told(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.market_data.mkdir()
    (folder.market_data / "screen.csv").write_text("symbol,price\nA,zero\n")
    result = try_market_data(folder, demo_settings())
    assert result.passed is False
    assert "'zero' is no number" in result.said


def test_answers_are_private_and_the_newest_counts(tmp_path: Path) -> None:
    path = tmp_path / "screens" / "answers.jsonl"
    kept = KeptAnswers(path)
    old, new = Facts(symbol="A"), Facts(symbol="A", exchange="XNYS")
    later = START + rig_module.timedelta(days=1)
    kept.keep(Answer("quote", "A", START, (old,)))
    kept.keep(Answer("quote", "A", later, (new,)))
    kept.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    kept = KeptAnswers(path)
    assert kept.find("quote", "A", later) == (new,)
    assert kept.find("quote", "A", later + rig_module.timedelta(seconds=1)) is None
    assert kept.find("volume", "A", START) is None
    kept.forget_old(later + rig_module.timedelta(days=29))
    assert path.read_bytes().count(b"\n") == 1
    kept.forget_old(later + rig_module.timedelta(days=31))
    assert path.read_bytes() == b""
    kept.close()


def test_a_folder_that_cannot_be_written_ends_the_screen_in_words(rig: Any) -> None:
    rig.folder.screens.mkdir(parents=True)
    # a link is not followed
    (rig.folder.screens / "answers.jsonl").symlink_to("/dev/full")
    rig.market.add(fakes.Share("A"), fakes.Share("B", mic="XNAS"))
    rig.close_of()
    said = rig.start().rebuild_universe()
    assert "answers.jsonl cannot be used" in said
    assert "Nothing more was asked" in said


def test_a_full_disk_loses_no_answer_that_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptAnswers(tmp_path / "answers.jsonl")
    kept.keep(Answer("quote", "A", START, (Facts(symbol="A"),)))

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(ScreenerError, match="No space left on device"):
        kept.keep(Answer("quote", "B", START, (Facts(symbol="B"),)))
    kept.close()
    kept = KeptAnswers(tmp_path / "answers.jsonl")
    assert kept.find("quote", "A", START) == (Facts(symbol="A"),)
    kept.close()


def test_a_redirect_is_not_followed_with_the_key(make_rig: Any) -> None:
    rig, other = make_rig(), make_rig()
    other.market.add(fakes.Share("AAPL"))
    rig.server.knows = lambda _headers: False
    rig.server.no_keys = lambda: (302, {}, {"Location": f"{other.server.base}/quote?symbol=AAPL"})
    assert "HTTP 302" in tried(rig).said
    assert other.server.asked == []
