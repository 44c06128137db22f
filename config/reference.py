"""The reference of all settings as Markdown, made from their tables.

``python -m config.reference > docs/reference/settings.md`` renews the file; a test compares.
"""

from __future__ import annotations

import sys

from config.setting_forms import Choice, Switch, Text, Words
from config.setting_keys import ENV, ENV_BOT, Key
from config.setting_model import IN_EFFECT, KEYS

HEAD = ("key", "kind", "allowed", "default", "restart", "meaning")
INTRODUCTION = f"""\
# Settings

Made from the tables in `config/setting_groups/` by `python -m config.reference`; do not edit.

- **Where.** Settings are given once, at set-up, and changed on the page Settings; every change is
  an event. After set-up no `.env` file is read: one that lies in the data folder is refused. In the
  vault each key is kept in the form of its file; credentials are in the file of their service.
- **File.** A group's keys are in `{ENV_BOT}` (how the bot trades, keeps its books and serves its
  pages) or in `{ENV}` (access to services). A key in the wrong file is refused. What is accepted in
  such a file is written at the head of `config/env_file.py`.
- **Default.** *required*: the key must be given, an example stands beside it. Any other key that is
  absent has the default that stands here; no value is ever guessed.
- **Fixed.** The four codes of the identity and the currency name the books: they never change.
- **Restart.** *yes*: a change waits until `tbot run` is started again. Those of mail hold at once,
  others from the next session on: one whose supervisor has started (`TBOT_SUPERVISOR_UTC_HHMM`)
  goes on with what held then.
- **Fractions.** Shares of something are fractions: 0.02 is 2 %.
- **○** Nothing reads the key in this version; it is checked and kept.
- Values that contradict each other are refused as well: `config/setting_rules.py`.
"""


def reference() -> str:
    groups: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for name, key in KEYS.items():
        groups.setdefault((key.group, key.file), []).append(_row(name, key))
    return "\n".join(
        [INTRODUCTION, *(_table(title, file, rows) for (title, file), rows in groups.items())]
    )


def _row(name: str, key: Key) -> tuple[str, ...]:
    mark = "" if name in IN_EFFECT else " ○"
    default = f"`{key.default_text}`" if key.default_text else "empty"
    return (
        f"`{name}`{mark}",
        f"{key.form.kind}: {key.form.unit}"
        if isinstance(key.form, Text | Words)
        else key.form.kind,
        key.form.allowed,
        f"required (`{key.default_text}`)" if key.required else default,
        "yes" if key.restart else "",
        f"{key.help}. {_off(key)}".rstrip(),
    )


def _off(key: Key) -> str:
    if not key.off:
        return ""
    value, meaning = key.off.split(": ", 1)
    shown = f"`{value}`" if isinstance(key.form, Switch | Choice) or value.isdigit() else value
    return f"{shown}: {meaning}."


def _table(title: str, file: str, rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = [HEAD, tuple("-" * w for w in widths), *rows]
    aligned = (
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in lines
    )
    return f"## {title}\n\nIn `{file}`.\n\n" + "\n".join(aligned) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
