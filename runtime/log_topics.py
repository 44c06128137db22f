"""What is logged of the history: topic → files, level, words. One table, nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aggregates import (
    blocklist,
    books,
    capital,
    chart_of_accounts,
    configuration,
    control,
    holdings,
    holdings_plan,
    holdings_requests,
    instrument,
    inverse_etfs,
    keys,
    reconciliation,
    screen,
    user_activity,
    users,
)
from aggregates import order_messages as orders
from aggregates import session as sessions
from aggregates.base import Event
from runtime import log_words as words
from runtime.log_files import STRATEGIES
from runtime.log_words import Fields, Words

STRATEGY = "(strategy)"  # open, mid or close: that of the line


class Route(NamedTuple):
    files: tuple[str, ...]
    level: str
    words: Words


def files_of(route: Route, line: Fields) -> Iterator[str]:
    """The names of the files that a line goes to: the route's, and what ``also`` adds."""
    strategy = line.get("strategy_name", "").lower()
    for name in (*route.files, *filter(None, [line.get("also", "")])):
        if name != STRATEGY:
            yield name
        elif strategy in STRATEGIES:
            yield strategy


MAIN = ("main_bot",)
TRADE = ("main_bot", STRATEGY)
ROUTED = ("main_bot", "router")
UNRESOLVED = ("main_bot", "unresolved_orders")
SCREENS = ("main_bot", "screener")
STARTS, STOPS = ("main_bot", "start_log"), ("main_bot", "stop_log")
KILLS = ("main_bot", "kill_switch")
PEOPLE, DOOR = ("system_users",), ("user_activity_monitoring",)
PASSWORDS = ("system_users", "password_reset")

