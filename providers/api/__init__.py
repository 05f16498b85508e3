"""The REST doors over models and keys: one file per address prefix, with its input, its output and its views."""
