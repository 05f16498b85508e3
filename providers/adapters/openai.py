"""The chat-completions dialect: OpenAI's, and that of every vendor that copies it.

The `openai` SDK builds and sends the request, on our guarded session. The answer is read underneath it: its typed
chunks cost fifty times what decoding costs, it takes a broken stream for a complete one, and it has no limits.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from functools import lru_cache
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp
import httpx2
import msgspec
from django.conf import settings
from openai import AsyncOpenAI, omit
from openai._constants import RAW_RESPONSE_HEADER

from chatplatform.kernel.errors import (
    AppError,
    ModelNotFound,
    VendorBusy,
    VendorFailure,
    VendorGarbled,
    VendorTruncated,
)
from chatplatform.kernel.outbound import GuardedTransport
from providers.adapters.base import Adapter, Endpoint
from providers.adapters.failures import failure_from, vendor_failures
from providers.adapters.reader import LONG_PATIENCE, PATIENCE, EventReader, Patience
from providers.adapters.text import Cleaner
from providers.completion import (
    Finished,
    FinishReason,
    ModelInfo,
    Prompt,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageReport,
)
from providers.profiles import profile_for
from providers.vendors import Vendor

SECONDS_FOR_A_WHOLE_ANSWER = 120
# What an answer may come to, and what a list of models may weigh (OpenRouter's is the longest, under one).
LONGEST_TEXT = 4 * 1024 * 1024
LONGEST_BODY = 4 * 1024 * 1024
MOST_MODELS = 5_000
# No vendor counts further than this, and a column of the ledger must hold it.
MOST_TOKENS = 10**9


# --- What arrives ---------------------------------------------------------


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class Counts(msgspec.Struct, gc=False):
    """`usage`. DeepSeek and Moonshot have names of their own for what came out of a cache."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None

    def usage(self) -> Usage:
        of_prompt, of_answer = self.prompt_tokens_details, self.completion_tokens_details
        cached = (of_prompt and of_prompt.cached_tokens) or self.prompt_cache_hit_tokens or self.cached_tokens
        thought = of_answer.reasoning_tokens if of_answer else 0
        input_tokens, output_tokens = _bounded(self.prompt_tokens), _bounded(self.completion_tokens)
        return Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=min(_bounded(cached), input_tokens),
            thinking_tokens=min(_bounded(thought), output_tokens),
        )


def _bounded(count: int | None) -> int:
    return min(max(count or 0, 0), MOST_TOKENS)


class Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    usage: Counts | None = None  # where Moonshot counts


class Chunk(msgspec.Struct, gc=False):
    choices: list[Choice] | None = None
    usage: Counts | None = None
    error: Any = None


class Listed(msgspec.Struct):
    id: str
    name: str | None = None
    context_length: int | None = None


class ModelList(msgspec.Struct):
    data: list[Listed] | None = None


_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_models = msgspec.json.Decoder(ModelList).decode

FINISH: dict[str, FinishReason] = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Zhipu
}
# Reasons to stop that are no end of an answer.
BROKEN_OFF: dict[str, type[AppError]] = {
    "error": VendorFailure,  # OpenRouter
    "network_error": VendorFailure,  # Zhipu
    "insufficient_system_resource": VendorBusy,  # DeepSeek
}


def _decoded(data: bytes) -> Chunk:
    try:
        return _decode_chunk(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # Half a surrogate pair is not for msgspec. The standard library reads it, and the cleaner joins it.
        return msgspec.convert(json.loads(data), Chunk)


# --- The SDK --------------------------------------------------------------


class _Client(AsyncOpenAI):
    """The SDK's client, without what it takes from the environment (organisation, project, any header) and without the
    description of this machine that it would send to every vendor."""

    @property
    def default_headers(self) -> dict[str, Any]:
        return {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"chatplatform/{settings.VERSION}",
        }


@lru_cache(maxsize=2)
def _http_client(trusted: bool) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=GuardedTransport(trusted=trusted), trust_env=False, follow_redirects=False)


