"""Files of settings: what is accepted, and that every fault is told with its file and line."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.env_file import FILE_MAX, LINE_MAX, Reading, read_settings, read_text
from config.errors import ConfigError
from config.setting_keys import ENV, ENV_BOT
from config.setting_model import KEYS, Settings
from config.settings import settings_of

BOT = "".join(f"{n}={key.default_text}\n" for n, key in KEYS.items() if key.required)
START = BOT.count("\n")  # the number of lines before what a test adds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path)
    return tmp_path


def write(folder: Path, bot: str | bytes = "", env: str | bytes = "", start: str = BOT) -> None:
    for name, text in ((ENV_BOT, bot), (ENV, env)):
        content = text.encode() if isinstance(text, str) else text
        (folder / name).write_bytes((start.encode() if name == ENV_BOT else b"") + content)


def told(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read_settings(folder)
    first, *lines = str(refused.value).splitlines()
    assert first == f"{len(lines)} setting(s) cannot be used; nothing was started:"
    return [line.strip() for line in lines]


def test_both_files_together_are_the_settings(folder: Path) -> None:
    assert read_settings(folder) == Settings()
    write(
        folder,
        "# a comment\n\n  # another\r\n  MAX_TRADES = 3  \r\n\tMIN_PRICE=\t'7.50'\n"
        'TRADING_DAYS="mon,fri"',
        "SMTP_USERNAME=bot\nSMTP_PASSWORD=' a#b $HOME \\n \"x\" '\nFINNHUB_API_KEY=abc#def=ghi\n",
    )
    found = read_settings(folder)
    assert (found.MAX_TRADES, str(found.MIN_PRICE)) == (3, "7.50")
    assert found.TRADING_DAYS == ("mon", "fri")
    assert found.SMTP_PASSWORD.reveal() == ' a#b $HOME \\n "x" ', "nothing is expanded"
    assert found.FINNHUB_API_KEY.reveal() == "abc#def=ghi"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("MAX_TRADES=-1", "MAX_TRADES = '-1': below the least allowed"),
        ("MAX_TRADS=5", "MAX_TRADS: no such setting (did you mean MAX_TRADES?)"),
        ("МAX_TRADES=5", "U+041C CYRILLIC CAPITAL LETTER EM (did you mean MAX_TRADES?)"),
        ("export MAX_TRADES=5", "leave out the word export"),
        ("MAX_TRADES", "no KEY=VALUE"),
        ("MAX_TRADES: 5", "no KEY=VALUE"),
        ("MAX_TRADES=5 # few", "MAX_TRADES: holds # after a space"),
        ("MAX_TRADES= # few", "MAX_TRADES: holds # after a space"),
        ("MAX_TRADES='5' # few", "MAX_TRADES: the quote that opens the value does not close"),
        ("MAX_TRADES='5", "MAX_TRADES: the quote that opens"),
        ("MAX_TRADES='", "MAX_TRADES: the quote that opens"),
        ("MAX_TRADES='5'5'", "MAX_TRADES: holds the quote that it is written in"),
        ("MAX_TRADES=${MORE}", "MAX_TRADES = '${MORE}': not a number"),
        ("MAX_TRADES=5\x00", "MAX_TRADES: holds the control character U+0000"),
        ("MAX_TRADES=5\r6", "MAX_TRADES: holds the control character U+000D"),
        ("MAX_TRADES=" + "5" * LINE_MAX, f"MAX_TRADES: longer than {LINE_MAX} characters"),
        ("MAX_TRADES=", "MAX_TRADES = '': not a number"),
        ("ALPACA_API_KEY=hunter2hunter2", "ALPACA_API_KEY: belongs in .env, not here"),
        ("BOT_ID=02", "BOT_ID: stands in line 4 already"),
        ("=hunter2", "it may be a secret"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_with_its_number(
    folder: Path, line: str, words: str
) -> None:
    write(folder, f"# first\n{line}\n")
    (fault,) = told(folder)
    assert fault.startswith(f".env_bot line {START + 2}: ")
    assert words in fault
    assert "hunter2" not in fault
    assert fault.isprintable()


def test_every_fault_of_both_files_is_told_at_once(folder: Path) -> None:
    write(folder, "MAX_TRADES=x\nTYPO=1\nDAILY_LOSS_LIMIT=0.001\n", "SMTP_PORT=0\n???\n", start="")
    lines = told(folder)
    places = [re.match(r"\.env(_bot)? line \d+", line) for line in lines]
    assert [place[0] for place in places if place] == [
        *(".env_bot line 1", ".env_bot line 2", ".env line 1", ".env line 2")
    ]
    assert sum("missing" in line for line in lines) == START
    assert "MAX_RISK_PER_TRADE = 0.005, DAILY_LOSS_LIMIT = 0.001" in lines[-1]
    assert len(lines) == 4 + START + 1


def test_a_line_that_could_not_be_read_is_told_once(folder: Path) -> None:
    write(folder, "MAX_RISK_PER_TRADE='0.01\nDAILY_LOSS_LIMIT=0.001\n")
    (fault,) = told(folder)
    assert "MAX_RISK_PER_TRADE: the quote" in fault
    write(folder, "MAX_TRADES=few\nMAX_TRADES=more\n")
    (fault,) = told(folder)
    assert f"line {START + 2}: MAX_TRADES: stands in line {START + 1} already" in fault


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MAX_TRADES=1\nENTITY_CODE=\xff\n", ".env_bot: line 2: not UTF-8"),
        (b"\xef\xbb\xbfMAX_TRADES=1\n", ".env_bot: line 1: begins with a byte order mark"),
        ("MAX_TRADES=1\n".encode("utf-16"), ".env_bot: line 1: not UTF-8"),
        (b"#" * (FILE_MAX + 1), f".env_bot: longer than {FILE_MAX} bytes"),
    ],
)
def test_a_file_that_is_no_text_is_one_fault(folder: Path, content: bytes, words: str) -> None:
    write(folder, content, "SMTP_PORT=0\n", start="")
    whole, port = told(folder)
    assert whole.startswith(words)
    assert port.startswith(".env line 1: SMTP_PORT = '0'")


def test_a_file_that_is_missing_or_a_folder_is_one_fault(folder: Path) -> None:
    (folder / ENV_BOT).unlink()
    assert told(folder) == [f".env_bot: cannot be read in {folder}: No such file or directory"]
    write(folder)
    (folder / ENV).unlink()
    (folder / ENV).mkdir()
    assert told(folder) == [f".env: cannot be read in {folder}: Is a directory"]


def test_a_secret_pasted_with_line_breaks_is_not_shown(folder: Path) -> None:
    pasted = "FINNHUB_API_KEY='MIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC=\nJBSWY3DPEHPK3PXPJBSWY3DP=='\n"
    write(folder, env=pasted)
    message = "\n".join(told(folder))
    assert message.count("\n") == 2
    for part in ("MIIEvQ", "hkiG9w", "JBSWY3"):
        assert part not in message


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_settings_or_a_refusal_and_nothing_else(content: bytes) -> None:
    reading = Reading()
    read_text(reading, ENV_BOT, BOT.encode() + content)
    try:
        message = repr(settings_of(reading.given, reading.faults, reading.told))
    except ConfigError as e:
        message = str(e).replace("\n", "")
    assert message.isprintable()
