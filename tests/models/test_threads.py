import pytest
import torch

from molgen.models.threads import one_thread


def test_one_thread_inside_and_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[int] = []

        @one_thread
        def look(fail: bool) -> int:
            seen.append(torch.get_num_threads())
            if fail:
                raise ValueError
            return 7

        assert look(False) == 7
        assert look.__name__ == "look"
        with pytest.raises(ValueError, match=r"^$"):
            look(True)
        assert seen == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
