"""The same world as the access tables are asked in."""

from tests.access.conftest import client_of, operator, world

__all__ = ["client_of", "operator", "world"]
