"""Lets what is known at once be asked for as in a database."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, execute

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


def fired(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], Deferred[T]]:
    """Let a method return a Deferred that has fired with its outcome."""

    def deferring(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return execute(method, self, *args, **kwargs)

    return wraps(method)(deferring)
