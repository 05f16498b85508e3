"""The nouns: conversations, their messages, and the runs of models that write replies."""

from conversations.models.conversation import Conversation
from conversations.models.generation import Generation
from conversations.models.message import Message

__all__ = ["Conversation", "Generation", "Message"]
