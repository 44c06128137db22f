"""Who may do what: every route of the site, once. A route that is not listed answers nobody."""

from __future__ import annotations

from aggregates.users import ROLES

# Who is not signed in may ask these: they show nothing of the bot.
PUBLIC = frozenset({"public"})
EVERYBODY = frozenset(ROLES)
ADMIN = frozenset({"admin"})
OPERATORS = frozenset({"operator", "admin"})
BOOKKEEPERS = frozenset({"accountant", "admin"})
REVIEWERS = frozenset({"compliance", "admin"})

PERMISSIONS: dict[str, frozenset[str]] = {
    "static": PUBLIC,
    # the door
    "sign_in.page": PUBLIC,
    "sign_in.code": PUBLIC,
    "sign_in.out": EVERYBODY,
    "sign_in.reset": PUBLIC,
    # one's own account, everybody's accounts, and who did what
    "users.me": EVERYBODY,
    "users.password": EVERYBODY,
    "users.factor": EVERYBODY,
    "users.remove_factor": EVERYBODY,
    "users.sign_out_everywhere": EVERYBODY,
    "users.every": ADMIN,
    "users.new": ADMIN,
    "users.one": ADMIN,
    "users.role": ADMIN,
    "users.deactivate": ADMIN,
    "users.reactivate": ADMIN,
    "users.reset": ADMIN,
    "users.lift_factor": ADMIN,
    "activity.show": REVIEWERS,
    # lines about people are for whom the page of activity is for
    "logs.show": OPERATORS | REVIEWERS,
    # open to who has the one-time token, and only until there is an admin (web/setup_gate.py)
    "setup.begin": PUBLIC,
    "setup.step": PUBLIC,
    "setup.recovery": PUBLIC,
    "setup.recovery_file": PUBLIC,
    "setup.summary": PUBLIC,
    "setup.progress": PUBLIC,
    "setup.admin": PUBLIC,
    # the present, and what is asked of the bot
    "live.now": EVERYBODY,
    "live.events": EVERYBODY,
    "control.start": OPERATORS,
    "control.stop": OPERATORS,
    "control.kill": OPERATORS,
    "control.reset": ADMIN,
    "control.defense": OPERATORS,
    "control.difference": ADMIN,
    # what is shown of the day, the books and their history
    "day.today": EVERYBODY,
    "day.every": EVERYBODY,
    "day.one": EVERYBODY,
    "ledger.trial_balance": EVERYBODY,
    "ledger.journal": EVERYBODY,
    "ledger.account": EVERYBODY,
    "difference.report": EVERYBODY,
    # money that moved without a trade: what happened is booked by who runs the bot or keeps its
    # books, what a reserve pays and what was wrong by who keeps them; a reserve is released by an
    # admin
    "capital.show": EVERYBODY,
    "capital.entry": OPERATORS | BOOKKEEPERS,
    "capital.payout": BOOKKEEPERS,
    "capital.reverse": BOOKKEEPERS,
    "capital.release": ADMIN,
    # what programs ask
    "api.openapi": EVERYBODY,
    "api.status": EVERYBODY,
    "api.balances": EVERYBODY,
    "api.accounts": EVERYBODY,
    "api.register": EVERYBODY,
    "api.chart": EVERYBODY,
    "api.journal": EVERYBODY,
    "api.events": EVERYBODY,
    "api.nothing": EVERYBODY,
    # the chart of accounts
    "accounts.tree": EVERYBODY,
    "accounts.roles": EVERYBODY,
    "accounts.versions": EVERYBODY,
    "accounts.difference": EVERYBODY,
    "accounts.export": EVERYBODY,
    "accounts.new": BOOKKEEPERS,
    "accounts.account": BOOKKEEPERS,
    "accounts.role": BOOKKEEPERS,
    "accounts.check": BOOKKEEPERS,
    "accounts.edit": BOOKKEEPERS,
    # the long-term holdings: everybody reads, an admin sets the plan, operators run it
    "holdings.grid": EVERYBODY,
    "holdings.now": EVERYBODY,
    "holdings.versions": EVERYBODY,
    "holdings.check": ADMIN,
    "holdings.save": ADMIN,
    "holdings.back": ADMIN,
    "holdings.put_back": ADMIN,
    "holdings_security.one": EVERYBODY,
    "holdings_files.every": EVERYBODY,
    "holdings_files.file": EVERYBODY,
    "rebalancing.preview": EVERYBODY,
    "rebalancing.top_up": EVERYBODY,
    "rebalancing.outcome": EVERYBODY,
    "rebalancing.ask": OPERATORS,
    "rebalancing.ask_for_top_up": OPERATORS,
    "rebalancing.take_back": OPERATORS,
    # what is looked at, and what is blocked: everybody reads, who runs the bot blocks
    "screens.show": EVERYBODY,
    "screens.universe": EVERYBODY,
    "blocklist.show": EVERYBODY,
    "screens.test": OPERATORS,
    "blocklist.block": OPERATORS,
    "blocklist.unblock": OPERATORS,
    "history.events": EVERYBODY,
    "history.event": EVERYBODY,
    # what is no secret of the settings is read by everybody; an admin changes
    "settings.show": EVERYBODY,
    "settings.revisions": EVERYBODY,
    "settings.check": ADMIN,
    "settings.review": ADMIN,
    "settings.edit": ADMIN,
    "settings.save": ADMIN,
    # what is bought on weakness: everybody reads, who runs the bot maps funds
    "bearish.show": EVERYBODY,
    "bearish.put": OPERATORS,
    "bearish.take_out": OPERATORS,
    "mails.show": ADMIN,
    # the keys: places and public halves, and what renews them
    "keys.show": ADMIN,
    "keys.introduction": ADMIN,
    "keys.signer": ADMIN,
    "keys.root": ADMIN,
    "keys.renew": ADMIN,
    "proof.badge": EVERYBODY,
    "proof.verify": EVERYBODY,
    "proof.show_help": EVERYBODY,
    "jobs.every": EVERYBODY,
    "jobs.cancel": OPERATORS | REVIEWERS,
}
