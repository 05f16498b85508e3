"""Text for people, in English and Chinese, side by side where it is used.

Every sentence that a person may read is written once, in both languages, and resolves to the active language when
it is turned into text. There is no catalogue to compile and nothing to keep in step.
"""

from django.utils import translation
from django.utils.functional import lazy

LANGUAGES = ("en", "zh-hans")


def _choose(en: str, zh: str) -> str:
    return zh if (translation.get_language() or "en").startswith("zh") else en


words = lazy(_choose, str)
"""`words(en, zh)`: a lazy string, English or Chinese by the language that is active when it is read."""

__all__ = ["LANGUAGES", "words"]
