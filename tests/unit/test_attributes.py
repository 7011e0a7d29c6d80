"""The `attributes` of a resource must be valid JSON with a limited length (domain/attributes.py)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.domain.attributes import check_attributes
from convoke.domain.errors import AttributesNotJsonError, AttributesTooLongError

KILOBYTES_16 = 16 * 1024

JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@pytest.mark.parametrize(
    "attributes",
    [
        "{}",
        "[]",
        "null",
        "true",
        "0",
        "-1.5e-10",
        "1e999",
        '""',
        '"text"',
        '{ "topic": "feedback" }',
        '\n{"a"\t:\r1 , "b":[1,  2]}\n',
        '{"a": 1, "a": 2}',
        '"h\u00e9llo \U0001f600"',
        '"\\ud83d\\ude00"',
        '{"": ""}',
    ],
)
def test_valid_json_attributes_are_stored_unchanged(attributes: str) -> None:
    assert check_attributes(attributes, KILOBYTES_16) == attributes


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        " ",
        "{",
        "}",
        "text",
        "{a: 1}",
        "{'a': 1}",
        '{"a": 1,}',
        "[1,]",
        "{} {}",
        "// {}",
        "True",
        "None",
        "undefined",
        "01",
        "+1",
        ".5",
        "0x10",
        '"\n"',
        '"\\x41"',
        "\ufeff{}",
        "NaN",
        "Infinity",
        "-Infinity",
        '{"a": NaN}',
        "[1, [-Infinity]]",
    ],
)
def test_attributes_that_are_not_json_are_rejected(attributes: str) -> None:
    with pytest.raises(AttributesNotJsonError):
        check_attributes(attributes, KILOBYTES_16)


@pytest.mark.parametrize(
    ("character", "size"), [("a", 1), ("\u00e9", 2), ("\u20ac", 3), ("\U0001f600", 4)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("longest", [4 * 1024, KILOBYTES_16])
def test_attributes_limit_counts_utf_8_bytes(character: str, size: int, longest: int) -> None:
    filled = f'"{character * ((longest - 2) // size)}"'
    at_limit = filled + " " * (longest - len(filled.encode()))
    assert len(at_limit.encode()) == longest
    assert check_attributes(at_limit, longest) == at_limit
    with pytest.raises(AttributesTooLongError) as caught:
        check_attributes(at_limit + " ", longest)
    assert caught.value.details == {"longest": longest}
    assert str(longest) in caught.value.message


def test_attributes_length_is_checked_before_the_json_syntax() -> None:
    with pytest.raises(AttributesTooLongError):
        check_attributes("x" * 17, 16)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deeply_nested_attributes_are_accepted_or_rejected_without_a_crash(opening: str, closing: str) -> None:
    """Which depth is rejected depends on the Python version, because its JSON parser limits the depth."""
    for depth in [100, *range(900, 1100), (KILOBYTES_16 - 1) // (len(opening) + len(closing))]:
        attributes = opening * depth + "1" + closing * depth
        try:
            assert check_attributes(attributes, KILOBYTES_16) == attributes
        except AttributesNotJsonError:
            assert depth > 100


def test_attributes_with_a_very_long_number_are_accepted() -> None:
    assert check_attributes("1" * KILOBYTES_16, KILOBYTES_16)


@settings(deadline=None)
@given(st.text())
def test_any_text_as_attributes_is_accepted_unchanged_or_rejected(text: str) -> None:
    try:
        kept = check_attributes(text, KILOBYTES_16)
    except (AttributesNotJsonError, AttributesTooLongError):
        return
    assert kept == text
    json.loads(text)


@settings(deadline=None)
@given(JSON_VALUES, st.booleans())
def test_every_json_value_is_accepted_as_attributes(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert check_attributes(text, 1_000_000) == text
