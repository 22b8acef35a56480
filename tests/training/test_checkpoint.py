from pathlib import Path

import torch

from molgen.training.checkpoint import read_checkpoint, write_checkpoint


def test_tensors_and_record_come_back(tmp_path: Path) -> None:
    tensors = {
        "a": torch.arange(6.0, dtype=torch.float64).view(2, 3).T,
        "empty": torch.zeros(4, 0),
        "n": torch.tensor(7),
    }
    write_checkpoint(tmp_path, tensors, {"step": 3, "best": None, "curve": [{"ess": 0.5}]})
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found[1] == {"step": 3, "best": None, "curve": [{"ess": 0.5}]}
    assert found[0].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[0][name].dtype == tensor.dtype
        assert torch.equal(found[0][name], tensor)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None


def test_a_second_one_replaces_the_first_and_leaves_nothing_behind(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, {"a": torch.tensor(step)}, {"step": step})
    found = read_checkpoint(tmp_path)
    assert found is not None
    assert found[1]["step"] == int(found[0]["a"]) == 2
    assert len(list(tmp_path.iterdir())) == 1
