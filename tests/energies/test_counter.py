from molgen.energies.counter import EvaluationCounter


def test_counts_are_kept_apart() -> None:
    counter = EvaluationCounter()
    counter.add("training", 5)
    counter.add("training", 2)
    counter.add("data", 1)
    assert counter.as_dict() == {"data": 1, "training": 7, "sampling": 0, "reweighting": 0}
    assert counter.total == 8
