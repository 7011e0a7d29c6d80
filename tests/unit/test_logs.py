"""Convoke writes log lines and metrics of an operation only after the operation is committed (embedded/logs.py)."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from convoke.domain.errors import UnavailableError
from convoke.embedded.failures import StorageFailures
from convoke.embedded.logs import HeldMetrics, hold, hold_log_lines
from convoke.embedded.sqlite import SqliteTable
from convoke.observability import Measure
from convoke.storage.table import Item, Put
from tests.support.instances import held_instance

ITEM: Item = {"pk": "AC1#CH1", "sk": "a"}


class RecordedMetrics:
    def __init__(self) -> None:
        self.values: list[tuple[Measure, float]] = []

    def add(self, measure: Measure, value: float = 1) -> None:
        self.values.append((measure, value))


@pytest.fixture
def table() -> Iterator[SqliteTable]:
    with closing(SqliteTable(":memory:")) as made:
        yield made


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("tests.logs")
    made.addFilter(hold)
    yield made
    made.removeFilter(hold)


def test_log_line_and_metric_wait_for_the_commit(
    table: SqliteTable, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = RecordedMetrics()
    with table.unit():
        logger.warning("before the first write")
        table.transact([Put(ITEM)])
        logger.warning("after the %s write", "first")
        HeldMetrics(recorded).add(Measure.CREATED)
        HeldMetrics(recorded).add(Measure.TIME_TO_ACTIVE, 5)
        table.after_commit(lambda: logger.warning("in a callback of the commit"))
        assert (caplog.messages, recorded.values) == (["before the first write"], [])
    assert caplog.messages == ["before the first write", "after the first write", "in a callback of the commit"]
    assert recorded.values == [(Measure.CREATED, 1), (Measure.TIME_TO_ACTIVE, 5)]
    logger.warning("later")
    HeldMetrics(recorded).add(Measure.CLOSED)
    assert (caplog.messages[-1], recorded.values[-1]) == ("later", (Measure.CLOSED, 1))


def test_log_line_and_metric_of_a_dropped_unit_are_dropped(
    table: SqliteTable, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = RecordedMetrics()
    table._connection.execute("PRAGMA query_only = 1")

    def store() -> None:
        with table.unit():
            table.transact([Put(ITEM)])
            logger.error("stored")
            HeldMetrics(recorded).add(Measure.CREATED)

    with pytest.raises(UnavailableError):
        store()
    logger.warning("later")
    assert caplog.messages == ["the data file cannot be used: attempt to write a readonly database", "later"]
    assert recorded.values == []


def test_log_line_of_another_thread_does_not_wait_for_the_unit_of_the_event_loop(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        with closing(SqliteTable(":memory:")) as table:
            table.attach(asyncio.get_running_loop())
            table.transact([Put(ITEM)])
            thread = threading.Thread(target=logger.warning, args=("from a thread",))
            thread.start()
            thread.join()
            assert caplog.messages == ["from a thread"]
            table.detach()

    asyncio.run(scenario())


def test_units_of_two_tables_in_one_thread_hold_log_lines_until_both_are_committed(
    table: SqliteTable, logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(SqliteTable(":memory:")) as other, table.unit():
        table.transact([Put(ITEM)])
        with other.unit():
            other.transact([Put(ITEM)])
            logger.warning("inner")
        assert caplog.messages == ["inner"]
        logger.warning("outer")
        assert caplog.messages == ["inner"]
    assert caplog.messages == ["inner", "outer"]


def test_reported_failure_is_not_logged_again_by_the_operation_that_fails(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    reported = StorageFailures()
    for _ in range(3):
        try:
            raise reported.unavailable(OSError("disk full"))
        except UnavailableError:
            logger.exception("an operation failed")
    assert caplog.messages == ["the data file cannot be used: disk full"]


def test_other_failures_are_logged(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    for error in (UnavailableError(), KeyError("bug")):
        try:
            raise error
        except (UnavailableError, KeyError):
            logger.exception("an operation failed")
    assert caplog.messages == ["an operation failed"] * 2


def test_engine_holds_the_log_lines_of_every_module_of_the_package() -> None:
    with held_instance():
        loggers = [name for name in logging.root.manager.loggerDict if name.startswith("convoke.")]
        assert "convoke.operations.conversation_finalizer" in loggers
        assert [name for name in loggers if hold not in logging.getLogger(name).filters] == []


def test_engine_holds_the_log_lines_of_modules_that_are_imported_later() -> None:
    with held_instance():
        later = logging.getLogger("convoke.imported_later")
        assert later.filters == [hold]
        assert logging.getLogger("tests.imported_later").filters == []


def test_logger_class_of_another_library_stays_a_base_of_new_loggers() -> None:
    class OfLibrary(logging.Logger): ...

    before = logging.getLoggerClass()
    try:
        logging.setLoggerClass(OfLibrary)
        hold_log_lines()
        later = logging.getLogger("convoke.imported_after_a_library")
        assert isinstance(later, OfLibrary)
        assert later.filters == [hold]
    finally:
        logging.setLoggerClass(before)
