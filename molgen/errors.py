"""Errors a user can meet: one sentence, a remedy, and the exit code the command line answers with."""

from typing import ClassVar


class MolgenError(Exception):
    """Base of every error that is the user's to mend.

    ``message`` says what is wrong in one sentence, ``hint`` what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(MolgenError):
    """The command line or a call's arguments do not fit together (exit 2)."""

    exit_code = 2


class InputError(MolgenError):
    """A file, system or model cannot be used as it is (exit 3)."""

    exit_code = 3


class RefusedError(MolgenError):
    """The numbers were computed but must not be believed (exit 4)."""

    exit_code = 4


class PartialError(MolgenError):
    """Part of the work is done and kept, part could not be done (exit 5)."""

    exit_code = 5


class InterruptedRunError(MolgenError):
    """The run was stopped (time limit or signal) and the same command continues it (exit 75)."""

    exit_code = 75
