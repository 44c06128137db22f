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

    def output(self, identity: str) -> Path:
        return self.root / "output" / identity

    def ledger(self, identity: str) -> Path:
        """M02: output/{IDENTITY}/ledgers/{IDENTITY}_BOT_ledger.db."""
        return self.output(identity) / "ledgers" / f"{identity}_BOT_ledger.db"

    def ledger_snapshots(self, identity: str) -> Path:
        return self.output(identity) / "ledgers" / "snapshots"

    def logs(self, identity: str) -> Path:
        return self.output(identity) / "logs"

    def summaries(self, identity: str) -> Path:
        return self.output(identity) / "summaries"

    def trades(self, identity: str) -> Path:
        return self.output(identity) / "trades"
