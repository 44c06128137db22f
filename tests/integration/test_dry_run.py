"""What a dry run shows is what is posted afterwards, and the dry run itself leaves nothing."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from aggregates.base import Command
from aggregates.books import ClosePeriod, ExpectBooks, ReverseEntry
from aggregates.capital import RecordDeposit, RecordDividend, RecordWithdrawal
from aggregates.errors import DomainError
from aggregates.instrument import RecordSplit
from brokers.port import Broker
from config.calendar import TradingCalendar
from config.clock import VirtualClock
from config.paths import DataFolder
from config.settings import demo_settings
from projections.ledger_records import Entry
from runtime.bootstrap import Bot
from runtime.corrections import reverse_entry
from runtime.demo import plan_of, play
from runtime.dispatch import BooksMoved
from runtime.dry_run import dry_run

LATER = datetime(2026, 3, 9, 15, 0, tzinfo=UTC)
DAY = date(2026, 3, 9)
OWN: dict[str, Any] = {
    "at": LATER, "effective_date": DAY, "currency": "USD", "amount": Decimal("250.00"),
    "reason": "as stated", "reference": "wire 1",
}  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    folder = DataFolder(tmp_path_factory.mktemp("week") / "demo")
    play(folder, plan_of(None, None, None, (), seed=1), lambda *_: None)
    return folder


@pytest.fixture
def bot(played: DataFolder, tmp_path: Path) -> Iterator[Bot]:
    """The demo week in a copy, the Monday after; nothing here talks to a broker."""
    shutil.copytree(played.root, tmp_path / "demo")
    found = Bot(
        DataFolder(tmp_path / "demo"), demo_settings(), clock=VirtualClock(LATER),
        broker=cast(Broker, None), calendar=TradingCalendar("XNYS", DAY, DAY),
        fresh_blind_key=b"",
    )  # fmt: skip
    found.views.catch_up()
    yield found
    found.close()


def fills(bot: Bot, side: str) -> list[int]:
    rows = bot.views.feed.page(topics=("Order.Filled",), text=f'"side":"{side}"')
    return [row.position for row in rows]


def posted(bot: Bot, command: Command) -> list[Entry]:
    """What it posts when it is carried out, seen first."""
    seen = dry_run(bot.store, bot.folder, command)
    expect = ExpectBooks(at=LATER, effective_date=DAY, position=seen.position)
    done = bot.dispatch(expect, *seen.commands, command_id="test")
    bot.views.catch_up()
    found = list(bot.views.books.journal(position=done.positions[0]))
    assert list(seen.entries) == found
    return found


@pytest.mark.parametrize(
    ("kind", "more"),
    [(RecordDeposit, {}), (RecordWithdrawal, {}),
     (RecordDividend, {"symbol": "ALFA", "withheld": Decimal("37.50")})],
    ids=["deposit", "withdrawal", "dividend"],
)  # fmt: skip
def test_a_movement_of_money(bot: Bot, kind: type[Command], more: dict[str, Any]) -> None:
    (entry,) = posted(bot, kind(**OWN, **more))
    assert sum(p.amount for p in entry.postings) == 0


def test_a_split_of_what_is_held(bot: Bot) -> None:
    sale = fills(bot, "sell")[0]
    reverse_entry(bot, sale, "the broker withdrew it")  # its units are back
    symbol = bot.views.books.positions()[0].symbol
    split = RecordSplit(
        at=LATER, effective_date=DAY, instrument_id=f"XNYS:{symbol}", new_units=2, old_units=1
    )
    (units,) = posted(bot, split)
    assert [p.quantity for p in units.postings] == [bot.views.books.positions()[0].quantity / 2]


def test_a_reversal(bot: Bot) -> None:
    undone = ReverseEntry(
        at=LATER, effective_date=DAY, reversed_position=fills(bot, "sell")[-1], reason="wrong"
    )
    found = posted(bot, undone)
    assert found[0].description.startswith("Reversal of event")


def test_a_closed_period_shows_the_day_that_it_is_posted_on(bot: Bot) -> None:
    bot.dispatch(
        ClosePeriod(at=LATER, effective_date=DAY, through=date(2026, 3, 6), reason="filed"),
        command_id="close",
    )
    late = msgspec.structs.replace(RecordDeposit(**OWN), effective_date=date(2026, 3, 3))
    (entry,) = posted(bot, late)
    assert entry.effective_date == date(2026, 3, 7)


def test_a_dry_run_leaves_nothing(bot: Bot) -> None:
    before = bot.store.head(), bot.views.ledger.digest()
    for _ in range(2):
        run = dry_run(bot.store, bot.folder, RecordDeposit(**OWN))
        assert run.after.float == run.before.float + 250
    assert (bot.store.head(), bot.views.ledger.digest()) == before


def test_what_a_rule_forbids_is_refused_in_its_words(bot: Bot) -> None:
    buy = fills(bot, "buy")[0]
    command = ReverseEntry(at=LATER, effective_date=DAY, reversed_position=buy, reason="wrong")
    with pytest.raises(DomainError, match="units would be negative"):
        dry_run(bot.store, bot.folder, command)
    opened = msgspec.structs.replace(command, reversed_position=1)
    with pytest.raises(DomainError, match="posted no entry that could be reversed"):
        dry_run(bot.store, bot.folder, opened)


def test_nothing_is_recorded_once_the_books_have_moved(bot: Bot) -> None:
    seen = dry_run(bot.store, bot.folder, RecordDeposit(**OWN))
    other = msgspec.structs.replace(RecordDeposit(**OWN), reference="wire 2")
    bot.dispatch(other, command_id="meanwhile")
    expect = ExpectBooks(at=LATER, effective_date=DAY, position=seen.position)
    with pytest.raises(BooksMoved, match="Nothing was changed"):
        bot.dispatch(expect, *seen.commands, command_id="late")
    assert bot.store.head().position == seen.position + 1