@lru_cache(maxsize=256)
def _client(base_url: str, trusted: bool) -> _Client:
    """The client for an address. It holds no key, each request brings its own; and no connection, those belong to the
    running loop's session. Kept, because a new one hops to a thread to find out on which system it runs."""
    return _Client(
        base_url=base_url,
        api_key="no key",
        admin_api_key="",
        timeout=None,
        max_retries=0,
        http_client=_http_client(trusted),
    )


def _headers(endpoint: Endpoint) -> dict[str, Any]:
    named = {
        # A title in Chinese is no valid header; percent signs are.
        header: quote(value, safe=" !#$%&'()*+,/:;=?@[]~")
        for header, setting in endpoint.vendor.quirks.headers_from_settings
        if (value := getattr(settings, setting, ""))
    }
    return {**named, "Authorization": f"Bearer {endpoint.key.reveal()}" if endpoint.key else omit}


def _body(vendor: Vendor, prompt: Prompt) -> dict[str, Any]:
    """What the request says beside the model. As a plain dictionary, because the SDK takes 150 µs to check each message
    against its types, which keeps every other stream waiting when a history is long."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    history = [{"role": message.role.value, "content": message.text} for message in prompt.messages]
    sampling = {
        "temperature": prompt.sampling.temperature,
        "top_p": prompt.sampling.top_p,
        vendor.quirks.max_tokens_field: prompt.sampling.max_tokens,
        "stream_options": {"include_usage": True} if vendor.quirks.usage_in_stream else None,
    }
    chosen = {name: value for name, value in sampling.items() if value is not None}
    return {"messages": [*system, *history], **chosen}


def _patience_for(vendor: Vendor, model: str) -> Patience:
    slow = vendor.quirks.slow_first_token or profile_for(model).reasons
    return LONG_PATIENCE if slow else PATIENCE


class _Answer:
    """What has been said so far, and whether it was said to the end."""

    def __init__(self, thinking_field: str) -> None:
        self._thinking_field = thinking_field
        self._text, self._thinking = Cleaner(), Cleaner()
        self._length = 0
        self._counts: Counts | None = None
        self.reason: FinishReason | None = None
        self.done = False

    def events(self, found: list[bytes]) -> Iterator[StreamEvent]:
        """The events that these pieces of the stream amount to, but the last ones, which `ending()` knows."""
        for data in found:
            if data.startswith(b"[DONE]"):
                self.done = True
                return
            chunk = _decoded(data)
            if chunk.error:
                raise failure_from(chunk.error)
            self._counts = chunk.usage or self._counts
            for choice in chunk.choices or ():
                if choice.index:
                    continue  # more than one answer was not asked for
                if (delta := choice.delta) is not None:
                    thinking = getattr(delta, self._thinking_field)
                    if thinking and (thinking := self._thinking.feed(thinking)):
                        self._grow(thinking)
                        yield ThinkingDelta(thinking)
                    if delta.content and (text := self._text.feed(delta.content)):
                        self._grow(text)
                        yield TextDelta(text)
                self._counts = choice.usage or self._counts
                if choice.finish_reason:
                    self._finish(choice.finish_reason)

    def ending(self) -> Iterator[StreamEvent]:
        """The last events; VendorTruncated if the vendor gave no reason to stop."""
        if thinking := self._thinking.end():
            yield ThinkingDelta(thinking)
        if text := self._text.end():
            yield TextDelta(text)
        if self.reason is None:
            raise VendorTruncated
        if self._counts is not None and (usage := self._counts.usage()) != Usage():  # all zeros is no count
            yield UsageReport(usage)
        yield Finished(self.reason)

    def _grow(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise VendorGarbled

    def _finish(self, reason: str) -> None:
        if reason in BROKEN_OFF:
            raise BROKEN_OFF[reason]()
        self.reason = FINISH.get(reason, FinishReason.STOP)


async def _whole(response: aiohttp.ClientResponse, longest: int) -> bytes:
    """The body of a response that is not streamed; VendorGarbled if it is longer than that."""
    body = bytearray()
    while piece := await response.content.readany():
        body += piece
        if len(body) > longest:
            raise VendorGarbled
    return bytes(body)


async def _refuse_other_than_events(response: aiohttp.ClientResponse) -> None:
    """Raise what an answer means that is no event stream: a login page, or an error with status 200."""
    if response.content_type == "text/event-stream":
        return
    if response.content_type == "application/json":
        async with asyncio.timeout(SECONDS_FOR_A_WHOLE_ANSWER):
            error = _decoded(await _whole(response, LONGEST_BODY)).error
        if error:
            raise failure_from(error)
    raise VendorGarbled


async def _fetched(endpoint: Endpoint, path: str) -> bytes:
    """A JSON document of the vendor's."""
    async with asyncio.timeout(SECONDS_FOR_A_WHOLE_ANSWER):
        answer = await _client(endpoint.base_url, endpoint.trusted).get(
            path, cast_to=httpx2.Response, options={"headers": {**_headers(endpoint), RAW_RESPONSE_HEADER: "stream"}}
        )
        try:
            response: aiohttp.ClientResponse = answer.extensions["aiohttp_response"]
            if response.content_type != "application/json":
                raise VendorGarbled
            return await _whole(response, LONGEST_BODY)
        finally:
            await answer.aclose()


