"""What is said of one setting, and how a table of settings declares it (M25)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.setting_forms import Form, SecretText

ENV_BOT = ".env_bot"  # how the bot trades, keeps its books and serves its pages
ENV = ".env"  # access to services: credentials, mail


@dataclass(frozen=True)
class Key:
    """One setting but for its name, which is that of the field that it declares.

    ``required``: the operator must give it, and ``default`` is only what a demo uses.
    ``off``: for what can be switched off, "value: what that means to the operator".
    ``restart``: a change waits until ``tbot run`` is started again; others hold from the next
    session on.
    """

    form: Form
    default: Any
    help: str
    group: str
    file: str
    required: bool
    restart: bool
    off: str

    @property
    def secret(self) -> bool:
        return isinstance(self.form, SecretText)

    @property
    def default_text(self) -> str:
        return self.form.text(self.default)


def group(title: str, file: str) -> Callable[..., Any]:
    """The function that declares the settings of one group, a line each."""

    def key(
        form: Form,
        default: Any,
        help_: str,
        off: str = "",
        *,
        required: bool = False,
        restart: bool = False,
    ) -> Any:
        said = Key(form, default, help_, title, file, required, restart, off)
        return field(default=default, metadata={"key": said})

    return key
