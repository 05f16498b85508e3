"""A message goes in, the reply streams back, and what was shown is what is stored."""

import hashlib

import pytest

from chatplatform.kernel.db import in_db
from conversations.models import Conversation, Generation, Message
from tests.phone import BRIEF, SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_reply_streams_and_is_stored_as_it_was_shown(alice, socket):
    phone = await socket(alice)

    shown = await phone.hear("Hello there")

    kinds = [frame["type"] for frame in phone.frames]
    assert kinds[:3] == ["ready", "accepted", "typing"]
    assert kinds.index("started") < kinds.index("stream") < kinds.index("usage") < kinds.index("done")
    assert kinds.count("done") == 1
    assert shown.done["status"] == "completed"
    message = await in_db(Message.objects.select_related("generation").get, pk=shown.done["message_id"])
    assert message.content == shown.text != ""
    assert hashlib.sha256(message.content.encode()).hexdigest() == shown.done["sha256"] == message.generation.sha256
    assert message.tokens_output > 0
    assert message.generation.status == "completed"
    assert message.generation.seq == shown.last


async def test_every_event_has_the_next_number(alice, socket):
    phone = await socket(alice)
    await phone.hear(script({"say": "x", "times": 50}), model_id=SCRIPT)

    numbers = [(f["data"].get("first", f["data"]["seq"]), f["data"]["seq"]) for f in phone.frames if "seq" in f["data"]]
    expected = 1
    for first, last in numbers:
        assert first == expected
        expected = last + 1
    assert phone.resumes == 0


async def test_the_answer_to_a_request_carries_its_id(alice, socket):
    phone = await socket(alice)
    answer = await phone.ask("message", content="hi")
    assert answer["type"] == "accepted"
    assert answer["data"]["client_message_id"] is None
    assert {"session_id", "user_message_id", "message_id", "model", "generation_id", "attempt", "seq"} <= set(
        answer["data"]
    )


async def test_the_documented_frames_have_the_documented_fields(alice, socket):
    phone = await socket(alice)
    await phone.hear(**BRIEF)
    stream = next(frame for frame in phone.frames if frame["type"] == "stream")
    done = phone.frames[-1]
    assert {"message_id", "content", "model"} <= set(stream["data"])
    assert {"message_id", "content", "model"} <= set(done["data"])
    assert done["data"]["content"] == ""


async def test_a_second_message_continues_the_conversation(alice, socket):
    phone = await socket(alice)
    first = await phone.say(**BRIEF)
    await phone.hear_out(first["generation_id"])
    second = await phone.say(**BRIEF, session_id=first["session_id"])
    await phone.hear_out(second["generation_id"])

    assert second["session_id"] == first["session_id"]
    asked = await in_db(Message.objects.get, pk=second["user_message_id"])
    assert str(asked.parent_id) == first["message_id"]


async def test_a_conversation_is_named_after_its_first_message(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say("  How do\nsockets work?  ")
    conversation = await in_db(Conversation.objects.get, pk=accepted["session_id"])
    assert conversation.title == "How do sockets work?"


async def test_a_second_send_while_a_reply_is_written_is_refused_and_nothing_is_stored(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "a"}, {"wait": 30}), model_id=SCRIPT)
    answer = await phone.ask("message", content="more", session_id=accepted["session_id"])

    assert answer["type"] == "error"
    assert answer["data"]["code"] == "GENERATION_IN_PROGRESS"
    assert answer["data"]["details"]["generation_id"] == accepted["generation_id"]
    assert await in_db(Message.objects.filter(conversation_id=accepted["session_id"]).count) == 2


async def test_the_same_send_twice_is_one_message(alice, socket):
    phone, other = await socket(alice), await socket(alice)
    first = await phone.say(**BRIEF, client_message_id="client-0001")
    await phone.hear_out(first["generation_id"])
    second = await other.say(**BRIEF, client_message_id="client-0001")

    assert second["duplicate"] is True
    assert second["message_id"] == first["message_id"]
    assert second["generation_id"] == first["generation_id"]
    assert await in_db(Generation.objects.count) == 1


async def test_the_same_id_with_another_text_is_refused(alice, socket):
    phone = await socket(alice)
    first = await phone.say(**BRIEF, client_message_id="client-0001")
    await phone.hear_out(first["generation_id"])
    answer = await phone.ask("message", content="twice", client_message_id="client-0001")
    assert answer["data"]["code"] == "DUPLICATE_CLIENT_MESSAGE_ID"


async def test_another_person_may_use_the_same_id(alice, bob, socket):
    hers, his = await socket(alice), await socket(bob)
    first = await hers.say("hello", client_message_id="client-0001")
    second = await his.say("hello", client_message_id="client-0001")
    assert first["message_id"] != second["message_id"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"content": "   "}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"content": "x" * 60_001}, "content"),
        ({"content": "hi", "client_message_id": "short"}, "client_message_id"),
        ({"content": "hi", "client_message_id": "with space"}, "client_message_id"),
    ],
)
async def test_a_message_that_cannot_be_sent_says_which_field(alice, socket, data, field):
    phone = await socket(alice)
    answer = await phone.ask("message", **data)
    assert answer["type"] == "error"
    assert answer["data"]["code"] == "VALIDATION_FAILED"
    assert list(answer["data"]["details"]) == [field]
    assert await in_db(Message.objects.count) == 0


async def test_an_unknown_model_is_refused_and_nothing_is_stored(alice, socket):
    phone = await socket(alice)
    answer = await phone.ask("message", content="hi", model_id="nobody/nothing")
    assert answer["data"]["code"] == "MODEL_NOT_FOUND"
    assert await in_db(Conversation.objects.count) == 0


async def test_somebody_elses_conversation_is_not_there(alice, bob, socket):
    hers, his = await socket(alice), await socket(bob)
    accepted = await hers.say(**BRIEF)
    await hers.hear_out(accepted["generation_id"])

    for kind, data in (
        ("message", {"content": "hi", "session_id": accepted["session_id"]}),
        ("stop", {"session_id": accepted["session_id"]}),
        ("stop", {"generation_id": accepted["generation_id"]}),
        ("resume", {"generation_id": accepted["generation_id"]}),
        ("resume", {"session_id": accepted["session_id"]}),
        ("follow", {"session_id": accepted["session_id"]}),
        ("unfollow", {"session_id": accepted["session_id"]}),
    ):
        answer = await his.ask(kind, **data)
        assert (answer["type"], answer["data"]["code"]) == ("error", "NOT_FOUND"), kind


async def test_a_parent_from_another_conversation_is_not_there(alice, socket):
    phone = await socket(alice)
    first, second = await phone.say(**BRIEF), await phone.say(**BRIEF)
    await phone.hear_out(first["generation_id"])
    await phone.hear_out(second["generation_id"])
    answer = await phone.ask("message", content="hi", session_id=first["session_id"], parent_id=second["message_id"])
    assert answer["data"]["code"] == "NOT_FOUND"
    assert await in_db(Conversation.objects.filter(active_turn=None).count) == 2


async def test_the_reply_goes_on_when_the_socket_is_gone(alice, socket):
    phone = await socket(alice)
    accepted = await phone.say(script({"say": "word ", "times": 20, "every": 0.02}), model_id=SCRIPT)
    await phone.hang_up()

    back = await socket(alice)
    await back.send("resume", generation_id=accepted["generation_id"], attempt=1, after=1)
    shown = await back.hear_out(accepted["generation_id"])
    assert shown.text == "word " * 20
    assert shown.done["status"] == "completed"
