"""What surrounds a run of the tests: private servers, a browser, somebody else's mock, and one summary at the end.

`python -m tests.harness` runs everything; further arguments go to pytest. `servers.py` starts PostgreSQL and Redis,
`fetched.py` gets what is not a package of ours. Nothing here knows what the tests are about.
"""
