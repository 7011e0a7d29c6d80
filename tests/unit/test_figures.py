"""The benchmarks write their results into a table of the documentation (tests/benchmarks/figures.py)."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from typing import Any

from tests.benchmarks.figures import READY_TARGET, Figure, at_least, of
from tests.benchmarks.results import NOT_MEASURED, Machine, Results, this_machine

MACHINE = Machine(cores=2, cpu="CPU", memory_gb=8, system="Linux", python="3.11", load_at_start=0.1)

RATE = Figure("creates", "embedded", of("ours"), "/s", "theirs", of("theirs"), at_least(500))


def row(figure: Figure, parts: dict[str, Any], machine: Machine = MACHINE) -> list[str]:
    return figure.row(Results(command="make bench", date="2026-11-22", machine=machine, stolen=0, parts=parts))


def test_figure_row_shows_value_comparison_and_target() -> None:
    measured = {"embedded": {"ours": 600, "theirs": 1200}}
    assert row(RATE, measured) == ["creates", "600 /s", "theirs: 1,200 /s", "0.50", "≥ 500", "yes"]


def test_missed_target_is_marked_in_bold() -> None:
    assert row(RATE, {"embedded": {"ours": 499.9, "theirs": 1000}})[-1] == "**no**"


def test_ready_target_requires_being_faster_than_the_peer() -> None:
    assert READY_TARGET.holds(100, 1.15)
    assert not READY_TARGET.holds(1000, 1.1)
    assert not READY_TARGET.holds(1000, None)


def test_figure_that_was_not_measured_shows_the_reason() -> None:
    cells = row(RATE, {"embedded": {NOT_MEASURED: "there is no Node"}})
    assert cells == ["creates", "not measured: there is no Node", "theirs", "", "≥ 500", ""]
    cells = row(RATE, {"embedded": {"theirs": 1200}})
    assert cells[1] == row(RATE, {})[1] == "not measured: the run did not include this figure"


def test_target_depends_on_the_build_of_python() -> None:
    figure, measured = replace(RATE, target_with_pgo=at_least(650)), {"embedded": {"ours": 600, "theirs": 1200}}
    with_pgo = MACHINE.model_copy(update={"pgo": True})
    assert row(figure, measured)[-2:] == ["≥ 500", "yes"]
    assert row(figure, measured, with_pgo)[-2:] == ["≥ 650", "**no**"]
    assert row(RATE, measured, with_pgo)[-2:] == ["≥ 500", "yes"]


def test_machine_names_the_build_of_python() -> None:
    assert MACHINE.summary.endswith("Python 3.11 without --enable-optimizations")
    assert MACHINE.model_copy(update={"pgo": True}).summary.endswith("Python 3.11 with --enable-optimizations")
    assert this_machine().pgo is ("--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")))
