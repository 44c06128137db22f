"""`rig` is a bot with alerts and a mail server that works; `make_rig` gives one with another."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from beside import beside

alerts_rig: Any = beside("integration/alerts/alerts_rig")
mail_server: Any = beside("integration/mail_server")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return alerts_rig.provision(tmp_path_factory.mktemp("alerts") / "bot")


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(mail_server.certificate(tmp_path_factory.mktemp("mail")))


@pytest.fixture
def server(pem: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    found = mail_server.MailServer(pem)
    found.start()
    yield found
    found.stop()


@pytest.fixture
def make_rig(template: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(server: Any) -> Any:
        made.append(alerts_rig.Rig(template, tmp_path / "bot", server))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def rig(make_rig: Callable[..., Any], server: Any) -> Any:
    return make_rig(server)
