"""Draw the plot of the last run: `python -m tests.benchmarks.plot`.

The program needs the dependency group `bench`.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks.results import PLOT, Results, last

LINES = {
    "create": ("Convoke: POST with 10 members, 202, finished", "tab:blue", "-"),
    "ready": ("Convoke: POST, then GET until active", "tab:green", "-"),
    "emulate, ready": ("emulate, in memory: 11 POSTs", "tab:orange", "--"),
}


def draw(results: Results) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "convoke"
    from matplotlib import pyplot

    sweep = results.parts["sweep"]
    figure, (rates, times) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, (label, colour, style) in LINES.items():
        clients = [each["clients"] for each in sweep[name]]
        rates.plot(
            clients, [each["finished_per_second"] for each in sweep[name]], style, color=colour, marker="o", label=label
        )
        times.plot(clients, [each["p50_ms"] for each in sweep[name]], style, color=colour, marker="o", label="p50")
        times.plot(clients, [each["p99_ms"] for each in sweep[name]], ":", color=colour, marker=".", label="p99")
        _scaled(rates, clients)
        _scaled(times, clients)
    rates.set(xlabel="clients", ylabel="conversations a second", ylim=(0, None))
    times.set(xlabel="clients", ylabel="milliseconds (dotted: p99)", yscale="log")
    for formatted in (times.yaxis.set_major_formatter, times.yaxis.set_minor_formatter):
        formatted("{x:g}")
    rates.legend(frameon=False)
    figure.suptitle(f"{results.machine.summary}, {results.date}", fontsize=9)
    figure.savefig(PLOT, metadata={"Date": None})


def _scaled(axes: Any, clients: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(clients, [str(each) for each in clients])
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    draw(last())
    print(PLOT)
