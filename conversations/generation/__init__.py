"""One turn, start to finish. A reply belongs to the process that writes it, never to a socket that watches it.

`engine.py` is the reply in numbered steps, `runner.py` owns the tasks that run it, `recorder.py` is everything it
writes to the database, `reaper.py` ends what a dead worker left behind. Read the engine first.
"""
