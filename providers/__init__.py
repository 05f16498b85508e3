"""Models: everything between a list of messages and a stream of events.

Dialects, vendors, the catalogue, routing and the REST doors over them are here; conversations, and who may hold a key,
are not. Read `completion.py` first, then `vendors.py`, `catalogue.py` and `routing/router.py`.
"""
