"""The verbs: one file per noun, one function per thing a person does. Every one is a whole transaction."""
