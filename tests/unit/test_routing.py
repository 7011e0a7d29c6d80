"""`api/routing.py` refuses two routes that have different suffixes after the same path parameter."""

from __future__ import annotations

import pytest

from convoke.api.routing import RoutingTree


def test_routes_with_different_suffixes_after_one_parameter_are_refused() -> None:
    tree: RoutingTree[str] = RoutingTree()
    tree.add("GET", "/Messages/<sid>.json", "fetch")
    with pytest.raises(ValueError, match="different suffixes after <sid>"):
        tree.add("GET", "/Messages/<sid>", "other")
