"""The order in which slices are read that do not fit into memory."""

from itertools import pairwise

import pytest
import torch

from dainet.dino.shuffle import block_shuffle


def order(count: int, seed: int = 0, block: int = 4, window: int = 16) -> list[int]:
    return block_shuffle(count, torch.Generator().manual_seed(seed), block, window).tolist()


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 32, 99, 1000])
def test_every_row_once(count: int) -> None:
    assert sorted(order(count)) == list(range(count))


def test_what_fits_into_the_window_is_in_any_order() -> None:
    expected = torch.randperm(16, generator=torch.Generator().manual_seed(3)).tolist()
    assert order(16, seed=3) == expected


def test_a_window_holds_whole_blocks_and_mixes_them() -> None:
    rows = order(1000)
    for start in range(0, 1000 - 16, 16):
        window = rows[start : start + 16]
        assert len({row // 4 for row in window}) == 4  # of four blocks, nothing else is in memory
        assert window != sorted(window)


def test_by_itself_it_reads_blocks_of_256_rows_and_mixes_64_of_them() -> None:
    generator = torch.Generator().manual_seed(0)
    free = torch.randperm(64 * 256, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block_shuffle(64 * 256, generator), free)
    rows = block_shuffle(130 * 256, generator)
    assert [len((part // 256).unique()) for part in rows.split(64 * 256)] == [64, 64, 2]


def test_epochs_differ_in_blocks_and_rows() -> None:
    first, second = order(1000, seed=1), order(1000, seed=2)
    assert first == order(1000, seed=1)
    assert first != second
    assert {row // 4 for row in first[:16]} != {row // 4 for row in second[:16]}


def test_neighbors_are_rarely_read_one_after_the_other() -> None:
    rows = order(10_000, block=256, window=1024)
    assert sum(later - earlier == 1 for earlier, later in pairwise(rows)) < 50
