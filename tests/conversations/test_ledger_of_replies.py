"""Every reply is accounted for exactly once, however it ended."""

import asyncio
from decimal import Decimal

import pytest

from chatplatform.kernel.db import in_db
from providers.models import AIModel, UsageRecord
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def priced(catalogue):
    AIModel.objects.filter(name="script").update(input_price=Decimal("2"), output_price=Decimal("10"))


async def record_of(generation_id: str) -> UsageRecord:
    return await in_db(UsageRecord.objects.get, generation_id=generation_id)


async def test_a_completed_reply_is_settled_with_the_vendors_count(alice, socket, priced):
    phone = await socket(alice)
    shown = await phone.hear(script({"say": "words"}, {"usage": [1000, 500]}, {"finish": "stop"}), model_id=SCRIPT)
    record = await record_of(next(iter(phone.shown)))
    assert (record.state, record.input_tokens, record.output_tokens) == ("settled", 1000, 500)
    assert record.cost == Decimal("0.007")
    assert record.estimated is False
    told = next(frame["data"] for frame in phone.frames if frame["type"] == "usage")
    assert Decimal(told["cost"]) == record.cost
    assert shown.done["usage"]["tokens_input"] == 1000


async def test_while_it_runs_the_most_it_can_cost_is_set_aside(alice, socket, priced):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "a"}, {"wait": 20}), model_id=SCRIPT, params={"max_tokens": 100})
    await phone.until_shown(accepted["generation_id"], lambda shown: shown.text == "a")
    record = await record_of(accepted["generation_id"])
    assert record.state == "reserved"
    assert record.reserved_cost >= Decimal("10") * 100 / 1_000_000


@pytest.mark.parametrize("before", ["the first word", "the end"])
async def test_a_stopped_reply_is_settled_with_an_estimate(alice, socket, priced, before):
    steps = [{"wait": 20}] if before == "the first word" else [{"say": "a few words "}, {"wait": 20}]
    phone = await socket(alice)
    accepted = await phone.say(script(*steps), model_id=SCRIPT)
    await asyncio.sleep(0.2)
    await phone.ask("stop", generation_id=accepted["generation_id"])
    await phone.hear_out(accepted["generation_id"])
    record = await record_of(accepted["generation_id"])
    assert (record.state, record.estimated) == ("settled", True)
    assert record.input_tokens > 0
    assert (record.output_tokens > 0) == (before == "the end")


async def test_a_reply_that_no_vendor_gave_costs_nothing(alice, socket, priced):
    phone = await socket(alice)
    await phone.hear(script({"fail": "MODEL_BUSY"}), model_id=SCRIPT)
    record = await record_of(next(iter(phone.shown)))
    assert (record.state, record.cost) == ("released", Decimal(0))


async def test_a_repeated_send_is_charged_once(alice, socket, priced):
    phone = await socket(alice)
    for _ in range(3):
        await phone.say(script({"say": "once"}), model_id=SCRIPT, client_message_id="client-0001")
    await phone.hear_out(next(iter(phone.shown)))
    assert await in_db(UsageRecord.objects.count) == 1
