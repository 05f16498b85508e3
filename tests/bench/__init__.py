"""What the server costs, measured beside a peer in the same minutes: `make bench`.

`cases.py` says what is measured, `load.py` is the clients, `upstream.py` the vendor, `relay.py` the peer. A figure is
read as a ratio to the peer's: seconds and megabytes belong to the machine they were taken on.
"""
