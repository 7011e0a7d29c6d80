"""Find the route for a path. The routes form a tree, and each level of the tree matches one segment of the path."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Target = TypeVar("Target")


@dataclass(slots=True)
class RoutingTree(Generic[Target]):
    """A node of the tree. Its children match the next segment of a path."""

    literals: dict[str, RoutingTree[Target]] = field(default_factory=dict)
    """Maps each literal segment, such as `Conversations`, to its child."""
    value: RoutingTree[Target] | None = None
    """The child for a path parameter. It matches a segment that consists of a value and the child's `suffix`."""
    suffix: str = ""
    """The text that must follow the path parameter in this node's segment, such as `.json`."""
    methods: dict[str, tuple[Target, tuple[str, ...]]] = field(default_factory=dict)
    """Maps each HTTP method of this path to the route's target and the names of the path parameters.

    Empty if no route ends at this node.
    """
    is_public: bool = False
    """Whether requests to this path need no credentials."""
    rule: str = ""
    """The rule of the routes that end at this node, such as `/v1/Services/<sid>`.

    Empty if no route ends at this node.
    """

    def add(self, method: str, rule: str, target: Target, *, is_public: bool = False) -> None:
        """Add a route. Each segment of `rule` is a literal, or a path parameter such as `<sid>` or `<sid>.json`.

        `target` is what the caller wants to find for this route, such as the handler. Raises ValueError if another
        route has a path parameter with a different suffix at the same place.
        """
        node, names = self, []
        for segment in rule.split("/")[1:]:
            if segment.startswith("<"):
                name, _, suffix = segment[1:].partition(">")
                names.append(name)
                node.value = node = node.value or RoutingTree(suffix=suffix)
                if node.suffix != suffix:
                    raise ValueError(f"{rule} and another route have different suffixes after <{name}>")
            else:
                node = node.literals.setdefault(segment, RoutingTree())
        node.methods[method] = target, tuple(names)
        node.is_public = is_public
        node.rule = rule

    def find(self, path: str, values: list[str]) -> RoutingTree[Target] | None:
        """Return the node for a path, or None if no route matches.

        Append the values of the path parameters to `values`. A literal segment takes precedence over a path parameter.
        The value of a path parameter is never empty.
        """
        return _find(self, path.split("/")[1:], values)


def _find(node: RoutingTree[Target], segments: list[str], values: list[str]) -> RoutingTree[Target] | None:
    if not segments:
        return node if node.methods else None
    first, rest = segments[0], segments[1:]
    literal = node.literals.get(first)
    if literal is not None and (found := _find(literal, rest, values)) is not None:
        return found
    value = first.removesuffix(node.value.suffix) if node.value and first.endswith(node.value.suffix) else ""
    if node.value is None or not value:
        return None
    values.append(value)
    found = _find(node.value, rest, values)
    if found is None:
        values.pop()
    return found