ROUTES: dict[type[Event], Route] = {
    # the day
    sessions.SessionOpened: Route(STARTS, "INFO", words.says("session {e.label} opened")),
    sessions.SessionClosed: Route(STOPS, "INFO", words.says("session {e.label} closed")),
    sessions.PhaseStarted: Route(ROUTED, "INFO", words.says("phase {e.phase} started")),
    sessions.PhaseEnded: Route(ROUTED, "INFO", words.says("phase {e.phase} ended: {e.outcome}")),
    sessions.Decided: Route(TRADE, "INFO", words.decided),
    sessions.SessionReconciled: Route(MAIN, "INFO", words.reconciled),
    # orders
    orders.OrderIntended: Route(TRADE, "DEBUG", words.intended),
    orders.OrderSubmitted: Route(TRADE, "DEBUG", words.order("sent")),
    orders.OrderAccepted: Route(TRADE, "DEBUG", words.order("accepted as {e.broker_order_id}")),
    orders.OrderFilled: Route(TRADE, "INFO", words.filled),
    orders.OrderCancelRequested: Route(TRADE, "INFO", words.order("cancelling: {e.reason}")),
    orders.OrderCancelled: Route(TRADE, "INFO", words.order("cancelled: {e.reason}")),
    orders.OrderRejected: Route(TRADE, "WARNING", words.order("rejected: {e.reason}")),
    orders.OrderExpired: Route(TRADE, "INFO", words.order("expired")),
    orders.OrderOutcomeUnknown: Route(TRADE, "WARNING", words.unknown),
    # our books against the broker
    reconciliation.DifferenceFound: Route(UNRESOLVED, "ERROR", words.difference),
    reconciliation.DifferenceGone: Route(UNRESOLVED, "INFO", words.says(
        "difference {e.difference_id} is gone")),
    reconciliation.DifferenceAccepted: Route(UNRESOLVED, "WARNING", words.done_by(
        "difference {e.difference_id} of {e.amount} accepted: {e.reason}")),
    reconciliation.BrokerNotKnown: Route(MAIN, "WARNING", words.says(
        "not compared ({e.occasion}): {e.reason}")),
    reconciliation.BrokerKnownAgain: Route(MAIN, "INFO", words.says(
        "the broker can be asked again ({e.occasion})")),
    reconciliation.Compared: Route(MAIN, "INFO", words.compared),
    # start, stop, kill
    control.ControlRequested: Route(MAIN, "INFO", words.asked),
    control.ControlAnswered: Route(MAIN, "INFO", words.answered),
    control.KillStarted: Route(KILLS, "ERROR", words.says("kill begun ({e.source}): {e.reason}")),
    control.KillStepDone: Route(KILLS, "ERROR", words.step),
    control.Killed: Route(KILLS, "ERROR", words.killed),
    control.KillReset: Route(KILLS, "WARNING", words.done_by("kill switch reset: {e.reason}")),
    control.DefenseSwitched: Route(MAIN, "WARNING", words.defense),
    # what is looked at
    screen.UniverseRebuilt: Route(SCREENS, "INFO", words.universe),
    screen.UniverseNotRebuilt: Route(SCREENS, "WARNING", words.says(
        "no new universe from {e.source}: {e.reason}")),
    screen.CandidatesChosen: Route(SCREENS, "INFO", words.candidates),
    blocklist.SymbolBlocked: Route(SCREENS, "WARNING", words.done_by(
        "{e.symbol} blocked: {e.reason}")),
    blocklist.SymbolUnblocked: Route(SCREENS, "WARNING", words.done_by(
        "{e.symbol} no longer blocked: {e.reason}")),
    inverse_etfs.InverseEtfMapped: Route(MAIN, "INFO", words.done_by(
        "weakness of {e.underlying} buys {e.etf} × {e.leverage}: {e.reason}")),
    inverse_etfs.InverseEtfUnmapped: Route(MAIN, "INFO", words.done_by(
        "weakness of {e.underlying} no longer buys {e.etf}: {e.reason}")),
    # the books
    books.BooksOpened: Route(("main_bot", "provisioning"), "INFO", words.says(
        "books of {e.identity} opened in {e.currency}")),
    books.RulesAdopted: Route(MAIN, "INFO", words.says("posting rules {e.rules_version} adopted")),
    books.PeriodClosed: Route(MAIN, "INFO", words.says(
        "books closed up to {e.through}: {e.reason}")),
    books.EntryReversed: Route(MAIN, "WARNING", words.says(
        "entry of event {e.reversed_position} reversed: {e.reason}")),
    capital.CapitalDeposited: Route(MAIN, "INFO", words.capital("deposited")),
    capital.CapitalWithdrawn: Route(MAIN, "INFO", words.capital("withdrawn")),
    capital.DividendReceived: Route(MAIN, "INFO", words.capital("dividend")),
    capital.TaxWithheld: Route(MAIN, "INFO", words.capital("tax withheld on {e.symbol}")),
    capital.InterestReceived: Route(MAIN, "INFO", words.capital("interest")),
    capital.FeeCharged: Route(MAIN, "INFO", words.capital("fee")),
    capital.MarginInterestCharged: Route(MAIN, "INFO", words.capital("margin interest")),
    capital.RoundingSettled: Route(MAIN, "INFO", words.capital("rounding")),
    capital.CapitalEarmarked: Route(MAIN, "INFO", words.capital("earmarked")),
    capital.ReserveReleased: Route(MAIN, "WARNING", words.done_by(
        "{e.purse_from} released, {e.amount:f} {e.currency}: {e.reason}")),
    chart_of_accounts.ChartAdopted: Route(MAIN, "INFO", words.says(
        "chart of accounts, version {e.chart.version}, adopted: {e.reason}")),
    chart_of_accounts.ChartChanged: Route(MAIN, "INFO", words.says(
        "chart of accounts: {e.subject} {e.what}: {e.reason}")),
    instrument.InstrumentRegistered: Route(MAIN, "DEBUG", words.says("{e.symbol} registered")),
    instrument.InstrumentRenamed: Route(MAIN, "INFO", words.says(
        "{e.symbol_before} is called {e.symbol}")),
    instrument.InstrumentSplit: Route(MAIN, "INFO", words.says(
        "{e.symbol} split: {e.new_units} for {e.old_units}")),
    # the long-term holdings
    holdings.GainsAllocated: Route(MAIN, "INFO", words.says(
        "gains of {e.first} to {e.through} allocated: tax {e.tax:f}, payroll {e.payroll:f}, "
        "reinvested {e.reinvested:f}")),
    holdings.BatchIntended: Route(MAIN, "INFO", words.says(
        "holdings: {e.side} orders of {e.batch} are planned")),
    holdings.StepDone: Route(MAIN, "INFO", words.says("holdings, {e.step}: {e.outcome}")),
    holdings_plan.HoldingsPlanSaved: Route(MAIN, "INFO", words.plan_saved),
    holdings_requests.HoldingsRequested: Route(MAIN, "INFO", words.done_by(
        "holdings, {e.request_id} asked: {e.reason}")),
    holdings_requests.RequestStarted: Route(MAIN, "INFO", words.says(
        "holdings, {e.request_id} started")),
    holdings_requests.Rebalanced: Route(MAIN, "INFO", words.says(
        "holdings, {e.request_id}: {e.said}")),
    holdings_requests.HoldingsAnswered: Route(MAIN, "INFO", words.says(
        "holdings, {e.request_id} {e.outcome}: {e.said}")),
    # settings and keys
    configuration.SettingsAdopted: Route(MAIN, "INFO", words.says("settings adopted: {e.reason}")),
    configuration.SettingsChanged: Route(MAIN, "INFO", words.settings),
    keys.KeysRotated: Route(MAIN, "DEBUG", words.says(
        "all keys rotated, generation {e.generation}")),
    keys.KeysRenewed: Route(MAIN, "INFO", words.says("keys renewed by hand: {e.reason}")),
    keys.SignerIntroduced: Route(MAIN, "INFO", words.says(
        "key to sign with introduced: {e.reason}")),
    # people
    users.UserRegistered: Route(PEOPLE, "INFO", words.of_user("registered as {e.role}")),
    users.RoleChanged: Route(PEOPLE, "INFO", words.of_user(
        "was {e.before}, is {e.role}: {e.reason}")),
    users.UserDeactivated: Route(PEOPLE, "INFO", words.of_user("deactivated: {e.reason}")),
    users.UserReactivated: Route(PEOPLE, "INFO", words.of_user("reactivated: {e.reason}")),
    users.SecondFactorEnrolled: Route(PEOPLE, "INFO", words.of_user("has a second factor")),
    users.SecondFactorRemoved: Route(PEOPLE, "INFO", words.of_user(
        "has no second factor: {e.reason}")),
    users.PasswordChanged: Route(PASSWORDS, "INFO", words.of_user("has a new password ({e.way})")),
    user_activity.ResetLinkMade: Route(("password_reset",), "INFO", words.of_user(
        "was given a link to set a password ({e.sent}, {e.minutes} min)")),
    user_activity.SignedIn: Route(DOOR, "INFO", words.of_user("signed in from {e.address}")),
    user_activity.SignedOut: Route(DOOR, "INFO", words.of_user("signed out")),
    users.SignedOutEverywhere: Route(DOOR, "INFO", words.of_user("signed out everywhere")),
    users.RecoveryCodeUsed: Route(DOOR, "WARNING", words.of_user("used a recovery code")),
    user_activity.SignInFailed: Route(DOOR, "WARNING", words.failed),
    user_activity.AccessDenied: Route(DOOR, "WARNING", words.of_user(
        "was refused {e.method} {e.route} as {e.role}")),
}  # fmt: skip

# Recorded all day long for the books' sake: prices that open positions were valued at.
QUIET = frozenset({sessions.PricesMarked.topic})
