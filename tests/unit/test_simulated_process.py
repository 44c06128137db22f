"""The broker in a process of its own: the same bytes anywhere, nothing lost when it is killed."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
    import sys, time
    from datetime import UTC, date, datetime, timedelta
    from decimal import Decimal
    from pathlib import Path
    from brokers.port import DuplicateOrder, OrderRefused, OrderRequest
    from brokers.simulated import SimulatedBroker
    from brokers.synthetic import SyntheticMarketData
    from config.calendar import SessionHours
    from config.clock import VirtualClock

    day = date(2025, 11, 24)
    session = SessionHours(day, datetime(2025, 11, 24, 14, 30, tzinfo=UTC),
                           datetime(2025, 11, 24, 21, tzinfo=UTC))

    class Calendar:
        def session(self, asked):
            return session if asked == day else None
        def settles_on(self, asked):
            return asked + timedelta(days=1)

    market = SyntheticMarketData(5, [session])
    clock = VirtualClock(session.open + timedelta(minutes=2))
    broker = SimulatedBroker(Path(sys.argv[1]), market, clock, Calendar(),
                             starting_cash=Decimal(1_000_000), seed=5, reject_share=Decimal("0.02"))

    def trade():
        for number in range(380):
            clock.wait_until(session.open + timedelta(minutes=2 + number))
            symbol = market.symbols()[number % 5]
            request = OrderRequest(
                client_order_id=f"order-{number}", symbol=symbol, side="buy", order_type="market",
                quantity=Decimal(number + 1) / 8)
            try:
                broker.submit(request)
            except (OrderRefused, DuplicateOrder):
                continue
            print(request.client_order_id, flush=True)
"""
PRINT_ALL = """
    trade()
    clock.wait_until(session.close)
    for fill in broker.fills_since(0):
        print(fill)
    print(broker.account(), broker.positions(), broker.self_check(), market.describe())
"""
CHECK = """
    broker.clock()
    clock.wait_until(session.close)
    print("faults", broker.self_check())
    for name in sys.argv[2:]:
        print(name, broker.order(name).state)
    trade()
    print("again", broker.self_check())
"""


def command(part, *arguments):
    text = textwrap.dedent(SCRIPT) + textwrap.dedent(part)
    return [sys.executable, "-c", text, *map(str, arguments)]


def environment(**more):
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def test_the_same_seed_gives_the_same_bytes_whatever_the_zone_and_hash_seed(tmp_path):
    printed = [
        subprocess.run(
            command(PRINT_ALL, tmp_path / f"{number}.db"),
            env=environment(TZ=zone, PYTHONHASHSEED=hash_seed, LC_ALL="C"),
            capture_output=True,
            check=True,
        ).stdout
        for number, (zone, hash_seed) in enumerate([("UTC", "1"), ("Asia/Kolkata", "2")])
    ]
    assert printed[0] == printed[1]
    assert printed[0].count(b"Execution(") > 380


def test_two_processes_on_one_file_neither_block_nor_double(tmp_path):
    file = tmp_path / "broker.db"
    both = [
        subprocess.Popen(
            command("    trade()\n", file), env=environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    accepted = [name for process in both for name in process.communicate()[0].split()]
    assert [process.returncode for process in both] == [0, 0]
    assert len(accepted) == len(set(accepted)) > 200
    seen = subprocess.run(
        command(CHECK, file), env=environment(), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert seen == ["faults []", "again []"]


@pytest.mark.parametrize("acknowledged", [3, 90, 240])
def test_killed_at_any_moment_it_has_every_acknowledged_order_and_sums_that_hold(
    tmp_path, acknowledged
):
    file = tmp_path / "broker.db"
    with subprocess.Popen(
        command("    trade()\n", file), env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        names = [process.stdout.readline().strip() for _ in range(acknowledged)]
        process.kill()
        names += process.stdout.read().split("\n")[:-1]  # what it said before it died

    seen = subprocess.run(
        command(CHECK, file, *names), env=environment(), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert seen[0] == "faults []"
    assert [line.split()[0] for line in seen[1 : len(names) + 1]] == names
    assert seen[-1] == "again []"
