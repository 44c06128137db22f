"""What `tbot checkpoint`, `tbot prove` and `tbot verify --checkpoint` do and say."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from aggregates.errors import DomainError
from config.clock import from_micros
from config.paths import DataFolder
from eventstore.checkpoint import Checkpoint
from exporters.files import write_atomically
from projections.base import Progress
from runtime import cli_read
from runtime.checkpoints import check_checkpoint, checkpoint_now, demo_seed
from runtime.cli_options import FAILED
from runtime.cli_output import utc
from runtime.demo import DemoPlan
from runtime.proving import consistency_proof, entry_proof
from runtime.queries import Queries
from security.keyfile import random_key
from security.signing import VerifierKey


def checkpoint(data_dir: Path, output: Path, progress: Progress) -> None:
    """Verify the chain, sign where it stands, keep it, and write it for others."""
    vkey = output.with_suffix(".vkey")
    if vkey == output:
        raise DomainError(f"{output} is where the verifier key goes; give another ending.")
    folder = DataFolder(data_dir)
    result = Queries(folder).verify_now(progress)
    if not result.intact:
        cli_read.verified(result)
        click.echo("Nothing was signed.")
        sys.exit(FAILED)
    signed = checkpoint_now(folder, _fresh_seed(folder))
    write_atomically(output, signed.note.encode())
    write_atomically(vkey, folder.checkpoint_vkey.read_bytes())
    click.echo(f"Wrote {output}: {_words(signed.checkpoint)}.")
    click.echo(f"Its verifier key is in {vkey}; keep both away from this machine.")


def _fresh_seed(folder: DataFolder) -> bytes:
    """For a folder that has no key yet."""
    if folder.demo.exists():
        plan = msgspec.json.decode(folder.demo.read_bytes(), type=DemoPlan)
        return demo_seed(plan.seed)
    return random_key()


def verify_checkpoint(data_dir: Path, path: Path, key: Path | None, progress: Progress) -> None:
    """Say that the checkpoint holds, or exit 1 with what does not."""
    signer = VerifierKey.read(key) if key is not None else None
    held = check_checkpoint(DataFolder(data_dir), path, signer, progress)
    click.echo(f"The checkpoint holds: {_words(held.checkpoint)}.")
    if held.books:
        rules = held.checkpoint.rules_version
        click.echo(f"The books equal their replay under posting rules {rules}.")
    else:
        click.echo("The books were not replayed: the keys of the payloads are not here.")


def entry(data_dir: Path, position: int, output: Path) -> None:
    proof, signed = entry_proof(DataFolder(data_dir), position)
    write_atomically(output, proof)
    click.echo(f"Wrote {output}: event {position:,} under the checkpoint of {_words(signed)}.")


def consistency(data_dir: Path, one: Path, other: Path, output: Path) -> None:
    proof, first, second = consistency_proof(DataFolder(data_dir), one, other)
    write_atomically(output, proof)
    click.echo(f"Wrote {output}: events 1 to {first:,} are the beginning of 1 to {second:,}.")


def _words(signed: Checkpoint) -> str:
    when = utc(from_micros(signed.recorded_at))
    return f"{signed.origin}, {signed.size:,} events, the last recorded {when}"
