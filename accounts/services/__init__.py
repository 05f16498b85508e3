"""The verbs: one file per thing a person does."""
