"""What several folders of tests share: tools, real market data, golden files."""

import difflib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
USED = pytest.StashKey[set[Path]]()
COUNTS = pytest.StashKey[dict[str, Counter[str]]]()
# The programmes that say what they did, by their folder
PROGRAMMES = {
    "crash": "crash programme",
    "faults": "faults of orders, in process",
    "conformance": "broker faults over sockets",
}
DESELECTED = pytest.StashKey[bool]()

# The same examples on every run and machine, however slow; --hypothesis-profile=default hunts anew.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci")


# Tools and data that a machine may lack


def _need_tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is not None:
        return path
    reason = f"{name} is not installed: apt install {package}"
    # CI installs every tool, so there a missing one means that a test would silently not run.
    if os.environ.get("CI_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{reason} (CI_REQUIRE_TOOLS=1)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def need_tool() -> Callable[[str, str], str]:
    """`need_tool(name, package)` gives the program's path, or skips and names its Debian package.

    With CI_REQUIRE_TOOLS=1 in the environment the test fails instead.
    """
    return _need_tool


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's chromium, for Playwright's `executable_path`."""
    return _need_tool("chromium", "chromium")


@pytest.fixture(scope="session")
def marketdata() -> Path:
    """The folder of real bars and quotes: TRADEBOT_MARKETDATA, or ../shared/marketdata.

    Its rights do not allow a copy in the project, so its absence skips, on a CI machine too.
    """
    default = ROOT.parent / "shared" / "marketdata"
    folder = Path(os.environ.get("TRADEBOT_MARKETDATA") or default).resolve()
    if not (folder / "bars").is_dir():
        pytest.skip(f"no real market data in {folder}: set TRADEBOT_MARKETDATA to its folder")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _config_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Root keys of bots that are made here never go to the person's own config folder."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        environment.delenv("CREDENTIALS_DIRECTORY", raising=False)
        yield


# Golden files


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden anew from what the tests produce; read the diff before committing",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[USED] = set()
    config.stash[DESELECTED] = False
    config.stash[COUNTS] = {folder: Counter() for folder in PROGRAMMES}


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str | bytes], None]:
    """`golden(name, content)` fails unless the content, str or bytes, is that of tests/golden/name.

    Text is UTF-8 and compared byte by byte, line ends included. --update-golden rewrites the file.
    """

    def compare(name: str, content: str | bytes) -> None:
        path = GOLDEN / name
        request.config.stash[USED].add(path)
        actual = content.encode() if isinstance(content, str) else content
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(actual)
        elif not path.is_file():
            reason = f"tests/golden/{name} does not exist: run with --update-golden and read it"
            pytest.fail(reason, pytrace=False)
        elif path.read_bytes() != actual:
            pytest.fail(_difference(name, path.read_bytes(), actual), pytrace=False)

    return compare


def _difference(name: str, expected: bytes, actual: bytes) -> str:
    # Bytes that are not text and carriage returns are written out, so that the difference shows.
    before, after = (
        data.decode(errors="backslashreplace").replace("\r", "\\r").split("\n")
        for data in (expected, actual)
    )
    lines = difflib.unified_diff(before, after, f"tests/golden/{name}", "this run", lineterm="")
    return "\n".join([*lines, "If the new content is right: run with --update-golden."])


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[DESELECTED] = True


# Tests run in several processes (pytest-xdist): each tells the first one what it counted and used.


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        stash = session.config.stash
        session.config.workeroutput["told"] = {
            "used": [str(path) for path in stash[USED]],
            "deselected": stash[DESELECTED],
            "counts": {folder: dict(found) for folder, found in stash[COUNTS].items()},
        }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    stash, told = node.config.stash, getattr(node, "workeroutput", {}).get("told")
    if told is not None:
        stash[USED] |= {Path(path) for path in told["used"]}
        stash[DESELECTED] = stash[DESELECTED] or told["deselected"]
        for folder, found in told["counts"].items():
            stash[COUNTS][folder].update(found)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`count("kills", 3)`: the sums of each programme are printed after the run."""
    counts = request.config.stash[COUNTS][request.path.parent.name]

    def add(what: str, number: int = 1) -> None:
        counts[what] += number

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    share = "everything" if os.environ.get("PROGRAMME") == "full" else "a share"
    for folder, counts in config.stash[COUNTS].items():
        if counts:
            terminalreporter.section(f"{PROGRAMMES[folder]} ({share})")
        for what, number in sorted(counts.items(), key=lambda one: (":" in one[0], one[0])):
            terminalreporter.line(f"{number:>9,} {what}")
    _name_stale_files(terminalreporter, exitstatus, config)


def _name_stale_files(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """After a full run that passed, name the golden files that no test compares any more."""
    picked = config.args_source is pytest.Config.ArgsSource.ARGS or config.stash[DESELECTED]
    ignored = config.getoption("ignore") or config.getoption("ignore_glob")
    if exitstatus != pytest.ExitCode.OK or picked or ignored or config.option.collectonly:
        return
    used = config.stash[USED]
    files = (path for path in GOLDEN.rglob("*") if path.is_file() and path.name[0] != ".")
    files = (path for path in files if path.name != "README.md")
    stale = sorted(path for path in files if path not in used)
    if not stale:
        return
    skipped = len(terminalreporter.stats.get("skipped", []))
    doubt = f", unless one of the {skipped} skipped tests does" if skipped else ""
    terminalreporter.section("stale golden files", yellow=True)
    terminalreporter.line(f"No test compares these{doubt}; remove them:")
    for path in stale:
        terminalreporter.line(f"  {path.relative_to(ROOT)}")
