"""What every app stands on: errors, limits, the database crossing, Redis, tasks, secrets, outbound HTTP.

Nothing here knows a person, a model or a conversation; an import from an app is a mistake that `make check` finds.
Read `errors.py` first: everything that can go wrong is drawn at its top.
"""
