"""What `tbot export history` and `tbot import-history` do and say."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import click

from config.paths import DataFolder
from eventstore.history_format import Chain
from projections.base import Progress
from runtime import cli_read
from runtime.cli_options import FAILED
from runtime.history_transfer import export_history, import_history
from runtime.queries import Queries


def export(data_dir: Path, output: Path, progress: Progress) -> None:
    """Verify the store, write it and its checkpoints to one file, say what was written."""
    folder = DataFolder(data_dir)
    result = Queries(folder).verify_now(progress)
    if not result.intact:
        cli_read.verified(result)
        click.echo("Nothing was written.")
        sys.exit(FAILED)
    written = export_history(folder, output, progress)
    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    click.echo(f"Wrote {output}: {_words(written)}.")
    click.echo(f"{output.stat().st_size:,} bytes, SHA-256 {digest}")
    click.echo(f"Head hash {written.head.hex()}")
    click.echo(f"{_readable(written)} It holds no key.")


def load(source: Path, data_dir: Path, progress: Progress) -> None:
    """Make a data folder of an exported history, and say what it can and cannot do."""
    folder = DataFolder(data_dir)
    history = import_history(source, folder, progress)
    click.echo(f"Imported {_words(history.chain)} into {data_dir}.")
    click.echo(f"Head hash {history.chain.head.hex()}")
    if history.header.key:
        click.echo(
            f"The key of its checkpoints came with it: {history.header.key}\n"
            "To rely on more than the file, hold a checkpoint and a key against it that you got on "
            f"another way:\n  tbot verify --data-dir {data_dir} --checkpoint FILE --key VKEY"
        )
    if history.chain.sealed:
        click.echo(
            f"{history.chain.sealed:,} of its payloads are sealed, and an export holds no keys: "
            "`tbot verify` checks\nthe chain here, but no books can be built. To go on with this "
            "bot here, stop it there, copy\nits storage/VAULT and storage/gen here, too, then run\n"
            f"  tbot restore-keys --data-dir {data_dir} --recovery-key FILE"
        )
        return
    click.echo(
        "All reading commands work. An export holds no keys, so nothing can be recorded here. To "
        "go on with\nthis bot here, stop it there and copy its key files by hand, with mode 0600:\n"
        f"  {folder.blind_key}\n  {folder.checkpoint_key}\n"
        "Then run `tbot verify` again: with the first key it checks the commitments too."
    )


def _readable(chain: Chain) -> str:
    """Who can read what in an exported file."""
    in_clear = chain.position - chain.sealed
    if not chain.sealed:
        return "Every payload in it is in clear: keep it from others' eyes."
    if not in_clear:
        return "Every payload in it is sealed; who did what kind of thing when is in clear."
    return (
        f"{in_clear:,} of its payloads, from before there was a vault, are in clear: keep it from "
        f"others' eyes. {chain.sealed:,} are sealed."
    )


def _words(chain: Chain) -> str:
    some = "no" if not chain.checkpoints else f"{chain.checkpoints:,}"
    plural = "" if chain.checkpoints == 1 else "s"
    return f"{chain.position:,} events and {some} checkpoint{plural}"
