"""Where everything lies below the data folder; nothing else in the code names a path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFolder:
    """The data folder of one bot. Paths need no identity until the books are open."""

    root: Path

    @property
    def events(self) -> Path:
        """The append-only store."""
        return self.root / "storage" / "events.db"

    @property
    def storage(self) -> Path:
        """Store, keys and secrets; security.vault says what of it is the vault's."""
        return self.root / "storage"

    @property
    def vault(self) -> Path:
        """The number of the vault; a folder without it (a demo) has no vault."""
        return self.storage / "VAULT"

    @property
    def blind_key(self) -> Path:
        """Key of the per-event blinds (32 bytes, 0600)."""
        return self.root / "storage" / "keys" / "blind.key"

    @property
    def checkpoint_key(self) -> Path:
        """Seed of the Ed25519 key that signs checkpoints (32 bytes, 0600)."""
        return self.root / "storage" / "keys" / "checkpoint.key"

    @property
    def checkpoints(self) -> Path:
        """Signed checkpoints: apart from the store, so that a copy of them can live elsewhere."""
        return self.root / "checkpoints"

    @property
    def checkpoint_vkey(self) -> Path:
        """The public half of the checkpoint key, for whoever verifies."""
        return self.checkpoints / "checkpoint.vkey"

    def checkpoint(self, position: int) -> Path:
        return self.checkpoints / f"{position:012d}.checkpoint"

    @property
    def signer_proofs(self) -> Path:
        """The line of signing keys: a proof for each new one, under the one before."""
        return self.checkpoints / "keys"

    def signer_proof(self, number: int) -> Path:
        return self.signer_proofs / f"{number:03d}.json"

    @property
    def orders_view(self) -> Path:
        return self.root / "storage" / "projections" / "orders.db"

    @property
    def performance_view(self) -> Path:
        return self.root / "storage" / "projections" / "performance.db"

    @property
    def merkle_nodes(self) -> Path:
        """Nodes of the Merkle tree over the store; made anew with every checkpoint."""
        return self.root / "storage" / "projections" / "merkle.nodes"

    @property
    def sessions(self) -> Path:
        """Who is signed in to the pages (0600): no history, and lost without harm."""
        return self.root / "storage" / "sessions.db"

    @property
    def control(self) -> Path:
        """What main, the pages and the supervisor tell each other through."""
        return self.root / "control"

    @property
    def run_lock(self) -> Path:
        """Held by the one `tbot run` of this folder."""
        return self.control / "run.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the one process that intends orders and asks the broker."""
        return self.control / "supervisor.lock"

    @property
    def pulse(self) -> Path:
        """Written by whoever trades as long as its loop goes on; main looks at its time."""
        return self.control / "supervisor.pulse"

    @property
    def bot_state(self) -> Path:
        """The bot's state in one word (M20), for whoever looks from outside."""
        return self.control / "bot_state.txt"

    @property
    def status(self) -> Path:
        """What the running session tells the pages and whoever watches; no truth of its own."""
        return self.control / "status.json"

    @property
    def alerts(self) -> Path:
        """How the mails to people stand; told anew all the time, no truth of its own."""
        return self.control / "alerts.json"

    @property
    def alerts_outbox(self) -> Path:
        """Alerts that wait to be mailed, and what became of others. Not made from the events alone:
        lost, what happened before its loss is mailed no more."""
        return self.root / "storage" / "projections" / "alerts.db"

    def flag(self, action: str) -> Path:
        """control_start.flag, control_stop.flag, control_kill.flag: a request (M21)."""
        return self.control / f"control_{action}.flag"

    @property
    def provisioning(self) -> Path:
        """There while the bot is being provisioned: what a kill leaves is finished or dropped."""
        return self.control / "provisioning"

    @property
    def setup_token(self) -> Path:
        """The one-time token that opens the set-up pages (0600)."""
        return self.root / "storage" / "setup_token"

    @property
    def market_data(self) -> Path:
        """What the simulated broker fills on: bars/SYM/DAY.csv and quotes/SYM/DAY.csv."""
        return self.root / "market_data"

    @property
    def vix(self) -> Path:
        """Levels of VIX for a broker that has none: docs/decisions/0036."""
        return self.market_data / "vix.csv"

    @property
    def screens(self) -> Path:
        """What the screener told, kept to be asked less, and the facts of each screen (0600)."""
        return self.root / "screens"

    @property
    def simulated_broker(self) -> Path:
        """The simulated broker's own file: the other side, not a view of our events."""
        return self.root / "simulated_broker" / "broker.db"

    @property
    def demo(self) -> Path:
        """What a demo was started with; marks the folder as one."""
        return self.root / "demo.json"

    @property
    def global_logs(self) -> Path:
        return self.root / "output" / "logs"

    @property
    def log_position(self) -> Path:
        """How far the history is logged; lost, the logs are held against it from the start."""
        return self.root / "storage" / "projections" / "logs.json"

    def output(self, identity: str) -> Path:
        return self.root / "output" / identity

    def ledger(self, identity: str) -> Path:
        """M02: output/{IDENTITY}/ledgers/{IDENTITY}_BOT_ledger.db."""
        return self.output(identity) / "ledgers" / f"{identity}_BOT_ledger.db"

    def ledgers(self, identity: str) -> Path:
        """The ledger and what is exported beside it."""
        return self.output(identity) / "ledgers"

    def ledger_files(self) -> list[Path]:
        """The ledgers that are here, whatever their identity: one, in a folder of one bot."""
        return sorted(self.root.glob("output/*/ledgers/*_BOT_ledger.db"))

    def ledger_snapshots(self, identity: str) -> Path:
        return self.output(identity) / "ledgers" / "snapshots"

    def logs(self, identity: str) -> Path:
        return self.output(identity) / "logs"

    def holdings_picture(self, identity: str) -> Path:
        """Of a demo of the long-term holdings."""
        return self.output(identity) / "holdings.svg"

    def summaries(self, identity: str) -> Path:
        return self.output(identity) / "summaries"

    def trades(self, identity: str) -> Path:
        return self.output(identity) / "trades"
