"""Secrets that open somebody else's door: sealed, described and handed out for one call at a time.

Here belongs what a stored key needs, small enough to be read in one sitting; what the keys open, which vendors there
are and who may call them, does not. Read `crypto.py` first, then `services.py`.
"""
