"""Child seeds depend on the root and their names, on nothing else."""

import numpy as np
import pytest

from molgen.seeds import child_seed, new_root_seed, numpy_generator


def test_a_child_seed_is_a_fixed_number() -> None:
    # recorded once: a change would silently change every published run
    assert child_seed(1, "draw", 0) == 5100094419915061539
    assert child_seed(1, "draw", 0, bits=31) == 5100094419915061539 >> 32


def test_names_and_roots_give_different_seeds() -> None:
    seeds = {child_seed(root, name, index) for root in range(5) for name in ("a", "b") for index in range(100)}
    assert len(seeds) == 1000
    assert child_seed(1, "a", 1) != child_seed(1, "a1")


@pytest.mark.parametrize("bits", [31, 63])
def test_seeds_fit_their_bits_and_are_never_zero(bits: int) -> None:
    seeds = [child_seed(7, index, bits=bits) for index in range(2000)]
    assert min(seeds) >= 1
    assert max(seeds) < 2**bits


def test_generators_repeat() -> None:
    first, second = (numpy_generator(3, "noise").normal(size=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, numpy_generator(3, "other").normal(size=5))


def test_fresh_root_seeds_differ() -> None:
    # five equal draws of 32 bits: false alarm once in 2**128
    assert len({new_root_seed() for _ in range(5)}) > 1
