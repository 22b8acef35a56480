from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.models.base import Draws
from molgen.sampling.drawing import draw_pieces
from molgen.sampling.pieces import FOLDER, piece_path, read_piece, remove_pieces, write_piece


def some_draws(n: int = 5, *, noisy: bool = False) -> Draws:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(n, 4, 2, generator=generator, dtype=torch.float64)
    log_q = numbers.sum((1, 2))
    error = log_q.abs() if noisy else None
    stopped = torch.full((n,), torch.nan) if noisy else None
    return Draws(numbers, log_q, log_q > 0, error, stopped)


@pytest.mark.parametrize("noisy", [False, True])
def test_a_piece_read_back_is_the_same_up_to_the_precision_of_ensembles(tmp_path: Path, noisy: bool) -> None:
    draws = some_draws(noisy=noisy)
    path = piece_path(tmp_path, 3)
    write_piece(path, draws)
    found = read_piece(path, 5)
    assert found is not None
    np.testing.assert_array_equal(found.positions.numpy(), draws.positions.numpy().astype(np.float32))
    assert torch.equal(found.log_q, draws.log_q)
    assert torch.equal(found.in_domain, draws.in_domain)
    assert (found.log_q_error is None, found.stopped_at is None) == (not noisy, not noisy)
    assert found.log_q.dtype == torch.float64


def test_what_is_no_such_piece_is_drawn_anew(tmp_path: Path) -> None:
    path = piece_path(tmp_path, 0)
    assert read_piece(path, 5) is None
    write_piece(path, some_draws(5))
    assert read_piece(path, 6) is None
    path.write_bytes(path.read_bytes()[:200])
    assert read_piece(path, 5) is None


def test_kept_pieces_are_not_drawn_again(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counting:
        def sample(self, n: int, generator: torch.Generator) -> Draws:
            calls.append(n)
            return some_draws(n)

    def fetch() -> list[Draws]:
        return list(draw_pieces(Counting(), 12, seed=1, piece=5, keep=tmp_path))  # type: ignore[arg-type]

    first = fetch()
    piece_path(tmp_path, 1).unlink()
    again = fetch()
    assert calls == [5, 5, 2, 5]
    assert all(torch.equal(a.log_q, b.log_q) for a, b in zip(first, again, strict=True))
    remove_pieces(tmp_path)
    assert not (tmp_path / FOLDER).exists()
    remove_pieces(tmp_path)
