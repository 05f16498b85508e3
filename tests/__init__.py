"""The tests, one folder per app and one file per behaviour; they go through the doors people use.

`make test` runs them twice: on SQLite and in memory, then on a PostgreSQL and a Redis of their own (`harness/`). The
people and helpers they speak of are in `cast.py`, what happens around every test is in `conftest.py`.
"""
