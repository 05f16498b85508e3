"""What the model gets to see: the branch that leads to the question, whole turns of it, as much as fits."""

import pytest

from accounts.models import User
from chatplatform.kernel import errors
from conversations.context.builder import build_prompt
from conversations.models import Conversation, Generation, Message
from providers.completion import PromptMessage, Role, Sampling, Text
from providers.models import AIModel

pytestmark = pytest.mark.django_db


@pytest.fixture
def model():
    return AIModel.objects.create(vendor="custom", name="m", display_name="M", context_length=10_000, max_output=100)


def say(user: User, parent: Message | None, text: str, reply: str = "", **generation) -> Generation:
    """A turn: what was asked after `parent`, and what was answered."""
    conversation = parent.conversation if parent else Conversation.objects.create(user=user)
    asked = Message.objects.create(conversation=conversation, user=user, parent=parent, role="user", content=text)
    answer = Message.objects.create(conversation=conversation, user=user, parent=asked, role="assistant", content=reply)
    return Generation.objects.create(conversation=conversation, user=user, turn=asked, message=answer, **generation)


def shown(generation: Generation) -> list[tuple[str, str]]:
    return [(message.role.value, message.text) for message in build_prompt(generation).messages]


def test_a_first_message_is_all_there_is(alice, model):
    prompt = build_prompt(say(alice, None, "hello", model=model))
    assert prompt.messages == (PromptMessage(Role.USER, (Text("hello"),)),)
    assert prompt.sampling == Sampling()


def test_what_was_said_before_comes_first(alice, model):
    first = say(alice, None, "one", "two", model=model)
    second = say(alice, first.message, "three", model=model)
    assert shown(second) == [("user", "one"), ("assistant", "two"), ("user", "three")]


def test_only_the_branch_that_leads_to_the_question_is_shown(alice, model):
    root = say(alice, None, "root", "answer", model=model)
    say(alice, root.message, "left", "left answer", model=model)
    right = say(alice, root.message, "right", model=model)
    assert shown(right) == [("user", "root"), ("assistant", "answer"), ("user", "right")]


def test_a_reply_without_text_is_left_out(alice, model):
    failed = say(alice, None, "one", "", model=model)
    assert shown(say(alice, failed.message, "again", model=model)) == [("user", "one"), ("user", "again")]


def test_old_turns_are_dropped_whole(alice, model):
    AIModel.objects.filter(pk=model.pk).update(context_length=500)
    model.refresh_from_db()
    first = say(alice, None, "a" * 400, "b" * 400, model=model)
    second = say(alice, first.message, "c" * 100, "d" * 100, model=model)
    third = say(alice, second.message, "now", model=model)
    assert shown(third) == [("user", "c" * 100), ("assistant", "d" * 100), ("user", "now")]


def test_a_question_that_does_not_fit_is_refused(alice, model):
    with pytest.raises(errors.ContextTooLong) as refused:
        build_prompt(say(alice, None, "字" * 20_000, model=model))
    assert refused.value.details["window"] == 10_000


def test_how_the_model_is_to_choose_its_words_comes_along(alice, model):
    generation = say(alice, None, "hello", model=model, params={"temperature": 0.5, "max_tokens": 9})
    assert build_prompt(generation).sampling == Sampling(temperature=0.5, max_tokens=9)
