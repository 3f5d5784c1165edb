"""Work in parts: as few as fit, and the same result."""

from types import SimpleNamespace

import pytest

from sdfrepar import memory


def program(needed: float):
    return SimpleNamespace(memory_analysis=lambda: SimpleNamespace(temp_size_in_bytes=needed))


def test_a_program_that_fits_is_compiled_once():
    tried = []
    parts, _ = memory.fewest_parts(lambda parts: tried.append(parts) or program(90.0 / parts), [4, 1, 2], 100.0)
    assert parts == 1 and tried == [1]


def test_parts_that_cannot_be_enough_are_not_tried():
    tried = []
    needed = lambda parts: tried.append(parts) or program(10.0 + 800.0 / parts)  # noqa: E731
    parts, compiled = memory.fewest_parts(needed, [1, 2, 4, 8, 16], 100.0)
    assert (parts, tried) == (16, [1, 16])
    assert memory.temporary_bytes(compiled) == 60.0


def test_what_never_fits_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match=r"takes 2 GB even in 4 parts, and the budget is 1 GB; state a larger"):
        memory.fewest_parts(lambda parts: program(2e9), [1, 2, 4], 1e9)


def test_budget_is_what_is_stated_or_a_share_of_the_device():
    gpu = SimpleNamespace(memory_stats=lambda: {"bytes_limit": 8e9})
    cpu = SimpleNamespace(memory_stats=lambda: None)
    assert memory.budget(1.5, gpu) == 1.5e9
    assert memory.budget(None, gpu) == 6e9
    assert memory.budget(None, cpu) > 1e8
