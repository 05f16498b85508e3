"""From a model and a prompt to a reply that has begun.

1. List the candidates: the person's own keys for the model's vendor, then the operator's (`candidates.py`).
2. Ask the first one and wait for its first event.
3. If it fails with something that another candidate could do better, tell the vault what the failure says about the
   key, and go on with the next; when there is none left, the last failure is the answer. Any other failure is the
   answer at once: a prompt that is too long is too long with every key.
4. From the first event on, nothing is ever tried again: a person who has read half a sentence of one answer is not
   given the second half of another.

However the context is left (the end, an error, a cancellation while waiting), the vendor's connection is closed.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from chatplatform.kernel.background import spawn
from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import (
    AddressRefused,
    AppError,
    KeyOutOfCredit,
    KeyRejected,
    ModelNotFound,
    VendorFailure,
    VendorTruncated,
)
from chatplatform.kernel.words import words
from keyvault.models import Outcome
from keyvault.services import report_outcome
from providers.adapters import adapter_for
from providers.catalogue import Candidate
from providers.completion import Prompt, StreamEvent
from providers.models import AIModel
from providers.routing.candidates import candidates_for

log = logging.getLogger(__name__)

# What depends on the key or the address, or may be over by the next try. VendorFailure brings busy, unreachable, slow
# and garbled vendors with it.
CURABLE = (KeyRejected, KeyOutOfCredit, AddressRefused, ModelNotFound, VendorFailure)
OUTCOME_REPORT = "report the outcome of a key"


@dataclass(frozen=True)
class Notice:
    """Something that a person should know about how the reply came to be."""

    code: str
    message: str


OWN_KEY_FAILED = Notice(
    "own_key_failed",
    words(
        "A key of yours did not work for this model, so another one was used. Check it among your keys.",
        "您的一个密钥无法用于该模型，已改用其他密钥，请检查您的密钥。",
    ),
)
FAILOVER = Notice(
    "failover",
    words("The first attempt failed; the answer comes from another one.", "首次尝试失败，回答来自另一次尝试。"),
)
NOTICES = (OWN_KEY_FAILED, FAILOVER)
"""Every notice that a reply may carry: doors that keep only the code find the words here."""


@dataclass(frozen=True)
class Reply:
    """A reply that has begun. `key_id` is None when the operator's key, or none, was used."""

    vendor: str
    model: str
    key_id: UUID | None
    notices: tuple[Notice, ...]
    _first: StreamEvent = field(repr=False)
    _rest: AsyncGenerator[StreamEvent, None] = field(repr=False)

    async def events(self) -> AsyncIterator[StreamEvent]:
        """All events, the first one included. Can be gone through once."""
        yield self._first
        async for event in self._rest:
            yield event


@asynccontextmanager
async def open_reply(*, user_id: UUID, model: AIModel, prompt: Prompt) -> AsyncIterator[Reply]:
    """Ask `model`, on behalf of a person. Entering returns once the first event is there, or raises the AppError that
    says why there is none; leaving closes the vendor's connection."""
    candidates = await candidates_for(user_id=user_id, model=model)
    notices: list[Notice] = []
    for number, candidate in enumerate(candidates, start=1):
        endpoint = candidate.endpoint
        async with aclosing(adapter_for(endpoint.vendor.dialect).stream(endpoint, model.name, prompt)) as stream:
            try:
                first = await _first_event(stream)
            except CURABLE as failure:
                log.warning("a candidate failed", extra=_described(candidate, model) | {"code": failure.code})
                await _tell_vault(candidate, Outcome.after(failure))
                if number == len(candidates):
                    raise
                notices.append(_notice(candidate, failure))
                continue
            if candidate.key_id is not None:
                # Not waited for: it would only keep the first words back.
                spawn(_tell_vault(candidate, Outcome.VALID), name=OUTCOME_REPORT)
            yield Reply(endpoint.vendor.slug, model.name, candidate.key_id, tuple(notices), first, stream)
            return


async def _first_event(stream: AsyncGenerator[StreamEvent, None]) -> StreamEvent:
    async for event in stream:
        return event
    raise VendorTruncated


async def _tell_vault(candidate: Candidate, outcome: Outcome) -> None:
    if candidate.key_id is not None:
        await in_db(report_outcome, key_id=candidate.key_id, outcome=outcome, secret_version=candidate.secret_version)


def _notice(candidate: Candidate, failure: AppError) -> Notice:
    own = candidate.key_id is not None and not isinstance(failure, VendorFailure)
    return OWN_KEY_FAILED if own else FAILOVER


def _described(candidate: Candidate, model: AIModel) -> dict[str, str]:
    return {"model": model.qualified_name, "key_id": str(candidate.key_id or "operator")}
