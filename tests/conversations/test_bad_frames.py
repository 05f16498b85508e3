"""A bad frame earns an error and not a closed socket; three in a row earn the close. Nothing is half written."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatplatform.kernel import errors
from chatplatform.kernel.db import in_db
from conversations.models import Conversation
from conversations.realtime import frames

pytestmark = pytest.mark.django_db(transaction=True)

BAD = {
    "not JSON": "hello",
    "half JSON": '{"type": "ping"',
    "NaN": '{"type": "message", "data": {"content": NaN}}',
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "no type": '{"data": {}}',
    "an unknown type": '{"type": "dance", "data": {}}',
    "an inherited name": '{"type": "__class__", "data": {}}',
    "an unknown field": '{"type": "ping", "data": {"loud": true}}',
    "an unknown field outside": '{"type": "ping", "data": {}, "user": "bob"}',
    "a smuggled owner": '{"type": "message", "data": {"content": "hi", "user_id": "1"}}',
    "the wrong kind": '{"type": "message", "data": {"content": 7}}',
    "no content": '{"type": "message", "data": {}}',
    "not an id": '{"type": "resume", "data": {"generation_id": "nope"}}',
    "a negative number": '{"type": "resume", "data": {"session_id": "7b1c1c9e00004000800000000000000a", "after": -1}}',
    "a huge number": '{"type": "resume", "data": {"session_id": "7b1c1c9e00004000800000000000000a", "after": 1e999}}',
    "nothing to stop named": '{"type": "stop", "data": {}}',
    "a temperature out of range": '{"type": "message", "data": {"content": "hi", "params": {"temperature": 9}}}',
    "deep nesting": '{"type": "message", "data": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "a lone surrogate": '{"type": "message", "data": {"content": "\\ud800"}}',
    "a long id": json.dumps({"type": "ping", "id": "x" * 65, "data": {}}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_frame_earns_an_error(alice, socket, name):
    phone = await socket(alice)
    await phone.line.send(BAD[name])
    answer = await phone.next()
    assert answer["type"] == "error"
    assert answer["data"]["code"] == "BAD_FRAME"
    assert (await phone.ask("ping"))["type"] == "pong"
    assert await in_db(Conversation.objects.count) == 0


async def test_bytes_that_are_not_text_earn_an_error(alice, socket):
    phone = await socket(alice)
    await phone.line.communicator.send_to(bytes_data=b"\xff\xfe\x00")
    assert (await phone.next())["data"]["code"] == "BAD_FRAME"


async def test_an_oversized_frame_earns_an_error(alice, socket):
    phone = await socket(alice)
    await phone.line.send(json.dumps({"type": "message", "data": {"content": "你" * 30_000}}, ensure_ascii=False))
    assert (await phone.next())["data"]["code"] == "TOO_LARGE"


async def test_the_error_names_the_request(alice, socket):
    phone = await socket(alice)
    answer = await phone.ask("message", contents="hi")
    assert answer["data"]["details"]["problem"].startswith("Object ")


async def test_three_bad_frames_in_a_row_close_the_socket(alice, socket):
    phone = await socket(alice)
    for _ in range(3):
        await phone.line.send("{}")
    assert await phone.closed() == 4400


async def test_a_good_frame_in_between_forgives(alice, socket):
    phone = await socket(alice)
    for _ in range(4):
        await phone.line.send("{}")
        await phone.line.send("{}")
        assert (await phone.ask("ping"))["type"] == "pong"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=200),
        st.binary(max_size=200),
        st.fixed_dictionaries(
            {
                "type": st.sampled_from([*frames.INCOMING, "x"]),
                "data": st.dictionaries(st.text(max_size=12), st.integers() | st.text() | st.none()),
            }
        ).map(json.dumps),
    )
)
def test_whatever_comes_in_is_a_request_or_an_app_error(data):
    try:
        frames.parse(data)
    except errors.AppError as exc:
        assert exc.status in (400, 413)
