"""The settings as fields of a form: made from the model, read back without trusting anything.

``field_groups`` gives what ``setting_macros.html`` draws; ``read_form`` gives the texts that came
back. A secret is never drawn: its field is empty, and what is typed there replaces it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from werkzeug.datastructures import MultiDict

from config.setting_check import Finding
from config.setting_faults import unknown
from config.setting_forms import Choice, Number, SecretText, Switch, WallTime, Whole
from config.setting_keys import Key
from config.setting_model import IN_EFFECT, KEYS

# What a form of settings sends beside the settings themselves.
BESIDE = frozenset({"csrf", "command_id", "seen", "reason", "draft", "clear"})
CLEAR = "clear"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One setting on a page. ``text`` is as typed, ``current`` what is in force.

    ``event`` is the position of the event that set it, 0 for the default. For a secret:
    ``given`` says whether there is one in force (None: not told), ``kept`` that a new one was
    typed and is kept until the form is saved, ``cleared`` that its box is ticked.
    """

    name: str
    key: Key
    text: str
    current: str
    faults: tuple[str, ...] = ()
    event: int = 0
    fixed: bool = False
    given: bool | None = None
    kept: bool = False
    cleared: bool = False

    @property
    def widget(self) -> str:
        """switch, choice, time, secret, or text."""
        form = self.key.form
        if isinstance(form, Switch):
            return "switch"
        if isinstance(form, Choice):
            return "choice"
        if isinstance(form, WallTime) and ":" in form.shape:
            return "time"
        return "secret" if isinstance(form, SecretText) else "text"

    @property
    def choices(self) -> tuple[str, ...]:
        """The choices, and what was typed when it is none of them."""
        assert isinstance(self.key.form, Choice)  # noqa: S101 - asked for choices only
        listed = self.key.form.choices
        return listed if self.text in listed else (*listed, self.text)

    @property
    def inputmode(self) -> str:
        form = self.key.form
        if isinstance(form, Whole | WallTime):
            return "numeric"
        return "decimal" if isinstance(form, Number) else "text"

    @property
    def unit(self) -> str:
        """What stands behind the field; empty where the words of ``allowed`` say it all."""
        form = self.key.form
        return form.unit.strip("()") if isinstance(form, Number | WallTime) else ""

    @property
    def help(self) -> str:
        if not self.key.off:
            return f"{self.key.help}."
        value, meaning = self.key.off.split(": ", 1)
        if self.widget == "switch":
            value = "On" if value == "true" else "Off"
        return f"{self.key.help}. {value[:1].upper()}{value[1:]}: {meaning}."

    @property
    def in_effect(self) -> bool:
        """Whether this version reads it at all."""
        return self.name in IN_EFFECT

    @property
    def changed(self) -> bool:
        return self.kept or self.cleared or (not self.key.secret and self.text != self.current)


class FieldGroup(NamedTuple):
    """Settings that belong together; ``id`` is the anchor of their heading."""

    id: str
    title: str
    fields: list[Field]


@dataclass
class Sent:
    """What a form sent: texts by key (secrets too), and what cannot even be read as a setting.

    ``cleared`` are the secrets whose box was ticked; they stand in ``texts`` as empty.
    """

    texts: dict[str, str] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    faults: list[Finding] = field(default_factory=list)

    @property
    def secrets(self) -> dict[str, str]:
        """Secrets that were typed anew."""
        return {n: text for n, text in self.texts.items() if text and KEYS[n].secret}


def read_form(form: MultiDict[str, str], beside: Collection[str] = BESIDE) -> Sent:
    """The settings of a form. A setting that it leaves out is left out here: it stays as it is.

    So does a secret whose field is empty. ``beside`` are the other fields that the form may have.
    """
    sent = Sent()
    for name, texts in form.lists():
        if name in KEYS:
            _read(sent, name, texts)
        elif name not in beside:
            sent.faults.append(Finding((name,), unknown(name, KEYS)))
    for name in form.getlist(CLEAR):
        _clear(sent, name)
    return sent


def _read(sent: Sent, name: str, texts: list[str]) -> None:
    key = KEYS[name]
    # a box that is not ticked sends nothing, so an unseen "false" goes before each
    if isinstance(key.form, Switch) and texts == ["false", "true"]:
        texts = ["true"]
    if len(texts) > 1:
        sent.faults.append(Finding((name,), "was sent more than once; load the page again"))
    if texts[0] or not key.secret:
        sent.texts[name] = texts[0]


def _clear(sent: Sent, name: str) -> None:
    if name not in KEYS or not KEYS[name].secret:
        sent.faults.append(Finding((), "only secrets can be cleared; load the page again"))
    elif name in sent.texts:
        said = "a new secret was typed and clearing it was asked as well; do one of them"
        sent.faults.append(Finding((name,), said))
    else:
        sent.cleared.add(name)
        sent.texts[name] = ""


def faults_by_key(found: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    """What to say beside each field."""
    said: dict[str, tuple[str, ...]] = {}
    for finding in found:
        for name in finding.keys:
            said[name] = (*said.get(name, ()), finding.text)
    return said


def field_groups(
    current: Mapping[str, str],
    typed: Mapping[str, str] | None = None,
    *,
    found: Iterable[Finding] = (),
    events: Mapping[str, int] | None = None,
    fixed: Collection[str] = (),
    given: Mapping[str, bool] | None = None,
    kept: Collection[str] = (),
    cleared: Collection[str] = (),
) -> list[FieldGroup]:
    """Every setting in its group. ``current`` has the texts in force, others have their default;
    ``typed`` those of the form. ``found`` are its faults, ``events`` the positions that set keys.

    ``given`` says of secrets whether there is one, ``kept`` and ``cleared`` what the form does to
    them. No text of a secret is ever taken over.
    """
    said, typed, events, given = faults_by_key(found), typed or {}, events or {}, given or {}
    groups: dict[str, list[Field]] = {}
    for name, key in KEYS.items():
        now = "" if key.secret else current.get(name, key.default_text)
        groups.setdefault(key.group, []).append(
            Field(
                name=name, key=key, current=now,
                text="" if key.secret else _printable(typed.get(name, now)),
                faults=said.get(name, ()), event=events.get(name, 0), fixed=name in fixed,
                given=given.get(name), kept=name in kept, cleared=name in cleared,
            )
        )  # fmt: skip
    return [FieldGroup(_anchor(title), title, fields) for title, fields in groups.items()]


def _anchor(title: str) -> str:
    return "group-" + "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def _printable(text: str) -> str:
    """As typed, but for control characters, which no page may hold."""
    return "".join(c if c.isprintable() or c in "\t" else "\ufffd" for c in text)
