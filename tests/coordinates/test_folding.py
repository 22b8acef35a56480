import math

import pytest
import torch

from tests.molecules import chart_of, frames_of, internal_of


@pytest.mark.parametrize(("name", "order"), [("alanine-dipeptide", 27), ("ammonium", 6), ("chiral", 1), ("nitro", 6)])
def test_the_number_of_labellings_is_the_product_of_the_orders(name: str, order: int) -> None:
    assert chart_of(name).folding.log_order == pytest.approx(math.log(order))


@pytest.mark.parametrize("name", ["norbornane", "chiral"])
def test_a_molecule_without_rotors_is_left_as_it_is(name: str) -> None:
    folding = chart_of(name).folding
    frames = frames_of(name, 5)
    assert torch.equal(folding.canonical(frames), frames)
    assert torch.equal(folding.random(frames, torch.Generator().manual_seed(1)), frames)


def test_permutations_move_hydrogens_of_their_group_only_and_compose() -> None:
    folding = chart_of("propane").folding
    frames = frames_of("propane", 4)
    one = torch.tensor([[1, 0]]).expand(4, -1)
    group = list(folding.rotors[0].branches)
    others = [i for i in range(internal_of("propane").n_atoms) if i not in group]
    moved = folding.permute(frames, one)
    assert torch.equal(moved[:, others], frames[:, others])
    assert torch.equal(moved[:, group], frames[:, [group[1], group[2], group[0]]])
    assert torch.equal(folding.permute(folding.permute(moved, one), one), frames)


def test_a_group_of_the_other_handedness_is_folded_all_the_same() -> None:
    """Such a frame is outside the domain; its weight is 0, its labelling still one of three."""
    folding = chart_of("propane").folding
    frames = frames_of("propane", 10)
    first, second, third = folding.rotors[0].branches
    frames[:, [second, third]] = frames[:, [third, second]]
    canonical = folding.canonical(frames)
    for shift in range(3):
        assert torch.equal(folding.canonical(folding.permute(frames, torch.tensor([[shift, 0]] * 10))), canonical)
    assert first in folding.rotors[0].moved


def test_random_labellings_are_uniform_and_reproducible() -> None:
    """Chi-square over nine labellings of 1,800 frames: one seed in 10,000 exceeds 31.8 (8 degrees of freedom)."""
    folding = chart_of("propane").folding
    frames = folding.canonical(frames_of("propane", 1)).expand(1800, -1, -1)
    drawn = folding.random(frames, torch.Generator().manual_seed(3))
    assert torch.equal(drawn, folding.random(frames, torch.Generator().manual_seed(3)))
    counts = []
    for a in range(3):
        for b in range(3):
            labelled = folding.permute(frames[:1], torch.tensor([[a, b]]))
            counts.append(int((drawn == labelled).all(-1).all(-1).sum()))
    assert sum(counts) == 1800
    assert sum((count - 200) ** 2 / 200 for count in counts) < 31.8
    assert torch.equal(folding.canonical(drawn), frames)
