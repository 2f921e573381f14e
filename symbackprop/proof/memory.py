"""What a proof remembers, as long as it is not too much."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Values by key: of those that weigh more than ``most`` together, the ones used last are kept."""

    def __init__(self, most: int, weight: Callable[[Value], int]) -> None:
        self._most = most
        self._weight = weight
        self._values: dict[Hashable, Value] = {}

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of ``key``, made anew where it is not remembered."""
        known = key in self._values
        value = self._values.pop(key) if known else make()
        self._values[key] = value
        if not known and self._weight(value):
            self._forget()
        return value

    def _forget(self) -> None:
        """Forget the values that were not used for the longest time, and keep the newest."""
        weights = {key: self._weight(value) for key, value in self._values.items()}
        total = sum(weights.values())
        for key in list(self._values)[:-1]:
            if total <= self._most:
                break
            total -= weights[key]
            del self._values[key]
