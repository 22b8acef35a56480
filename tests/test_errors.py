"""Every error a user meets has a sentence, a remedy and an exit code."""

import pytest

from molgen.errors import InputError, InterruptedRunError, MolgenError, PartialError, RefusedError, UsageError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MolgenError, 1),
        (UsageError, 2),
        (InputError, 3),
        (RefusedError, 4),
        (PartialError, 5),
        (InterruptedRunError, 75),
    ],
)
def test_exit_codes(error: type[MolgenError], code: int) -> None:
    assert error("What is wrong.").exit_code == code


def test_message_and_hint() -> None:
    assert str(InputError("No such file.", "Check the path.")) == "No such file. Check the path."
    assert str(InputError("No such file.")) == "No such file."
