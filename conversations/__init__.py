"""The product: talk, remember, stream.

A message comes in through a door (`realtime/`, `api/`), is stored by a verb (`services/`), answered by one run of a
model (`generation/`), and what the model writes is numbered and handed to everyone who follows (`streaming/`).
Read `generation/engine.py` first: it is one reply from start to finish.
"""