class OpenAIAdapter(Adapter):
    dialect: ClassVar[str] = "openai"

    async def stream(self, endpoint: Endpoint, model: str, prompt: Prompt) -> AsyncGenerator[StreamEvent, None]:
        """Ask `model` and yield what it answers.

        1. Send the request and wait for the headers; refuse what is no event stream.
        2. Read until `[DONE]` or the end of the stream; clean and yield text and thinking as they come, remember the
           token counts and the finish reason. An error inside the stream is a failure like any other.
        3. Without a finish reason the answer is truncated, whatever else was said. With one it is complete, even if
           the connection broke afterwards.
        """
        vendor = endpoint.vendor
        with vendor_failures(vendor.slug):
            patience = _patience_for(vendor, model)
            asked_at = asyncio.get_running_loop().time()
            async with asyncio.timeout(patience.headers):
                response = await _asked(endpoint, model, prompt)
            reader = EventReader(response, patience, asked_at=asked_at)
            try:
                await _refuse_other_than_events(response)
                answer = _Answer(vendor.quirks.thinking_field)
                began = False
                while not answer.done:
                    try:
                        found = await reader.events()
                        if found is None:
                            break
                        for event in answer.events(found):
                            if not began:
                                began = True
                                reader.answering()
                            yield event
                    except Exception:
                        if answer.reason is None:
                            raise
                        break
                    if answer.reason is not None:
                        reader.ending()
                for event in answer.ending():
                    yield event
                await reader.end()
            finally:
                reader.close()

    async def probe(self, endpoint: Endpoint) -> None:
        """Ask for the vendor's list of models, or for whatever else it shows to good keys alone."""
        try:
            with vendor_failures(endpoint.vendor.slug):
                await _fetched(endpoint, endpoint.vendor.quirks.probe_path)
        except ModelNotFound as exc:  # no such question here, which says nothing about the key
            raise VendorFailure(**exc.details) from None

    async def list_models(self, endpoint: Endpoint) -> list[ModelInfo]:
        """Ask for the vendor's list of models."""
        with vendor_failures(endpoint.vendor.slug):
            listed = _decode_models(await _fetched(endpoint, "/models")).data or []
        return [
            ModelInfo(name=model.id, display_name=model.name or "", context_length=model.context_length)
            for model in listed[:MOST_MODELS]
            if model.id.isprintable() and (model.name or "").isprintable()
        ]


async def _asked(endpoint: Endpoint, model: str, prompt: Prompt) -> aiohttp.ClientResponse:
    """Send the request; the response underneath the SDK's, with its headers there and its body to come."""
    answer = await (
        _client(endpoint.base_url, endpoint.trusted)
        .chat.completions.with_streaming_response.create(
            model=model,
            messages=[],
            stream=True,
            extra_headers=_headers(endpoint),
            extra_body=_body(endpoint.vendor, prompt),
        )
        .__aenter__()
    )
    response: aiohttp.ClientResponse = answer.http_response.extensions["aiohttp_response"]
    return response
