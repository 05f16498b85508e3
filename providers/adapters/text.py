"""Text as a model sent it, made safe to store, encode and show.

PostgreSQL refuses NUL, JSON and UTF-8 refuse lone surrogates, and a terminal obeys escape sequences. A vendor that
cuts its answer between the two halves of a character outside the basic plane sends the halves one after the other.
"""

import re

# Everything a control character can be, apart from the three that are part of text.
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
SURROGATES = re.compile(r"[\ud800-\udfff]")
HIGH_SURROGATES = range(0xD800, 0xDC00)


def _joined(text: str) -> str:
    """`text` with its pairs of surrogates joined and what is left of them replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Cleaner:
    """Cleans a text that arrives in pieces; however it is cut, the pieces that come out add up to the same."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, piece: str) -> str:
        """What can be shown by now; half a character at the end is kept for the next piece."""
        if not self._half and piece.isprintable():  # nearly always, and at a tenth of the price
            return piece
        text = self._half + CONTROLS.sub("", piece)
        self._half = ""
        if text and ord(text[-1]) in HIGH_SURROGATES:
            text, self._half = text[:-1], text[-1]
        return _joined(text) if SURROGATES.search(text) else text

    def end(self) -> str:
        """What was kept, now that no more is coming."""
        rest, self._half = self._half, ""
        return _joined(rest)


def clean(text: str) -> str:
    """A whole text, cleaned."""
    cleaner = Cleaner()
    return cleaner.feed(text) + cleaner.end()
