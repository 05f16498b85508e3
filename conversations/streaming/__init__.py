"""Many listeners, numbered events, replay. Knows what an event is and nothing of what it means.

`hub.py` gives events to everyone who follows a generation, in this process and in others; `memory.py` and `redis.py`
keep them for whoever comes back. Not here: who may follow (the doors ask that), and how events look on a wire.
Read `events.py`, then `hub.py`.
"""
