"""The REST doors of accounts: one file per prefix, input, output and view in reading order."""
