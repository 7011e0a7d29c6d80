"""`lean_dataclass` generates slots and `__init__`, but no methods that compare or print objects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convoke.lean_dataclass import lean_dataclass


@lean_dataclass
class Lean:
    number: int
    text: str = "default"


def test_fields_are_arguments_with_defaults() -> None:
    lean = Lean(1)
    assert (lean.number, lean.text) == (1, "default")
    assert replace(lean, number=2).number == 2


def test_class_has_slots() -> None:
    assert not hasattr(Lean(1), "__dict__")
    with pytest.raises(AttributeError):
        Lean(1).other = 1  # type: ignore[attr-defined]


def test_only_init_is_generated() -> None:
    """Each further method makes the import of every such class slower."""
    generated = {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"}
    assert generated & vars(Lean).keys() == {"__init__"}


def test_objects_are_equal_only_to_themselves() -> None:
    lean = Lean(1)
    assert lean == lean
    assert lean != Lean(1)
    assert len({lean, Lean(1)}) == 2
