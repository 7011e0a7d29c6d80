"""The mutation tool changes only certain kinds of code, and chooses the tests for each mutant."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.mutation.mutants import mutants_of
from tests.mutation.plugin import plain_id
from tests.mutation.reach import _names_defined_at_import, in_order
from tests.mutation.run import ROOT, draw


def mutated(source: str) -> list[str]:
    """Return the source text of every mutant."""
    return [mutant.applied_to(source) for mutant in mutants_of(source)]


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", ["x = (a <= b)", "x = (a >= b)"]),
        ("x = a == b", ["x = (a != b)"]),
        ("x = a in b", ["x = (a not in b)"]),
        ("x = a and b", ["x = (a or b)", "x = (b)", "x = (a)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a + b", ["x = (a - b)"]),
        ("x = 7", ["x = 8", "x = 6"]),
        ("x = 0", ["x = 1", "x = (-1)"]),
        ("x = f(again=True)", ["x = f(again=False)"]),
        ("def f(again=True): ...", ["def f(again=False): ..."]),
        ("x = max(a, b)", ["x = min(a, b)"]),
        ("x = a.lower()", ["x = a"]),
        ("x = [a for a in b if c]", ["x = [a for a in b if True]"]),
        ("f(a)", ["pass"]),
        ("raise E", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a += c", ["pass"]),
        ("if a: b = c", ["if (not (a)): b = c"]),
        ("def f(): return a", ["def f(): return None"]),
        ("x = 'ä', 7", ["x = 'ä', 8", "x = 'ä', 6"]),
        (
            "x: Annotated[str, Field(max_length=9)]",
            ["x: Annotated[str, Field(max_length=10)]", "x: Annotated[str, Field(max_length=8)]"],
        ),
        ("class E(Error, code=5): ...", ["class E(Error, code=6): ...", "class E(Error, code=4): ..."]),
    ],
)
def test_mutants_of_each_kind(source: str, mutants: list[str]) -> None:
    assert mutated(source) == mutants


@pytest.mark.parametrize(
    "source",
    [
        "def f(a: Literal[3]) -> Literal[4]: ...",
        "@cache(5)\ndef f(): ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "class A(Protocol):\n    def f(self, again=True): ...",
        "class A(Generic[T], Protocol[T]):\n    def f(self, again=True): ...",
        "if TYPE_CHECKING:\n    a = 1",
        "if __name__ == '__main__':\n    f()",
        "logger.info('a', 3)",
        "self.logger.info('a', 3)",
        "__slots__ = f(1)",
        "'a docstring'",
        "x = 'text' + a",
        "x = f'{a + 3}'",
        "raise NotImplementedError",
        "def f(): return None",
    ],
)
def test_code_that_is_not_mutated(source: str) -> None:
    assert mutated(source) == []


def test_same_seed_draws_same_mutants() -> None:
    sources = {Path("a.py"): "x = [1, 2, 3, 4]", Path("b.py"): "x = [5, 6, 7, 8]"}
    assert draw(sources, seed=1, count=5) == draw(sources, seed=1, count=5)
    assert draw(sources, seed=1, count=5) != draw(sources, seed=2, count=5)
    assert len(draw(sources, seed=1, count=99)) == 16


def test_a_mutant_is_another_program_that_compiles() -> None:
    source = dedent("""
        match a:
            case 3:
                b = min(a, (1))
    """)
    assert all(mutant.compiles(source) for mutant in mutants_of(source))
    assert not mutants_of("x = 1")[0].compiles("x = 2")


def test_tests_of_the_like_named_file_run_first_then_one_of_each_file_in_turn() -> None:
    tests = [
        "tests/contract/test_b.py::1",
        "tests/contract/test_b.py::2",
        "tests/unit/test_c.py::1",
        "tests/contract/test_a.py::1",
    ]
    assert in_order(Path("convoke/domain/a.py"), tests) == [tests[3], tests[2], tests[0], tests[1]]


@pytest.mark.parametrize(
    "recorded", ["a.py::b[c]", "a.py::b[c] (call)", "a.py::b[c]@ministack", "a.py::b[c]@ministack (setup)"]
)
def test_a_test_has_one_id_in_whatever_process_it_ran(recorded: str) -> None:
    assert plain_id(recorded) == "a.py::b[c]"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("MOST = 3", {"MOST"}),
        ("    limit: int = 4", {"A", "limit"}),
        ("    def f(self, x=5):", {"A", "f"}),
        ("        y = 6", set()),
    ],
)
def test_names_that_a_line_defines_at_import(line: str, names: set[str]) -> None:
    source = ["MOST = 3", "class A:", "    limit: int = 4", "    def f(self, x=5):", "        y = 6"]
    assert _names_defined_at_import(ast.parse("\n".join(source)), source.index(line) + 1) == names


def collected(*arguments: str) -> list[str]:
    """Return the ids of the tests that pytest collects if it gets these arguments."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *arguments]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in printed.splitlines() if "::" in line]


def test_ids_do_not_depend_on_whether_the_folder_or_the_file_is_named() -> None:
    """`make coverage` passes a folder to pytest, and `make mutants` passes files. The test ids must be the same."""
    file = "tests/api/test_roles.py"
    ids = collected(file)
    assert any("service's tree" in each and "aws-on-moto" in each for each in ids)
    assert [each for each in collected("tests", "--ignore-glob=*/test_[!r]*") if each.startswith(file)] == ids
