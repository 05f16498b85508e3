"""Alice owns one of everything. Bob is another person, the operator is staff, and neither has anything of hers."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import Model

from accounts.clients import Origin
from accounts.models import Device, User
from accounts.services import tokens
from chatplatform.kernel.secret import Secret
from conversations.generation.recorder import Ending, finish
from conversations.models import Conversation, Generation, Message
from conversations.services.messages import Send, accept
from conversations.streaming.events import TEXT, Transcript
from keyvault.models import ProviderKey
from keyvault.services import add_key
from providers.completion import Usage
from providers.models import AIModel, UsageRecord
from providers.usage.ledger import reserve
from tests.cast import Answer

# In everything that Alice ever wrote.
MARKER = "alices-words-and-nobody-elses"
SECRET = "sk-" + "alices-own-key-4711"
# Somebody with a password and no part in anything.
CAROL = "carol@example.com"
APPS = ("accounts", "keyvault", "providers", "conversations")
# Everybody's: rows that no person owns.
OWNERLESS = {"AIModel", "VendorSetting"}

ANONYMOUS, OTHER, OPERATOR, OWNER = "anonymous", "other", "operator", "owner"
# The owner comes last, because she may take away what is asked for.
ROLES = (ANONYMOUS, OTHER, OPERATOR, OWNER)


@dataclass(frozen=True)
class World:
    """The people by role, and what the owner has."""

    people: dict[str, User]
    conversation: Conversation
    question: Message
    reply: Message
    generation: Generation
    key: ProviderKey
    device: Device
    model: AIModel
    usage: UsageRecord

    @property
    def alice(self) -> User:
        return self.people[OWNER]

    @property
    def ids(self) -> dict[str, UUID]:
        """What routes and requests call her things."""
        return {
            "session_id": self.conversation.pk,
            "message_id": self.reply.pk,
            "generation_id": self.generation.pk,
            "parent_id": self.question.pk,
            "key_id": self.key.pk,
            "model_id": self.model.pk,
        }

    @property
    def private(self) -> list[str]:
        """What nobody but Alice is ever shown."""
        talk = (self.conversation, self.question, self.reply, self.generation)
        rows = (self.alice, *talk, self.key, self.device, self.usage)
        return [MARKER, SECRET, str(self.alice.email), self.key.hint, *(str(row.pk) for row in rows)]

    def leaked(self, text: str) -> list[str]:
        """What of it stands in `text`."""
        return [word for word in self.private if word in text]

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Every row that is Alice's or nobody's, as it is in the database now."""
        return {
            model.__name__: _values(model, self.alice)
            for app in APPS
            for model in apps.get_app_config(app).models.values()
        }


def _values(model: type[Model], owner: User) -> list[dict[str, Any]]:
    if model._meta.auto_created:  # the table between two others
        return []
    rows = model._default_manager.order_by("pk")
    if model is User:
        rows = rows.filter(pk=owner.pk)
    elif model.__name__ not in OWNERLESS:
        rows = rows.filter(user_id=owner.pk)  # a model without this column is to say whose its rows are
    return [
        {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
        for row in rows.values()
    ]


def build(*, alice: User, bob: User, operator: User, vendor: str, address: str) -> World:
    """Give Alice a device, a conversation with a question and its reply, a key for `vendor` at `address`, and with it a
    model that nobody else can call."""
    echo, _ = AIModel.objects.get_or_create(
        vendor="scripted", name="echo", defaults={"display_name": "Echo", "context_length": 8192}
    )
    hers = AIModel.objects.create(vendor=vendor, name="large", display_name="Large", context_length=8192)
    key = add_key(user=alice, vendor=vendor, api_key=Secret(SECRET), base_url=address, label=MARKER)
    tokens.issue(user=alice, origin=Origin(ip="127.0.0.1"), device_name=MARKER)
    generation = accept(alice, Send(content=f"What is {MARKER}?", model_ref=str(echo.pk))).generation
    assert Generation.objects.claim(generation.pk, owner="test")
    usage = reserve(
        user_id=alice.pk, model=echo, generation_id=generation.pk, attempt=1, prompt_tokens=5, most_output_tokens=3
    )
    transcript = Transcript()
    transcript.add(TEXT, f"These are {MARKER}.")
    ending = Ending(
        Generation.Status.COMPLETED,
        transcript.parts,
        transcript.length,
        transcript.sha256,
        finish_reason="stop",
        usage=Usage(input_tokens=5, output_tokens=3),
        vendor="scripted",
    )
    assert finish(generation, ending, seq=4)
    return World(
        people={OWNER: alice, OTHER: bob, OPERATOR: operator},
        conversation=generation.conversation,
        question=generation.turn,
        reply=generation.message,
        generation=generation,
        key=key,
        device=Device.objects.get(user=alice, name=MARKER),
        model=hers,
        usage=usage,
    )


def told(answer: Answer) -> str:
    """An answer in two words: `200`, or `404 NOT_FOUND`."""
    if isinstance(answer.body, dict) and "error" in answer.body:
        return f"{answer.status} {answer.body['error']['code']}"
    return str(answer.status)


def in_envelope(answer: Answer, *, error: bool) -> bool:
    """Whether its body is the envelope of a success, or of an error, and nothing else."""
    body = answer.body
    if not isinstance(body, dict) or body.get("success") is error:
        return False
    if not error:
        return set(body) - {"meta"} == {"success", "data"}
    return set(body) == {"success", "error"} and set(body["error"]) - {"details"} == {"code", "message"}
