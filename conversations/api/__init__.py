"""The REST doors: one file per address prefix, each with what it accepts, returns and does, in reading order."""
