"""Facts about model families, read off a model's name. A family is a few facts, never a class.

A name that nothing here knows has the plain profile; that costs a little patience or none, never an answer.
"""

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Profile:
    """What is known of a family. `reasons`: it thinks before it answers, so its first token may be long in coming."""

    reasons: bool = False


PLAIN = Profile()

# First match wins. Names are matched in lower case, without a seller's prefix (`deepseek-ai/DeepSeek-R1`).
FAMILIES: tuple[tuple[re.Pattern[str], Profile], ...] = tuple(
    (re.compile(pattern), profile)
    for pattern, profile in (
        (r"gpt-[5-9].*chat", PLAIN),
        (r"gpt-(?:[5-9]|oss)", Profile(reasons=True)),
        (r"o[1-9](?:-|$)", Profile(reasons=True)),
        (r"deepseek-(?:reasoner|r\d|flash|pro|v(?:[4-9]|\d\d))", Profile(reasons=True)),
        (r"q[wv]q|qwen.*thinking|qwen3\.\d", Profile(reasons=True)),
        (r"kimi-(?:k2\.\d|k[3-9]|.*thinking)", Profile(reasons=True)),
        (r"glm-(?:4\.[5-9]|[5-9]|z1)", Profile(reasons=True)),
        (r".*(?:reasoner|thinking)", Profile(reasons=True)),
    )
)


@lru_cache(maxsize=1024)
def profile_for(model: str) -> Profile:
    """The profile of the family that the vendor's model name `model` belongs to."""
    name = model.rpartition("/")[2].lower()
    return next((profile for pattern, profile in FAMILIES if pattern.match(name)), PLAIN)
