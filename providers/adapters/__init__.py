"""Wire dialects: messages out, events in. One file per dialect, none per vendor, and no database.

What a dialect promises stands in `base.py`; read that first, then `openai.py`. A new dialect is a file and a line in
`ADAPTERS`. How a stream is read (`reader.py`, `sse.py`), how text is cleaned (`text.py`) and what a failure is called
(`failures.py`) is the same for all of them.
"""

from providers.adapters.base import Adapter
from providers.adapters.openai import OpenAIAdapter
from providers.adapters.scripted import ScriptedAdapter

ADAPTERS: dict[str, Adapter] = {adapter.dialect: adapter for adapter in (OpenAIAdapter(), ScriptedAdapter())}


def adapter_for(dialect: str) -> Adapter:
    """The adapter that speaks `dialect`."""
    return ADAPTERS[dialect]
