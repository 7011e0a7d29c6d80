"""A list in memory is split into pages (domain/pages.py)."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from convoke.domain.pages import PageRequest, page_of_list

LISTS = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=6).map(sorted)


@given(sids=LISTS, size=st.integers(1, 4))
@example(sids=[], size=1)
def test_paging_forward_and_backward_returns_every_resource_once(sids: list[str], size: int) -> None:
    page = page_of_list(sids, sids, PageRequest(size))
    pages = [page]
    while page.has_next:
        page = page_of_list(sids, sids, PageRequest(size, page.resources[-1]))
        pages.append(page)
    assert [sid for page in pages for sid in page.resources] == sids
    assert not pages[0].has_previous
    for following, before in zip(reversed(pages), reversed(pages[:-1]), strict=False):
        assert following.has_previous
        assert page_of_list(sids, sids, PageRequest(size, following.resources[0], forward=False)) == before


@given(sids=LISTS, size=st.integers(1, 4), position=st.text("abc", min_size=1, max_size=3))
def test_position_of_a_deleted_resource_still_splits_the_list(sids: list[str], size: int, position: str) -> None:
    behind = page_of_list(sids, sids, PageRequest(size, position))
    before = page_of_list(sids, sids, PageRequest(size, position, forward=False))
    assert behind.resources == [sid for sid in sids if sid > position][:size]
    assert before.resources == [sid for sid in sids if sid < position][-size:]
    assert behind.has_previous == any(sid <= position for sid in sids)
    assert before.has_next == any(sid >= position for sid in sids)
