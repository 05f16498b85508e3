"""What a dead worker left behind is ended; what a living one writes is left alone."""

import hashlib
from datetime import timedelta

import pytest
from django.utils.timezone import now

from chatplatform.kernel.background import cancel_all
from chatplatform.kernel.db import in_db
from conversations.generation.reaper import reap
from conversations.generation.runner import runner
from conversations.models import Generation, Message
from conversations.streaming.hub import hub
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)


def expire(*ids: str, **changes: object) -> None:
    Generation.objects.filter(pk__in=ids).update(lease_until=now() - timedelta(seconds=1), **changes)


async def test_a_reply_that_this_process_writes_is_not_reaped_however_late_its_lease_is(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "one "}, {"wait": 0.5}, {"say": "two"}), model_id=SCRIPT)
    await phone.until("stream")
    await in_db(expire, accepted["generation_id"])

    assert await reap(await runner(), await hub()) == 0
    shown = await phone.hear_out(accepted["generation_id"])
    assert (shown.done["status"], shown.text) == ("completed", "one two")


async def test_a_reader_in_the_same_process_hears_that_a_reply_was_ended_elsewhere(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "some "}, {"wait": 30}), model_id=SCRIPT)
    await phone.until("stream")
    ended = {"attempt": 2, "status": "interrupted", "seq": 1, "length": 0, "sha256": hashlib.sha256().hexdigest()}
    await in_db(Message.objects.filter(pk=accepted["message_id"]).update, parts=[])
    await in_db(Generation.objects.filter(pk=accepted["generation_id"]).update, **ended)

    shown = await phone.hear_out(accepted["generation_id"])
    assert shown.done["status"] == "interrupted"
    assert shown.attempt == 2


async def test_one_bad_row_does_not_keep_the_others_from_their_end(alice, socket):
    phone = await socket(alice)
    ids = [(await phone.say(script({"say": "x"}, {"wait": 50}), model_id=SCRIPT))["generation_id"] for _ in range(3)]
    await phone.until_shown(ids[-1], lambda shown: shown.text == "x")
    own, exchange = await runner(), await hub()
    await cancel_all()

    def spoil() -> None:
        expire(*ids, status="running", owner="dead", seq=0)
        spoilt = Generation.objects.filter(pk__in=ids).order_by("lease_until", "pk").first()
        assert spoilt is not None
        Message.objects.filter(pk=spoilt.message_id).update(parts=[{"type": "image", "text": "?"}])

    await in_db(spoil)
    assert await reap(own, exchange) == 2
