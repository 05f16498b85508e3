"""From a branch of a conversation to a prompt that fits.

1. Take the branch that leads to the person's message, replies without any text left out.
2. Reserve what the answer may take, and a margin, because token counts are estimates for most models.
3. Keep the person's message, and the answer so far when it is to be continued; add earlier turns, the latest first, as
   long as they fit. A turn goes in whole or not at all: a question without its answer would be answered again.
"""

from chatplatform.kernel import errors
from conversations.models import Generation, Message
from conversations.queries import branch_to
from providers.completion import Prompt, PromptMessage, Role, Sampling, Text
from providers.tokens import MARGIN, estimate_messages

# What the answer may take when the catalogue does not say: a long page.
ANSWER_TOKENS = 4096
# Said to a model whose answer broke off. Models follow English instructions in any language of conversation.
GO_ON = (
    "Your last answer broke off. Continue it exactly where it ends, in the same language and format. "
    "Begin with the very next character; repeat nothing, explain nothing."
)


def build_prompt(generation: Generation) -> Prompt:
    """The prompt for one reply. ContextTooLong if the person's message alone does not fit; ModelNotFound if the model
    has been deleted meanwhile."""
    if generation.model is None:
        raise errors.ModelNotFound
    branch = [message for message in branch_to(generation.turn) if message.content]
    sampling = Sampling(**generation.params)
    window = generation.model.context_length
    answer = sampling.max_tokens or generation.model.max_output or ANSWER_TOKENS
    budget = int((window - min(answer, window // 2)) / MARGIN)
    if generation.continued_from is None:
        asked = branch[-1:]
    else:
        # The question, the answer so far, and the wish that it goes on; none of the three can be left out.
        asked = [*branch[-1:], generation.continued_from.message, Message(role=Message.Role.USER, content=GO_ON)]
    kept = _latest_turns(branch[:-1], asked, budget, window)
    return Prompt(messages=tuple(_as_prompt(message) for message in kept), sampling=sampling)


def _latest_turns(earlier: list[Message], asked: list[Message], budget: int, window: int) -> list[Message]:
    needed = _tokens(asked)
    if needed > budget:
        raise errors.ContextTooLong(tokens=needed, window=window)
    left = budget - needed
    kept = asked
    for turn in reversed(_turns(earlier)):
        left -= _tokens(turn)
        if left < 0:
            break
        kept = turn + kept
    return kept


def _tokens(messages: list[Message]) -> int:
    return estimate_messages(map(_as_prompt, messages))


def _turns(messages: list[Message]) -> list[list[Message]]:
    """Each message of the person together with what answered it."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == Message.Role.USER or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def _as_prompt(message: Message) -> PromptMessage:
    role = Role.USER if message.role == Message.Role.USER else Role.ASSISTANT
    return PromptMessage(role, (Text(message.content),))
