"""Running totals of a growing ledger: what was posted since is all that is added, exactly."""

from collections.abc import Callable
from datetime import date

from aggregates.capital import RecordFee
from projections.ledger_records import NOW, AsOf

DATES = (date(2024, 1, 2), date(2024, 1, 3), None)


def test_they_stay_equal_to_the_books_through_late_fills_and_reversals(keeper) -> None:
    totals = keeper.books.running(*DATES)
    steps: list[Callable[[], int]] = [
        lambda: keeper.buy("10", "100.00"),
        lambda: keeper.sell("4", "101.00", "2024-01-03", commission="1.00"),
        lambda: keeper.capital(RecordFee, "0.37", "2024-01-04"),
        lambda: keeper.buy("2", "99.00", "2024-01-02"),  # late: the sale is re-costed
        lambda: keeper.reverse(keeper.buy("1", "50.00", "2024-01-03")),
        lambda: keeper.buy("3", "20.00", "2024-01-04", symbol="SPY", sleeve="holdings"),
    ]
    for step in steps:
        step()
        books = keeper.books
        assert totals.follow()
        assert not totals.follow(), "nothing was posted since"
        codes = {b.code.partition(".")[0] for b in books.balances()}
        assert len(codes) > 2
        for number, day in enumerate(DATES):
            as_of = NOW if day is None else AsOf(date=day)
            for code in codes:
                said = totals.of(code, number)
                assert str(said) == str(books.balance_of(code, as_of)), (code, day)


def test_an_account_that_was_never_posted_to_is_zero_with_the_currency_s_decimals(keeper) -> None:
    assert str(keeper.books.running(None).of("9999", 0)) == "0.00"
