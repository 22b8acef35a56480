import torch

from molgen.models.base import Draws
from molgen.sampling.drawing import draw_pieces


class Normal:
    """A model of one number."""

    measure = "external"

    def sample(self, n: int, generator: torch.Generator) -> Draws:
        x = torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)
        return Draws(x, -0.5 * x[:, 0, 0] ** 2, torch.ones(n, dtype=torch.bool))


def fetch(n: int, seed: int, piece: int) -> list[torch.Tensor]:
    model = Normal()
    return [draws.positions[:, 0, 0] for draws in draw_pieces(model, n, seed=seed, piece=piece)]  # type: ignore[arg-type]


def test_pieces_have_the_size_asked_for() -> None:
    assert [len(part) for part in fetch(10, 1, 4)] == [4, 4, 2]
    assert [len(part) for part in fetch(8, 1, 4)] == [4, 4]
    assert [len(part) for part in fetch(3, 1, 4)] == [3]


def test_a_piece_depends_on_seed_and_number_alone() -> None:
    long, short = fetch(12, 7, 4), fetch(8, 7, 4)
    assert all(torch.equal(a, b) for a, b in zip(long[:2], short, strict=True))
    assert not torch.equal(long[0], long[1])
    assert not torch.equal(long[0], fetch(4, 8, 4)[0])
    assert len(torch.unique(torch.cat(long))) == 12


def test_nothing_is_drawn_before_it_is_asked_for() -> None:
    calls: list[int] = []

    class Counting(Normal):
        def sample(self, n: int, generator: torch.Generator) -> Draws:
            calls.append(n)
            return super().sample(n, generator)

    pieces = draw_pieces(Counting(), 10**9, seed=1, piece=5)  # type: ignore[arg-type]
    next(pieces)
    assert calls == [5]
