"""One torch thread for models of many small operations."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

Given = ParamSpec("Given")
Found = TypeVar("Found")


def one_thread(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """``function`` with one torch thread, put back afterwards.

    Threads that wait for each other after every small operation cost more than they save: on two busy cores a hundred
    draws of ``dw4`` took 3 s with one thread and 45 to 80 s with two.
    """

    @functools.wraps(function)
    def single(*args: Given.args, **options: Given.kwargs) -> Found:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **options)
        finally:
            torch.set_num_threads(before)

    return single
