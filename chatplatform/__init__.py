"""The project: a roof that knows every app, and a kernel that knows none.

What belongs to one subject lives in its app; what every app needs and none owns lives in `kernel/`.
Start with `settings.py`, then `asgi.py` for how a request or a socket finds its way in.
"""
