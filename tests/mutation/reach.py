"""Find the tests that execute the mutated lines of a mutant.

The coverage data of `make coverage` contains the ids of these tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

from coverage import CoverageData

from tests.mutation.mutants import Mutant
from tests.mutation.plugin import plain_id

MAX_OTHER_TESTS = 400
"""The maximum number of tests that do not come from a like-named test file.

A like-named test file of a module `x.py` is `test_x.py` in any folder. For tests of these files, there is no maximum.
"""


class Reach:
    def __init__(self, data_file: Path, sources: dict[Path, str]) -> None:
        self._data = CoverageData(str(data_file))
        self._data.read()
        self._sources = sources
        self._every_test = {plain_id(each) for each in self._data.measured_contexts()}
        self._by_line: dict[Path, dict[int, set[str]]] = {}

    def tests_for(self, path: Path, mutant: Mutant) -> list[str]:
        """Return the ids of the tests that execute the mutated lines, sorted and limited by `in_order`.

        Some lines run at import, such as constants and default values. The coverage data names no test for these lines.
        For such a line, the result has all tests of the like-named test files, and the tests that execute a line with
        the name of the constant, function or class.
        """
        reached = self._tests(path, range(mutant.line, mutant.end_line + 1))
        if names := _names_defined_at_import(ast.parse(self._sources[path]), mutant.line):
            reached = reached.union(*(self._tests(*place) for place in self._mentions(names)))
            reached |= {test for test in self._every_test if _is_like_named(test, path)}
        return in_order(path, reached)

    def _tests(self, path: Path, lines: Iterable[int]) -> set[str]:
        if path not in self._by_line:
            contexts = self._data.contexts_by_lineno(str(path))
            self._by_line[path] = {line: {plain_id(each) for each in tests} for line, tests in contexts.items()}
        return set(chain.from_iterable(self._by_line[path].get(line, ()) for line in lines)) - {""}

    def _mentions(self, names: set[str]) -> Iterator[tuple[Path, list[int]]]:
        if names:
            mention = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
            for path, source in self._sources.items():
                yield path, [number for number, line in enumerate(source.splitlines(), 1) if mention.search(line)]


def _names_defined_at_import(tree: ast.AST, line: int) -> set[str]:
    """Return the names of the functions, classes and constants whose definition includes the line.

    A line in a function's body runs when the function is called. For such a line, return no names.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            match node:
                case ast.FunctionDef(body=[first, *_]) | ast.AsyncFunctionDef(body=[first, *_]) if first.lineno <= line:
                    return set()
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    names.add(name)
    return names


def _is_like_named(test: str, path: Path) -> bool:
    return test.partition("::")[0].endswith(f"/test_{path.stem}.py")


def in_order(path: Path, tests: Iterable[str]) -> list[str]:
    """Sort the tests. Tests that probably notice a fault in the module at `path` come first.

    All tests of the like-named test files come first. Then comes the first test of each other file, then the second
    test of each other file, and so on, because different files check different things. Unit test files come before
    other files. The result contains at most MAX_OTHER_TESTS tests of the other files.
    """
    by_file: dict[str, list[str]] = {}
    for test in sorted(tests):
        by_file.setdefault(test.partition("::")[0], []).append(test)
    own = [file for file in by_file if _is_like_named(file, path)]
    others = sorted((file for file in by_file if file not in own), key=lambda file: ("/unit/" not in file, file))
    in_turn = chain.from_iterable(zip_longest(*(by_file[file] for file in others)))
    others_in_turn = [test for test in in_turn if test]
    return [*chain.from_iterable(by_file[file] for file in own), *others_in_turn[:MAX_OTHER_TESTS]]
