"""What the model gets to see: the system prompt and as much of the history as fits its window.

Not here: how a vendor wants it (its adapter knows) and what is stored (the models do). Read `builder.py`.
"""
