"""Whatever an agent gives, it hears of mistakes in the log, never by an exception."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def careful(
    otherwise: R,
) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[Concatenate[Any, P], R]]:
    """Of a session or a call: what is wrong is counted by its emitter, and `otherwise` is answered."""

    def around(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
        @wraps(method)
        def done(self: Any, /, *args: P.args, **given: P.kwargs) -> R:
            try:
                return method(self, *args, **given)
            except Exception as wrong:
                getattr(self, "session", self).emitter.failed(wrong)
                return otherwise

        return done

    return around
