"""A part of a folder as a listing told it: of which keys it tells, and where the next listing starts."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediamw.backends.pages import Listed, Page, folder_of, just_before
from mediamw.core.keys import refusal
from mediamw.core.model import Meta

# Letters around which orders differ: halves of pairs, what stands behind them in UTF-8 and before them in UTF-16.
LETTERS = st.one_of(
    st.sampled_from(list(" !~./09AZaz\u00a0\u00ff\ud7ff\ue000\ufb01\uffee\U00010000\U0001f600")),
    st.characters(exclude_categories=["Cs", "Cc"]),
)
NAMES = st.text(LETTERS, min_size=1, max_size=6).filter(lambda name: refusal(name) is None)


def page(*names: str, folder: str = "f/", after: str | None = None, last: str | None = None) -> Page:
    return Page(folder, after, last, [Listed(name, len(name), f'"{name}"') for name in names])


def test_a_whole_folder_tells_of_every_name() -> None:
    whole = page("b", "d", "é", "\ufb01", "\U0001f600")
    assert whole.is_whole
    assert all(whole.tells(f"f/{name}") for name in "abcde\ufb00\U0001f601")
    assert [name for name in "abcdeé\ufb01\U0001f600" if whole.get(f"f/{name}")] == [
        "b",
        "d",
        "é",
        "\ufb01",
        "\U0001f600",
    ]
    assert whole.get("f/d") == Meta(1, etag='"d"')
    assert len(whole) == 5


def test_a_part_tells_of_what_lies_between_its_ends() -> None:
    part = page("d", "f", after="f/c", last="f/f")
    assert [name for name in "abcdefg" if part.tells(f"f/{name}")] == ["d", "e", "f"]
    assert not part.tells("f/f0")
    assert part.tells("f/c0")
    assert part.get("f/c0") is None


@pytest.mark.parametrize("ends", [{"after": "f/a"}, {"last": "f/\U0010ffff"}])
def test_a_part_tells_nothing_of_names_that_others_sort_otherwise(ends: dict[str, str]) -> None:
    part = page("b", **ends)
    assert part.tells("f/é\ud7ff")
    for name in ("\ue000", "\ufb01", "\U0001f600", "c\ufb01", "d\U00010000"):
        assert not part.tells(f"f/{name}")
        assert page("b").tells(f"f/{name}")


def test_a_file_that_has_to_be_asked_for() -> None:
    told = Page("", None, None, [Listed("a", 1, None), Listed("b", 0, None, is_told=False)])
    assert (told.tells("a"), told.tells("b"), told.tells("c")) == (True, False, True)
    assert told.get("a") == Meta(1)


@pytest.mark.parametrize(
    ("names", "ends"),
    [
        (("b", "a"), {}),
        (("a", "a"), {}),
        (("\U0001f600", "\ufb01"), {}),  # UTF-16's order
        (("a",), {"after": "f/a"}),
        (("a", "c"), {"last": "f/b"}),
    ],
)
def test_what_is_out_of_order_or_bounds_is_refused(names: tuple[str, ...], ends: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"the files are not|out of its bounds"):
        page(*names, **ends)


def test_its_bytes_are_counted() -> None:
    """Within a tenth of what its texts and columns take."""
    names = [f"{number:04}-{'x' * 40}.jpg" for number in range(1000)]
    told = page(*names)
    texts = sum(sys.getsizeof(name) + sys.getsizeof(f'"{name}"') for name in names)
    assert texts < told.bytes < texts + 1000 * 8 * 3 * 1.1


@pytest.mark.parametrize(("key", "folder"), [("a", ""), ("a/b", "a/"), ("a/b/c.jpg", "a/b/")])
def test_the_folder_of_a_key(key: str, folder: str) -> None:
    assert folder_of(key) == folder


@pytest.mark.parametrize(
    ("key", "start"),
    [
        ("f/9999.jpg", "f/9999.jpf~"),
        ("f/b", "f/a~"),
        ("f/ ", "f/"),  # what stands before is no character for a URL
        (" ", ""),
        ("f/\u00a0", "f/"),
        ("f/\ue000", "f/\ud7ff~"),
        ("f/\U00010000", "f/\uffff~"),
    ],
)
def test_a_start_just_before_a_key(key: str, start: str) -> None:
    assert just_before(key) == start


@given(NAMES)
@example("a\ue000")
def test_a_start_stands_before_its_key_in_every_order(name: str) -> None:
    key = f"f/{name}"
    start = just_before(key)
    assert start.encode() < key.encode()
    assert start < key
    assert start.startswith(key[:-1])
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in start)


@given(st.sets(NAMES, max_size=12), NAMES, NAMES, st.integers(1, 8), st.sampled_from(["utf-8", "utf-16-be"]))
@example({"\ufb01", "\U0001f600"}, "\ufb01", "a", 1, "utf-16-be")
def test_what_is_told_is_so_in_either_order(names: set[str], asked: str, start: str, size: int, order: str) -> None:
    """A server sorts by UTF-8's bytes or UTF-16's, gives as many as it likes, and is never misunderstood."""
    for after in (None, just_before(f"f/{start}")):
        behind = sorted(
            (name for name in names if after is None or f"f/{name}".encode(order) > after.encode(order)),
            key=lambda name: name.encode(order),
        )
        given_ = behind[:size]
        last = f"f/{given_[-1]}" if len(behind) > size else None
        try:
            told = page(*given_, after=after, last=last)
        except ValueError:
            assert order != "utf-8"
            continue
        for name in (*names, asked, start):
            if told.tells(f"f/{name}"):
                assert (told.get(f"f/{name}") is not None) is (name in names)
        if order == "utf-8" and after is None and last is None:
            assert all(told.tells(f"f/{name}") for name in (*names, asked))
