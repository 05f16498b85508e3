"""Counting tokens without a tokenizer: an estimate good enough to fit a history into a window, or to stand in for the
count that a vendor did not report. What is charged for is the vendor's own count whenever there is one.

One token for a Chinese, Japanese or Korean character, 0.30 for any other, four for the frame of a message. Measured
over Chinese prose, a dictionary, code, English, JSON and box art, this is 0.98 to 1.42 times what the o200k tokenizer
(GPT-4o and later) counts, and the Qwen, GLM and DeepSeek tokenizers count at most 1.16 times what that one does. An
estimate may therefore be low by a sixth, which `MARGIN` covers; Claude's and GPT-4's tokenizers would need 1.5.
"""

import math
from collections.abc import Iterable

from providers.completion import Prompt, PromptMessage, Usage

PER_WIDE, PER_OTHER, PER_MESSAGE = 1.0, 0.30, 4

MARGIN = 1.25
"""Multiply an estimate by this before trusting that something fits into a window."""

# In UTF-8 the first byte tells the script: E3 and up begin every character from U+3000 on, where CJK punctuation,
# kana, Han, Hangul, full-width forms and emoji are. Counting bytes takes a millisecond a megabyte.
_NOT_WIDE = bytes(set(range(256)) - set(range(0xE3, 0xF5)))


def estimate(text: str) -> int:
    """About how many tokens `text` is."""
    wide = 0 if text.isascii() else len(text.encode("utf-8", "replace").translate(None, _NOT_WIDE))
    return math.ceil(PER_WIDE * wide + PER_OTHER * (len(text) - wide))


def estimate_messages(messages: Iterable[PromptMessage]) -> int:
    """About how many tokens `messages` are, frames included; thinking is not sent back and not counted."""
    return sum(PER_MESSAGE + estimate(message.text) for message in messages)


def estimate_prompt(prompt: Prompt) -> int:
    """About how many tokens the vendor will count as input."""
    system = PER_MESSAGE + estimate(prompt.system) if prompt.system else 0
    return system + estimate_messages(prompt.messages)


def estimated_usage(prompt: Prompt, *, text: str, thinking: str = "") -> Usage:
    """The usage of a reply whose vendor did not report one, marked as an estimate."""
    thought = estimate(thinking)
    return Usage(
        input_tokens=estimate_prompt(prompt),
        output_tokens=estimate(text) + thought,
        thinking_tokens=thought,
        estimated=True,
    )
