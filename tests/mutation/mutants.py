"""Create mutants of a module.

A mutant is a copy of the module with one small fault. The tests should notice the fault.
"""

from __future__ import annotations

import ast
import copy
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}
SWAPPED_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
REMOVED_METHODS = {"lower", "upper", "casefold", "strip"}
LOGGERS = {"log", "logger"}
NOT_MUTATED_NAMES = {"__all__", "__slots__"}


@dataclass(frozen=True)
class Mutant:
    """The change that turns a module into a mutant."""

    kind: str
    line: int
    end_line: int
    start: int
    stop: int
    after: str
    """The source text that replaces the bytes from `start` to `stop`."""

    def applied_to(self, source: str) -> str:
        encoded = source.encode()
        return (encoded[: self.start] + self.after.encode() + encoded[self.stop :]).decode()

    def compiles(self, source: str) -> bool:
        """Return whether the changed source text is valid Python and differs from `source`."""
        try:
            return ast.dump(ast.parse(self.applied_to(source))) != ast.dump(ast.parse(source))
        except SyntaxError:
            return False

    def diff(self, source: str) -> str:
        lines = difflib.unified_diff(source.splitlines(), self.applied_to(source).splitlines(), n=1, lineterm="")
        return "\n".join(list(lines)[2:])


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of a module, sorted by line.

    A few mutants do not compile (see `Mutant.compiles`).
    """
    line_starts = list(accumulate((len(line.encode()) for line in source.splitlines(keepends=True)), initial=0))

    def mutant(kind: str, node: ast.expr | ast.stmt, after: str) -> Mutant:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = line_starts[node.lineno - 1] + node.col_offset
        stop = line_starts[node.end_lineno - 1] + node.end_col_offset
        return Mutant(kind, node.lineno, node.end_lineno, start, stop, after)

    found = {mutant(*change): None for node in _mutable(ast.parse(source)) for change in _changes(node)}
    return sorted(found, key=lambda each: (each.line, each.start))


Change = tuple[str, ast.expr | ast.stmt, str]
"""The kind of mutant, the node to replace, and the source text of the replacement."""


def _mutable(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every node of a syntax tree that may be mutated. `node` is the root of the tree."""
    if not _is_left_alone(node):
        yield node
        for child in _children(node):
            yield from _mutable(child)


def _is_left_alone(node: ast.AST) -> bool:
    """Return whether the tool must not mutate a node, because tests need not check the node."""
    match node:
        case ast.JoinedStr() | ast.ImportFrom() | ast.Import():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=logger))):
            return _name(logger) in LOGGERS
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in NOT_MUTATED_NAMES
        case ast.If(test=ast.Name(id=name) | ast.Compare(left=ast.Name(id=name))):
            return name in {"TYPE_CHECKING", "__name__"}
        case ast.ClassDef(bases=bases):
            return any(_name(base) == "Protocol" for base in bases)
    return False


def _children(node: ast.AST) -> Iterable[ast.AST]:
    """Return the child nodes that may be mutated.

    Decorators, base classes and the annotations of functions are not returned. From the annotation of a variable, only
    the calls are returned, such as `Field` in `Annotated[str, Field(max_length=256)]`.
    """
    match node:
        case ast.ClassDef():
            return [*(keyword.value for keyword in node.keywords), *node.body]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            keyword_defaults = (default for default in node.args.kw_defaults if default is not None)
            return [*node.args.defaults, *keyword_defaults, *node.body]
        case ast.AnnAssign():
            calls = [each for each in ast.walk(node.annotation) if isinstance(each, ast.Call)]
            return [*calls, *([node.value] if node.value else [])]
    return ast.iter_child_nodes(node)


def _name(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
    return None


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.stmt):
        yield from _changes_of_statement(node)
    elif isinstance(node, ast.expr):
        yield from _changes_of_operator(node)
        yield from _changes_of_value(node)
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield "condition removed", condition, "True"


def _changes_of_statement(node: ast.stmt) -> Iterator[Change]:
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "call removed", node, "pass"
        case ast.Raise(exc=error) if not (error and _name(error) == "NotImplementedError"):
            yield "raise removed", node, "pass"
        case ast.Return(value=value) if value and not (isinstance(value, ast.Constant) and not value.value):
            yield "return value removed", node, "return None"
        case ast.AugAssign() | ast.Delete() | ast.Break() | ast.Continue() | ast.Return(value=None):
            yield "statement removed", node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript(), *_]):
            yield "statement removed", node, "pass"
        case ast.If(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
            yield "condition negated", test, f"(not ({ast.unparse(test)}))"


def _changes_of_operator(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=[operator]):
            for new in COMPARISONS[type(operator)]:
                yield "comparison", node, _with(node, ops=[new()])
        case ast.BoolOp(op=operator, values=values):
            yield "and/or swapped", node, _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
            for index in range(len(values)):
                kept = [*values[:index], *values[index + 1 :]]
                yield (
                    "operand removed",
                    node,
                    _with(node, values=kept) if len(kept) > 1 else f"({ast.unparse(kept[0])})",
                )
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not removed", node, f"({ast.unparse(operand)})"
        case ast.BinOp(op=operator) if type(operator) in ARITHMETIC and not _is_text(node):
            yield "arithmetic", node, _with(node, op=ARITHMETIC[type(operator)]())


def _changes_of_value(node: ast.expr) -> Iterator[Change]:
    match node:
        case ast.Constant(value=bool(value)):
            yield "flag", node, str(not value)
        case ast.Constant(value=int(value) | float(value)):
            for changed in (value + 1, value - 1):
                yield "number", node, f"({changed})" if changed < 0 else str(changed)
        case ast.Call(func=ast.Name(id=name) as function) if name in SWAPPED_FUNCTIONS:
            yield "function swapped", function, SWAPPED_FUNCTIONS[name]
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in REMOVED_METHODS:
            yield "call removed", node, ast.unparse(value)
        case ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield "condition negated", test, f"(not ({ast.unparse(test)}))"


def _with(node: ast.expr, **fields: object) -> str:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return f"({ast.unparse(changed)})"


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in sides
    )
