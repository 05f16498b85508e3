"""The same world as the access tables are asked in, and the same sockets as conversations are tried over."""

from tests.access.conftest import client_of, operator, world
from tests.conversations.conftest import catalogue, knock, socket

__all__ = ["catalogue", "client_of", "knock", "operator", "socket", "world"]
