"""How much one client may ask of a socket, and one person of this process. Each number with its reason."""

import time

# Frames from a client, a second and at once: a person's clicks, heartbeats and acknowledgements come to a few a second.
FRAMES = (20, 40)
# Acknowledgements, one for every 32 events: a reply that is caught up with is read as fast as the line allows.
ACKNOWLEDGEMENTS = (200, 400)
# Generations that one socket follows: a screen shows one or two, a split one four.
FOLLOWED_PER_SOCKET = 8
# Sockets of one person on this worker: a phone may open five, and a few more are a laptop and its tabs.
SOCKETS_PER_PERSON = 10
# Sockets from one address: an office or a school behind one router.
SOCKETS_PER_ADDRESS = 200
# Sockets that brought no token and have not signed in yet, of everybody and from one address: each lives ten seconds
# at the most, and no address may hold all places.
UNSIGNED_SOCKETS = 200
UNSIGNED_PER_ADDRESS = 20
# Conversations that one socket watches for other devices' turns.
WATCHED_PER_SOCKET = 50


class FrameBucket:
    """A token bucket for one socket's frames: so many a second, so many at once."""

    def __init__(self, per_second: int, at_once: int) -> None:
        self._per_second, self._at_once = per_second, at_once
        self._tokens = float(at_once)
        self._counted_at = time.monotonic()

    def take(self) -> bool:
        """One frame more; False if there are too many."""
        now = time.monotonic()
        self._tokens = min(self._at_once, self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
