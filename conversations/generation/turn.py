"""Beginning and stopping a turn, for every door: what is asked is checked, stored, started and announced."""

from uuid import UUID

from accounts.limits import messages_by
from accounts.models import User
from chatplatform.kernel import errors, health
from chatplatform.kernel.db import in_db
from conversations.generation.runner import runner
from conversations.models import Generation
from conversations.queries import conversation_for, generation_for
from conversations.services.messages import Accepted, Send, accept, continue_reply, repeated
from conversations.streaming.hub import hub


async def start_turn(user: User, send: Send) -> Accepted:
    """Store what a person sent and start the reply. It is accepted when this returns: the reply will end one way or
    another, whatever becomes of the caller.

    A repeated send is answered before any limit is counted: a phone that lost the answer must get it.
    Raises what `accept` raises, RateLimited, and Draining when this process is about to end.
    """
    if health.draining():
        raise errors.Draining
    if earlier := await in_db(repeated, user, send):
        return earlier
    await messages_by(user.pk).ahit()
    accepted = await in_db(accept, user, send)
    if not accepted.duplicate:
        await _begin(accepted.generation)
    return accepted


async def continue_turn(user: User, *, message_id: UUID, model_ref: str | None) -> Generation:
    """Go on from where a reply was stopped, cut off or ran out of room. Raises what `continue_reply` raises,
    RateLimited, and Draining when this process is about to end."""
    if health.draining():
        raise errors.Draining
    await messages_by(user.pk).ahit()
    generation = await in_db(continue_reply, user, message_id, model_ref)
    await _begin(generation)
    return generation


async def _begin(generation: Generation) -> None:
    (await runner()).start(generation)
    await (await hub()).announce(generation.conversation_id, {"generation": str(generation.pk)})


async def stop_turn(
    user: User, *, generation_id: UUID | None = None, conversation_id: UUID | None = None
) -> list[Generation]:
    """Have a generation, or all that runs in a conversation, stopped, wherever it is being written.

    The wish is stored first: it holds even if the message to the worker is lost. Returns what was asked to stop, empty
    if it had ended already; NotFound if it is not this person's.
    """
    wanted = await in_db(_ask_to_stop, user, generation_id, conversation_id)
    await nudge(wanted)
    return wanted


async def nudge(asked_to_stop: list[Generation]) -> None:
    """Tell whoever writes these that a stop was asked for. It would see so by itself, but a second later."""
    exchange, own = await hub(), await runner()
    for generation in asked_to_stop:
        own.stop_here(generation.pk)
        if generation.owner and generation.owner != exchange.name:
            await exchange.send_to(generation.owner, {"type": "hub.stop", "generation": str(generation.pk)})


def _ask_to_stop(user: User, generation_id: UUID | None, conversation_id: UUID | None) -> list[Generation]:
    if generation_id is not None:
        chosen = Generation.objects.filter(pk=generation_for(user, generation_id).pk)
    elif conversation_id is not None:
        chosen = Generation.objects.filter(conversation=conversation_for(user, conversation_id))
    else:
        raise errors.BadRequest
    return chosen.ask_to_stop()
