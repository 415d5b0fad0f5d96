"""What goes where there is no room, and that nothing is counted twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from mediamw.backends.bounded import Bounded


def test_there_is_room_for_so_many() -> None:
    kept: Bounded[int, str] = Bounded(3)
    for number in range(100):
        kept.put(number, str(number))
        assert kept.get(number) == str(number)
        assert len(kept) == min(3, number + 1)
    assert all(kept[number] == str(number) for number in kept)


def test_another_value_of_a_key_takes_no_room() -> None:
    kept: Bounded[str, int] = Bounded(2)
    kept.put("a", 0)
    for number in range(100):
        kept.put("b", number)
    assert kept == {"a": 0, "b": 99}


def test_asked_for_in_turn_some_are_still_there() -> None:
    """The oldest would all go just before their turn."""
    kept: Bounded[int, int] = Bounded(100)
    found = 0
    for _ in range(20):
        for number in range(150):
            found += number in kept
            kept.put(number, number)
    assert found > 500


def test_threads() -> None:
    kept: Bounded[int, int] = Bounded(10)

    def put(start: int) -> None:
        for number in range(start, start + 2000):
            kept.put(number, number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, range(0, 400, 100)))
    assert len(kept) == 10
    assert sorted(kept) == sorted(kept._order)
