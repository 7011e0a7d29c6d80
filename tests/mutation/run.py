"""Create random mutants of Convoke, and run the tests that reach the mutants (`make mutants`).

If no test notices a mutant, the tests have a gap, or the mutant behaves like the original. The program mutates a copy
of the source, not the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.plugin import ONLY_TESTS
from tests.mutation.reach import Reach

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "layers/convoke/src"
COVERAGE_DATA = ROOT / ".coverage"

TEST_TIMEOUT_SECONDS = 60
MUTANT_TIMEOUT_SECONDS = 300
"""The maximum time for all tests of one mutant. If no test has failed after this time, the mutant has survived.

A test with an endless loop fails earlier, after TEST_TIMEOUT_SECONDS.
"""

PYTEST_NO_TESTS_COLLECTED = 5


class Outcome(StrEnum):
    KILLED = "killed"
    TIMED_OUT = "timed out"
    """The result if a test took longer than TEST_TIMEOUT_SECONDS. The mutant then counts as killed."""
    SURVIVED = "survived"
    UNREACHED = "no test reaches it"


@dataclass(frozen=True)
class Result:
    path: Path
    mutant: Mutant
    outcome: Outcome
    tests: int
    killed_by: str = ""

    @property
    def place(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.mutant.line}"


def draw(sources: dict[Path, str], seed: int, count: int) -> list[tuple[Path, Mutant]]:
    """Choose `count` mutants at random. The same seed and the same sources give the same mutants."""
    mutants = [(path, mutant) for path, source in sources.items() for mutant in mutants_of(source)]
    random.Random(seed).shuffle(mutants)
    compiling = (each for each in mutants if each[1].compiles(sources[each[0]]))
    return [each for each, _ in zip(compiling, range(count), strict=False)]


def run_tests(tests: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests against the copy of Convoke in `folder`/src.

    Raises subprocess.TimeoutExpired after MUTANT_TIMEOUT_SECONDS.
    """
    chosen = folder / "tests.json"
    chosen.write_text(json.dumps(tests))
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.mutation.plugin",
        ),
        *("-m", "", f"--timeout={TEST_TIMEOUT_SECONDS}"),
        *sorted({test.partition("::")[0] for test in tests}),
    ]
    environ = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", ONLY_TESTS: str(chosen)}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=MUTANT_TIMEOUT_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, output)


def judge(reach: Reach, sources: dict[Path, str], path: Path, mutant: Mutant) -> Result:
    """Run the tests that reach a mutant, until a test fails. Return the result."""
    result = partial(Result, path, mutant)
    tests = reach.tests_for(path, mutant)
    if not tests:
        return result(Outcome.UNREACHED, 0)
    with TemporaryDirectory(prefix="mutant-") as folder:
        package = Path(shutil.copytree(SOURCE, Path(folder, "src")))
        mutated = package / path.relative_to(SOURCE)
        mutated.write_text(mutant.applied_to(sources[path]))
        for compiled in mutated.parent.glob(f"__pycache__/{mutated.stem}.*.pyc"):
            compiled.unlink()
        try:
            ran = run_tests(tests, Path(folder))
        except subprocess.TimeoutExpired:
            return result(Outcome.SURVIVED, len(tests))
    if ran.returncode == PYTEST_NO_TESTS_COLLECTED:
        return result(Outcome.UNREACHED, 0)
    if ran.returncode == 0:
        return result(Outcome.SURVIVED, len(tests))
    noticed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", ran.stdout, re.MULTILINE)
    outcome = Outcome.TIMED_OUT if "Timeout (>" in ran.stdout else Outcome.KILLED
    return result(outcome, len(tests), noticed[1] if noticed else f"pytest's exit code {ran.returncode}")


def report(results: list[Result], sources: dict[Path, str]) -> Iterator[str]:
    for result in results:
        if result.outcome in {Outcome.SURVIVED, Outcome.UNREACHED}:
            yield f"\n{result.place} {result.mutant.kind}: {result.outcome} ({result.tests} tests ran)"
            yield result.mutant.diff(sources[result.path])
    counted = Counter(result.outcome for result in results)
    killed = counted[Outcome.KILLED] + counted[Outcome.TIMED_OUT]
    yield "\n" + ", ".join(f"{outcome}: {counted[outcome]}" for outcome in Outcome)
    yield f"{killed} of {len(results)} mutants killed ({killed / max(len(results), 1):.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws the same mutants again")
    parser.add_argument("--count", type=int, default=60, help="how many mutants to draw")
    parser.add_argument("--only", default="", help="draw from files whose path contains this text")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants to try at the same time")
    parser.add_argument("--data", type=Path, default=COVERAGE_DATA, help="the file that `make coverage` wrote")
    options = parser.parse_args()

    sources = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
    if changed := [path for path in sources if path.stat().st_mtime > options.data.stat().st_mtime]:
        print(f"changed since `make coverage`, so other tests may run: {', '.join(path.name for path in changed)}")
    drawn = draw(
        {path: source for path, source in sources.items() if options.only in str(path)}, options.seed, options.count
    )
    reach = Reach(options.data, sources)
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda each: judge(reach, sources, *each), drawn):
            print(f"{result.outcome:18} {result.place} {result.mutant.kind} {result.killed_by[:100]}", flush=True)
            results.append(result)
    print("\n".join(report(results, sources)))


if __name__ == "__main__":
    main()
