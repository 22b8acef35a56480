import math

import pytest
import torch

from molgen.coordinates.folding import HydrogenFolding
from tests.molecules import frames_of, internal_of


@pytest.mark.parametrize(
    ("name", "groups"), [("alanine-dipeptide", 3), ("propane", 2), ("ammonium", 1), ("branch", 0), ("chiral", 0)]
)
def test_each_group_of_three_hydrogens_counts_three_labellings(name: str, groups: int) -> None:
    folding = HydrogenFolding(internal_of(name))
    assert folding.n_groups == groups
    assert folding.log_order == pytest.approx(groups * math.log(3))


@pytest.mark.parametrize("name", ["branch", "chiral"])
def test_a_molecule_without_groups_is_left_as_it_is(name: str) -> None:
    folding = HydrogenFolding(internal_of(name))
    frames = frames_of(name, 5)
    assert torch.equal(folding.canonical(frames), frames)
    assert torch.equal(folding.random(frames, torch.Generator().manual_seed(1)), frames)


def test_permutations_move_hydrogens_of_their_group_only_and_compose() -> None:
    internal = internal_of("propane")
    folding = HydrogenFolding(internal)
    frames = frames_of("propane", 4)
    one = torch.tensor([[1, 0]]).expand(4, -1)
    group = list(next(iter(internal.zmatrix.triples.values())))
    others = [i for i in range(internal.n_atoms) if i not in group]
    moved = folding.permute(frames, one)
    assert torch.equal(moved[:, others], frames[:, others])
    assert torch.equal(moved[:, group], frames[:, [group[1], group[2], group[0]]])
    assert torch.equal(folding.permute(folding.permute(moved, one), one), frames)


def test_random_labellings_are_uniform_and_reproducible() -> None:
    """Chi-square over nine labellings of 1,800 frames: one seed in 10,000 exceeds 31.8 (8 degrees of freedom)."""
    folding = HydrogenFolding(internal_of("propane"))
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
