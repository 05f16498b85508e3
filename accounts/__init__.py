"""People: who they are, how they sign in, and what they did.

What a person may spend and how often they may act is said here too, because every door above asks the same question;
conversations, models and keys do not belong here. Read `authentication.py` first: who is this request or socket?
"""
