"""What every test may use: the local stack (started once, when first asked for), real records, strict mode."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from pipeline.config import Settings

STRICT = os.environ.get("ACCESSTRAIL_STRICT") == "1"
REPOSITORY = Path(__file__).resolve().parent.parent

# How long one example takes says nothing here: the first one may import or compile, and the machine is shared.
hypothesis_settings.register_profile("accesstrail", deadline=None)
hypothesis_settings.load_profile("accesstrail")


def pytest_configure(config: pytest.Config) -> None:
    """kafka-python reads its schemas by a deprecated call of the standard library."""
    config.addinivalue_line("filterwarnings", "ignore:read_text is deprecated:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:open_text is deprecated:DeprecationWarning")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Whoever asks for the stack is marked so: `make test` runs what is marked beside what is not."""
    if isinstance(item, pytest.Function) and "stack" in item.fixturenames:
        item.add_marker(pytest.mark.stack)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What judges all that the shared store holds comes first: the rows of every other test would be judged with it."""
    items.sort(key=lambda item: item.get_closest_marker("whole_store") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With ACCESSTRAIL_STRICT=1 nothing is skipped silently: a skip is a failure."""
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although ACCESSTRAIL_STRICT=1: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    if STRICT and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped although ACCESSTRAIL_STRICT=1: {report.longrepr}"
    return report


@dataclass(frozen=True, slots=True)
class Stack:
    """A running local stack without a worker."""

    state: Path
    settings: Settings


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Apache Kafka and ClickHouse with topics and schema; ends with the session, also when that is killed."""
    # Imported here: the vendor's import warns, and only the filter below lets that pass.
    from deploy.local.configuration import settings
    from pipeline.cli.stack_run import StackOptions, end, launch

    state = tmp_path_factory.mktemp("stack")
    process = launch(state, StackOptions(worker=False), say=lambda line: print(line, file=sys.stderr), tied=True)
    try:
        yield Stack(state, settings(state, {}))
    finally:
        end(process)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real records: ACCESSTRAIL_TEST_DATA, else `shared/data` beside the repository."""
    given = os.environ.get("ACCESSTRAIL_TEST_DATA")
    folder = Path(given) if given else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real records here: set ACCESSTRAIL_TEST_DATA to their folder")
    return folder
