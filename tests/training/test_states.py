import pytest

from molgen.training.states import negligible_states


def record(name: str, share: float | None) -> dict[str, object]:
    return {"name": name, "weighted_share": share}


@pytest.mark.parametrize(("share", "negligible"), [(0.004, True), (0.006, False), (0.0, True), (None, False)])
def test_a_state_is_negligible_only_where_its_share_is_known_to_be_small(share: float | None, negligible: bool) -> None:
    records = [record("s1", 0.9), record("s2", share)]
    assert negligible_states(records, 0.005) == (("s2",) if negligible else ())
