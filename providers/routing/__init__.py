"""Choosing among the ways to reach a model, and changing to the next while nothing has been said yet.

Here belongs what happens between "this model" and "the first event"; what a model is shown, and what becomes of its
words, does not. Read `router.py` first.
"""
