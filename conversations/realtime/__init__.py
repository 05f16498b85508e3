"""The sockets people connect to. A door parses, delegates and forwards; it never makes a reply.

`frames.py` is exactly what goes over the wire, `consumer.py` is the socket. Read the frames first.
"""
