"""Define the figures in docs/benchmarks.md.

A figure can have a target. A figure can also be compared with another number of the same run.

`python -m tests.benchmarks.figures` prints the figures of the last run and regenerates the table in docs/benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import cold_start, warm
from tests.benchmarks.partitions import PLANNED_RATE
from tests.benchmarks.results import NOT_MEASURED, Results, last
from tests.support.docs import BENCHMARKS, with_part

Found = Any
"""The results of one benchmark, as the JSON value that the benchmark wrote."""


@dataclass(frozen=True)
class Target:
    """A requirement for a figure, or for the ratio between the figure and its comparison number."""

    text: str
    holds: Callable[[float, float | None], bool]


def at_least(bound: float) -> Target:
    return Target(f"≥ {bound:g}", lambda figure, _: figure >= bound)


def at_most(bound: float) -> Target:
    return Target(f"≤ {bound:g}", lambda figure, _: figure <= bound)


def ratio_at_least(bound: float) -> Target:
    return Target(f"ratio ≥ {bound:g}", lambda _, ratio: ratio is not None and ratio >= bound)


def ratio_at_most(bound: float) -> Target:
    return Target(f"ratio ≤ {bound:g}", lambda _, ratio: ratio is not None and ratio <= bound)


READY_TARGET, READY_TARGET_WITH_PGO = ratio_at_least(1.15), ratio_at_least(1.25)
CPU_TARGET = ratio_at_most(2.8)
EQUAL = Target("ratio 1", lambda _, ratio: ratio == 1)
COLD_START_TARGET = ratio_at_most(cold_start.MAX_RATIO)
NO_SLOWER = ratio_at_least(0.9)
NO_LONGER = ratio_at_most(1.1)
MESSAGE_TARGET = ratio_at_most(1.3)


@dataclass(frozen=True)
class Figure:
    """A published figure. One part of a benchmark run measures the figure."""

    title: str
    part: str
    of: Callable[[Found], float]
    """Extracts the figure from the results of the part."""
    unit: str = ""
    comparison: str = ""
    other: Callable[[Found], float] | None = None
    """Extracts the number with which the figure is compared. `comparison` says what this number is."""
    target: Target | None = None
    target_with_pgo: Target | None = None
    """The target if Python was built with profile-guided optimization. If None, `target` applies."""

    def row(self, results: Results) -> list[str]:
        found = results.parts.get(self.part, {})
        target = (results.machine.pgo and self.target_with_pgo) or self.target
        text = target.text if target else ""
        try:
            figure = self.of(found)
            other = self.other(found) if self.other else None
        except KeyError:
            reason = found.get(NOT_MEASURED, "the run did not include this figure")
            return [self.title, f"not measured: {reason}", self.comparison, "", text, ""]
        ratio = figure / other if other else None
        return [
            self.title,
            self._formatted(figure),
            f"{self.comparison}: {self._formatted(other)}" if other is not None else self.comparison,
            f"{ratio:.2f}" if ratio is not None else "",
            text,
            ("yes" if target.holds(figure, ratio) else "**no**") if target else "",
        ]

    def _formatted(self, figure: float) -> str:
        number = f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.2f}"
        return f"{number} {self.unit}".rstrip()


def of(*path: str) -> Callable[[Found], float]:
    """Return a function that extracts a number from the results. `path` contains the keys that lead to the number."""

    def found_in(found: Found) -> float:
        for name in path:
            found = found[name]
        return float(found)

    return found_in


def _usd(design: str) -> Callable[[Found], float]:
    return lambda found: sum(found[design]["usd"].values())


def _units(name: str, step: str) -> Callable[[Found], float]:
    return lambda found: found[name][step]["write_units"] + found[name][step]["index_write_units"]


def _calls(name: str, step: str) -> Callable[[Found], float]:
    return lambda found: sum(found[name][step]["calls"].values())


def _read_units(name: str, step: str) -> Callable[[Found], float]:
    return of(name, step, "read_units")


def _instructions(function: str) -> Callable[[Found], float]:
    """Return a function that extracts a number from the results: the instructions of one cold start, in billions."""
    return lambda found: float(found["instructions"][function]) / 1e9


def _rate_limit(found: Found) -> float:
    return float(min(bound for bound in found["binds_at"].values() if bound))


CREATE = "create, 10 members, 202"
FINISHED = "finished conversations, 10 members"
READY = "ready: POST, then GET until active"
EXISTING = ("3000", "100000")
FEW_EXISTING, MANY_EXISTING = "10 chat members, 10 existing", "10 chat members, 100 existing"


def _growth() -> Iterator[Figure]:
    few, many = EXISTING
    for name, what, unit in (
        ("create_per_second", "create at 16 clients", "/s"),
        ("ready_per_second", "ready at 16 clients", "/s"),
        ("create_p50_ms", "create at 1 client, p50", "ms"),
        ("fetch_p50_ms", "GET of a conversation, p50", "ms"),
        ("list_p50_ms", "the first page of conversations, p50", "ms"),
        ("start_seconds", "start to first answer", "s"),
        ("memory_mb", "memory idle", "MB"),
    ):
        target = NO_SLOWER if unit == "/s" else NO_LONGER
        title = f"{what}, with 100,000 conversations"
        yield Figure(title, "growth", of(many, name), unit, "with 3,000", of(few, name), target)


FIGURES = (
    Figure(
        f"{FINISHED}, at 16 clients",
        "embedded",
        of("create", "convoke", "finished_per_second"),
        "/s",
        "yardstick",
        of("create", "yardstick", "finished_per_second"),
    ),
    Figure(
        f"{FINISHED}, at 256 clients that honour Retry-After",
        "embedded",
        of("overload", "finished_per_second"),
        "/s",
        "at 16 clients",
        of("create", "convoke", "finished_per_second"),
        NO_SLOWER,
    ),
    Figure(
        "memory after that load",
        "embedded",
        of("overload", "memory_mb"),
        "MB",
        "at 16 clients",
        of("create", "convoke", "memory_mb"),
        at_most(120),
    ),
    Figure(
        "the longest wait of a step under that load",
        "embedded",
        of("overload", "oldest_step_s"),
        "s",
        "at 16 clients",
        of("create", "convoke", "oldest_step_s"),
        at_most(2),
    ),
    Figure(
        f"{FINISHED}: processor time of the server, at 16 clients",
        "embedded",
        of("create", "convoke", "server_cpu_ms"),
        "ms",
        "yardstick",
        of("create", "yardstick", "server_cpu_ms"),
        CPU_TARGET,
    ),
    Figure(
        "time to finish the backlog after that load",
        "embedded",
        of("create", "convoke", "backlog_s"),
        "s",
        target=at_most(1),
    ),
    Figure(
        f"{CREATE}, at 1 client, p50",
        "embedded",
        of("one_client", "convoke", "p50_ms"),
        "ms",
        "yardstick",
        of("one_client", "yardstick", "p50_ms"),
        at_most(2),
    ),
    Figure(
        f"{CREATE}, at 1 client, p99",
        "embedded",
        of("one_client", "convoke", "p99_ms"),
        "ms",
        "yardstick",
        of("one_client", "yardstick", "p99_ms"),
        at_most(10),
    ),
    Figure(
        "conversations active after a kill -9 under load",
        "embedded",
        of("kill", "active_afterwards"),
        comparison="answered with 202 before",
        other=of("kill", "answered"),
        target=EQUAL,
    ),
    Figure(
        f"{READY}, at 16 clients",
        "peer",
        of("ready", "convoke", "per_second"),
        "/s",
        "emulate, in memory",
        of("ready", "emulate", "per_second"),
        READY_TARGET,
        READY_TARGET_WITH_PGO,
    ),
    Figure(
        f"{READY}, at 16 clients, with a webhook on all 12 events",
        "peer",
        of("ready", "convoke with a webhook", "per_second"),
        "/s",
        "emulate, in memory, no webhook",
        of("ready", "emulate", "per_second"),
        READY_TARGET,
        READY_TARGET_WITH_PGO,
    ),
    Figure(
        f"{READY}, at 1 client, p50",
        "peer",
        of("one_client", "convoke", "p50_ms"),
        "ms",
        "emulate, in memory",
        of("one_client", "emulate", "p50_ms"),
    ),
    Figure(
        "start to first answer",
        "peer",
        of("start", "convoke", "seconds"),
        "s",
        "emulate",
        of("start", "emulate", "seconds"),
        at_most(0.45),
    ),
    Figure(
        "memory idle",
        "peer",
        of("start", "convoke", "memory_mb"),
        "MB",
        "emulate",
        of("start", "emulate", "memory_mb"),
        at_most(50),
    ),
    *_growth(),
    Figure(
        "create of a message at 1 client, p50, 1,000 members",
        "messages",
        of("1000", "p50_ms"),
        "ms",
        "10 members",
        of("10", "p50_ms"),
        MESSAGE_TARGET,
    ),
    *(
        Figure(
            f"chat: a message until 50 of 500 clients have it, {percentile}",
            "chat",
            of("convoke", f"{percentile}_ms"),
            "ms",
            "bare broadcast",
            of("bare", f"{percentile}_ms"),
        )
        for percentile in ("p50", "p99")
    ),
    Figure(
        "chat: memory after 10,000 reconnects",
        "chat",
        of("reconnects", "after_mb"),
        "MB",
        "before",
        of("reconnects", "before_mb"),
        NO_LONGER,
    ),
    Figure(
        "the longest stall of writes by a forced restart of the write-ahead log",
        "checkpoints",
        of("forced", "longest_stall_ms"),
        "ms",
        "the longest commit",
        of("forced", "longest_commit_ms"),
        at_most(20),
    ),
    *(
        Figure(
            f"AWS: {what}",
            "aws_calls",
            counted(MANY_EXISTING, step),
            comparison="with 10 stored instead of 100",
            other=counted(FEW_EXISTING, step),
            target=EQUAL,
        )
        for what, counted, step in (
            ("calls of a create", _calls, "create"),
            ("calls from the POST to settled", _calls, "all"),
            ("write units from the POST to settled", _units, "all"),
        )
    ),
    *(
        Figure(
            f"AWS: {what} of a message, 1,000 members",
            "aws_calls",
            counted("message, 1,000 members", "create"),
            comparison="10 members",
            other=counted("message, 10 members", "create"),
            target=MESSAGE_TARGET,
        )
        for what, counted in (("calls", _calls), ("write units", _units), ("read units", _read_units))
    ),
    *(
        Figure(
            f"AWS: write units, {members}, {until}",
            "aws_calls",
            _units(f"{members}, no webhook", step),
            target=at_most(bound),
        )
        for members, until, step, bound in (
            ("10 chat members", "create", "create", 10),
            ("10 chat members", "to settled", "all", 75),
            ("10 SMS members", "create", "create", 55),
            ("10 SMS members", "to settled", "all", 115),
        )
    ),
    Figure(
        "AWS: a million conversations with a webhook",
        "cost",
        _usd("deployed"),
        "USD",
        "straightforward design",
        _usd("straightforward"),
        at_most(75),
    ),
    Figure(
        "AWS: conversations a second at which a partition key reaches its limit",
        "partitions",
        _rate_limit,
        "/s",
        "planned",
        lambda _: PLANNED_RATE,
        at_least(PLANNED_RATE),
    ),
    Figure(
        "Lambda: start of the API function",
        "cold_start",
        _instructions("the API function"),
        "billion instructions",
        "a typical function",
        _instructions("a typical function"),
        COLD_START_TARGET,
    ),
    Figure(
        "Lambda: processor time of a warm create, 10 members",
        "warm",
        of("milliseconds"),
        "ms",
        target=at_most(warm.MAX_MILLISECONDS),
    ),
    Figure("Lambda: the layer, unzipped", "warm", of("layer_mb"), "MB", target=at_most(25)),
)

HEAD = ["", "figure", "compared with", "ratio", "target", "met"]


def rows(results: Results) -> list[list[str]]:
    return [figure.row(results) for figure in FIGURES]


def table(results: Results) -> str:
    lines = [HEAD, ["---"] * len(HEAD), *rows(results)]
    load = f"load average {results.machine.load_at_start:.2f} before the run, {results.stolen:.1%} of CPU time stolen"
    run = f"`{results.command}` on {results.date}, {results.machine.summary}; {load}."
    return "\n".join([run, "", *(f"| {' | '.join(line)} |" for line in lines), ""])


def with_table(page: str) -> str:
    return with_part(page, "figures", table(last()))


def print_table(results: Results) -> None:
    lines = [HEAD, *rows(results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


if __name__ == "__main__":
    BENCHMARKS.write_text(with_table(BENCHMARKS.read_text()))
    print_table(last())
