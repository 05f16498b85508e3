"""Writing down what calls of models cost: money is set aside before a vendor is asked, and accounted for once after.

1. `reserve()` before the call: the most that it can cost, at the model's prices of this moment.
2. `settle()` when the vendor has answered, however the reply ended: what it did cost, at the same prices.
   `release()` when no vendor has answered: nothing.
3. `release_forgotten()` in `providers/tasks.py` ends what nobody came back for.

A generation and its attempt name a call. Whoever ends it for a worker that went away ends the attempt which that
worker made.
"""

import logging
import math
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from providers.completion import Usage
from providers.models import AIModel, UsageRecord
from providers.tokens import MARGIN
from providers.usage.pricing import cost

log = logging.getLogger(__name__)


def reserve(
    *,
    user_id: UUID,
    model: AIModel,
    generation_id: UUID,
    attempt: int,
    prompt_tokens: int,
    most_output_tokens: int | None,
) -> UsageRecord:
    """Set aside the most that a call can cost; the same call again gets the row that is there.

    `prompt_tokens` is the estimate, to which its margin is added here. `most_output_tokens` is what the vendor is asked
    to stop at; None if it is not, and then the model's own limit counts, or its whole window.
    """
    most = Usage(
        input_tokens=math.ceil(prompt_tokens * MARGIN),
        output_tokens=most_output_tokens or model.max_output or model.context_length,
    )
    record, _ = UsageRecord.objects.get_or_create(
        generation_id=generation_id,
        attempt=attempt,
        defaults={
            "user_id": user_id,
            "model": model,
            "vendor": model.vendor,
            "model_name": model.name,
            "currency": model.currency,
            "input_price": model.input_price,
            "output_price": model.output_price,
            "reserved_tokens": most.input_tokens + most.output_tokens,
            "reserved_cost": cost(model, most),
            "input_tokens": prompt_tokens,
        },
    )
    return record


def settle(*, generation_id: UUID, attempt: int, usage: Usage, vendor: str, key_id: UUID | None) -> bool:
    """Write down what a call did cost, and free the rest of what was set aside. False if it has ended already.

    An empty `vendor` leaves the one it was reserved for. More than was reserved is settled as it was reported, and
    logged.
    """
    record = UsageRecord.objects.filter(generation_id=generation_id, attempt=attempt).first()
    if record is None:
        log.error("a call cost something and nothing was reserved for it", extra={"generation": str(generation_id)})
        return False
    spent = cost(record, usage)
    won = (
        UsageRecord.objects.reserved()
        .filter(pk=record.pk)
        .update(
            state=UsageRecord.State.SETTLED,
            vendor=vendor or F("vendor"),
            key_id=key_id,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            thinking_tokens=usage.thinking_tokens,
            estimated=usage.estimated,
            cost=spent,
            settled_at=timezone.now(),
        )
    )
    tokens = usage.input_tokens + usage.output_tokens
    dearer = spent is not None and record.reserved_cost is not None and spent > record.reserved_cost
    if won and (dearer or tokens > record.reserved_tokens):
        log.warning(
            "a call took more than was reserved for it",
            extra={
                "generation": str(generation_id),
                "model": f"{record.vendor}/{record.model_name}",
                "reserved": f"{record.reserved_tokens} tokens, {record.reserved_cost} {record.currency}",
                "settled": f"{tokens} tokens, {spent} {record.currency}",
            },
        )
    return bool(won)


def release(*, generation_id: UUID, attempt: int) -> bool:
    """Free what was set aside for a call that no vendor answered. False if it has ended already."""
    return bool(UsageRecord.objects.filter(generation_id=generation_id, attempt=attempt).release())


def reserved_prompt(*, generation_id: UUID, attempt: int) -> int:
    """The estimate of a call's prompt, for whoever settles it without having the prompt; 0 if nothing is reserved."""
    reserved = UsageRecord.objects.reserved().filter(generation_id=generation_id, attempt=attempt)
    return reserved.values_list("input_tokens", flat=True).first() or 0
