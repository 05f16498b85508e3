"""`Secret`: text that never prints, logs, pickles, copies or serialises by accident."""

import hmac
from typing import Any, NoReturn


class Secret:
    """A secret string. Only `reveal()` gives it out, so that every use can be found by searching for that word."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Call it where the secret is used, and nowhere else."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")
