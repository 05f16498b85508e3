"""The vocabulary between a list of messages and a stream of events: plain frozen values, compared with `==`.

Adapters translate vendors' dialects into these, doors translate them out, the context builder composes them. Nothing
here knows Django, HTTP or ids. Vendor data that has to be echoed back rides in `vendor_data`, and nobody but the
adapter that made it looks inside.
"""

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Who says a message of a prompt."""

    USER = "user"
    ASSISTANT = "assistant"


class FinishReason(StrEnum):
    """Why a model stopped by itself."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


class Value(msgspec.Struct, frozen=True):
    """Base of everything here: immutable, comparable, cheap to make."""


class Text(Value, frozen=True, tag="text"):
    """Words."""

    text: str


class Thinking(Value, frozen=True, tag="thinking"):
    """What a reasoning model says to itself before it answers."""

    text: str
    vendor_data: Any = None


Part = Text | Thinking


class PromptMessage(Value, frozen=True):
    """One message of the history that a model is shown."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All words, joined; thinking is left out."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Sampling(Value, frozen=True):
    """How the model is asked to choose its words; None leaves it to the vendor."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


class Prompt(Value, frozen=True):
    """Everything a model is shown for one reply."""

    messages: tuple[PromptMessage, ...]
    system: str = ""
    sampling: Sampling = Sampling()


class Usage(Value, frozen=True):
    """Tokens of one call. `input_tokens` includes `cached_tokens`, `output_tokens` includes `thinking_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    estimated: bool = False


class TextDelta(Value, frozen=True):
    """More words of the answer. Never empty; no NUL and no lone surrogate."""

    text: str


class ThinkingDelta(Value, frozen=True):
    """More of the model's thinking. Never empty."""

    text: str


class UsageReport(Value, frozen=True):
    """The vendor's own count; at most one in a stream."""

    usage: Usage


class Finished(Value, frozen=True):
    """The model ended by itself: exactly one, the last event of every stream that was not cut."""

    reason: FinishReason


StreamEvent = TextDelta | ThinkingDelta | UsageReport | Finished


class ModelInfo(Value, frozen=True):
    """What a vendor's model list, or the bundled one, says of a model. Prices are per million tokens."""

    name: str
    display_name: str = ""
    context_length: int | None = None
    max_output: int | None = None
    input_price: str | None = None
    output_price: str | None = None
    currency: str = "USD"
    capabilities: tuple[str, ...] = ()
