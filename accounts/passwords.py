"""What a password has to be, and a gate in front of hashing it: a hash takes about 100 MB for a tenth of a second."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.password_validation import MinimumLengthValidator

from chatplatform.kernel.errors import Unavailable
from chatplatform.kernel.words import words

# Two at once keep a process under 200 MB for them and sign in some fifteen people a second; more cores run more
# processes. Whoever has waited ten seconds is better told so than kept.
AT_ONCE, PATIENCE = 2, 10.0

_room = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def one_hash() -> Iterator[None]:
    """Wait for room to hash one password. Unavailable if there is none in reasonable time."""
    if not _room.acquire(timeout=PATIENCE):
        raise Unavailable(retry_after=PATIENCE)
    try:
        yield
    finally:
        _room.release()


class LongEnough(MinimumLengthValidator):
    """Django's own check of the length; its sentence has no Chinese in Django 5.2."""

    def get_error_message(self) -> str:
        return words(
            f"The password is too short. It needs at least {self.min_length} characters.",
            f"密码太短，至少需要 {self.min_length} 个字符。",
        )

    def get_help_text(self) -> str:
        return words(f"At least {self.min_length} characters.", f"至少 {self.min_length} 个字符。")
