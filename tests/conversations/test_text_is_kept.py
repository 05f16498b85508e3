"""Whatever a vendor sends, the text is the same on the screen, in the database and in the hash."""

import pytest

from chatplatform.kernel.db import in_db
from conversations.models import Message
from tests.phone import SCRIPT, script

pytestmark = pytest.mark.django_db(transaction=True)

TEXTS = {
    "one word": [{"say": "x"}],
    "nothing": [{"finish": "stop"}],
    "emoji and rare Han": [{"say": piece} for piece in ("👩‍👩‍👧", "𠮷", "野家 ", "𝒳", "é", "\u2028", "end")],
    "a megabyte": [{"say": "你好, world! 🎉" * 40, "times": 2000}],
    "thinking, then words": [{"think": "Hm 🤔. "}, {"think": "So."}, {"say": "Yes."}],
    "lines and tabs": [{"say": "a\n\tb\r\n"}, {"say": '"quoted" \\ back'}],
}


@pytest.mark.parametrize("name", TEXTS)
async def test_the_text_is_the_same_everywhere(alice, socket, api, name):
    phone = await socket(alice)
    shown = await phone.hear(script(*TEXTS[name]), model_id=SCRIPT)

    wanted = "".join(step.get("say", "") * step.get("times", 1) for step in TEXTS[name])
    assert shown.text == wanted
    message = await in_db(Message.objects.get, pk=shown.done["message_id"])
    assert message.content == wanted
    over_rest = (await in_db(lambda: api(alice).get(f"/api/v1/messages/{message.pk}"))).data
    assert over_rest["content"] == wanted
    assert over_rest["generation"]["sha256"] == shown.done["sha256"]
    thinking = "".join(step.get("think", "") for step in TEXTS[name])
    assert shown.parts["thinking"] == thinking
    assert "".join(part["text"] for part in message.parts if part["type"] == "thinking") == thinking


@pytest.mark.parametrize("name", TEXTS)
async def test_a_snapshot_is_the_same_text_in_pieces_under_the_frame_limit(alice, socket, name):
    phone, other = await socket(alice), await socket(alice)
    first = await phone.hear(script(*TEXTS[name]), model_id=SCRIPT)
    generation_id = next(iter(phone.shown))

    # A number that the log cannot know makes it a snapshot.
    await other.send("resume", generation_id=generation_id, attempt=1, after=900_000)
    again = await other.hear_out(generation_id)
    assert again.snapshots == 1
    assert (again.text, again.parts["thinking"]) == (first.text, first.parts["thinking"])
    assert again.done["sha256"] == first.done["sha256"]
