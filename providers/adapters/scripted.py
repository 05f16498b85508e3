"""The built-in model: no key, no address, no network. It makes a fresh checkout answer, and tests repeatable.

`echo` repeats what it was asked and shows what a reply can look like, at the pace of a model that people read along
with. `script` plays the JSON script in the last message, step by step; it is a tool for tests and demonstrations, and
production does not offer it.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, ClassVar

import msgspec
from django.conf import settings

from chatplatform.kernel.errors import BY_CODE, ModelNotFound, ValidationFailed, VendorTruncated
from providers.adapters.base import Adapter, Endpoint
from providers.adapters.text import clean
from providers.completion import (
    Finished,
    FinishReason,
    ModelInfo,
    Prompt,
    Role,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
    UsageReport,
)
from providers.tokens import estimated_usage

ECHO, SCRIPT = "echo", "script"
WINDOW = 32_768
# Some thirty pieces a second, a little faster than people read.
SECONDS_PER_PIECE = 1 / 30

CHINESE = re.compile(r"[\u3400-\u9fff]")
# A word with the space before it, or up to two Chinese characters: about a token each.
PIECE = re.compile(r"\s*(?:[\u2e80-\uffef]{1,2}|[^\s\u2e80-\uffef]+)|\s+")
LONGEST_QUOTE = 200


# --- echo -----------------------------------------------------------------


CODE = """\
```python
async with websockets.connect(f"wss://chat.example.com/ws/chat?ticket={ticket}") as socket:
    await socket.send(json.dumps({"type": "message", "data": {"content": "Show me a table"}}))
    async for text in socket:
        frame = json.loads(text)
        if frame["type"] == "stream":
            print(frame["data"]["content"], end="")
        elif frame["type"] == "done":
            break
```

"""


class Phrases(msgspec.Struct, frozen=True):
    """What `echo` can say, in one language."""

    greeting: str
    offer: str
    thinking: str
    code: str
    table: str
    long: str
    line: str


ENGLISH = Phrases(
    greeting=(
        "> {question}\n\n"
        "I am the model that is built into this server: I need no key and know nothing of the world, but everything "
        "between us works as it does with a real one. "
    ),
    offer=(
        "My words reach you as they are written, on every device you have open. Close this page in the middle of a "
        "sentence and open it again: nothing is missing. Press stop, and I stop.\n\n"
        "Write **think**, **code**, **table** or **long**, and you will see how that looks. To talk to a real model, "
        "add an API key and choose the model at the top of the conversation.\n"
    ),
    thinking=(
        "The question asks to see thinking. A model that reasons writes this part for itself before it answers; it is "
        "shown apart from the answer, and it is not sent back with the next question. That is enough thought for an "
        "echo."
    ),
    code=f"This is a block of code:\n\n{CODE}",
    table=(
        "This is a table:\n\n"
        "| When this happens | This is what becomes of the reply |\n"
        "| --- | --- |\n"
        "| the line drops | it goes on, and is complete when you are back |\n"
        "| you press stop | what is there stays |\n"
        "| the vendor fails before the first word | another key is tried |\n"
        "| the vendor fails after it | you are told, and keep what there is |\n\n"
    ),
    long="This is a long answer. Its lines are numbered, so that a missing or a doubled one would be seen.\n\n",
    line="{number}. This is line {number} of {total}; wherever the connection drops, line {next} comes after it.\n",
)
ZH = Phrases(
    greeting=(
        "> {question}\n\n我是服务器自带的模型：不需要密钥，也不了解外面的世界，但您与我之间的一切都和真实模型一样运作。"
    ),
    offer=(
        "我写出的文字会实时出现在您打开的每一台设备上。您可以在一句话中间关闭页面，再打开时内容一个字也不会少；"
        "点击停止，我就会停下。\n\n"
        "发送 **思考**、**代码**、**表格** 或 **长**，可以看到相应的效果。要与真实模型对话，请添加 API 密钥，"
        "并在会话顶部选择模型。\n"
    ),
    thinking=(
        "用户想看看思考过程。推理模型在回答之前会先给自己写下这一部分；它与答案分开显示，也不会随下一个问题发回。"
        "对一个回声来说，想到这里就够了。"
    ),
    code=f"这是一段代码：\n\n{CODE}",
    table=(
        "这是一个表格：\n\n"
        "| 发生的情况 | 回复会怎样 |\n"
        "| --- | --- |\n"
        "| 网络断开 | 继续生成，您回来时内容完整 |\n"
        "| 您点击停止 | 已生成的内容保留 |\n"
        "| 服务商在第一个字之前出错 | 自动换用其他密钥 |\n"
        "| 服务商在此之后出错 | 会告知您，并保留已有内容 |\n\n"
    ),
    long="这是一个很长的回答。每一行都有编号，缺行或重行一眼就能看出来。\n\n",
    line="{number}. 这是第 {number} 行，共 {total} 行；无论连接在哪里断开，接下来都是第 {next} 行。\n",
)
# Enough for more than four thousand tokens in either language.
LONG_LINES = 200

WORDS_FOR = {
    "thinking": re.compile(r"(?i)\bthink|思考"),
    "code": re.compile(r"(?i)\bcode|代码"),
    "table": re.compile(r"(?i)\btables?\b|表格"),
    "long": re.compile(r"(?i)\blong\b|长"),
}


def _reply(question: str) -> tuple[str, str]:
    """What `echo` thinks and says to `question`, in its language."""
    phrases = ZH if CHINESE.search(question) else ENGLISH
    wanted = {name for name, words in WORDS_FOR.items() if words.search(question)}
    quoted = " ".join(question.split())
    if len(quoted) > LONGEST_QUOTE:
        quoted = quoted[:LONGEST_QUOTE] + "…"
    said = phrases.greeting.replace("{question}", quoted)
    shown = [getattr(phrases, name) for name in ("code", "table") if name in wanted]
    if "long" in wanted:
        lines = (phrases.line.format(number=n, next=n + 1, total=LONG_LINES) for n in range(1, LONG_LINES + 1))
        shown.append(phrases.long + "".join(lines))
    return phrases.thinking if "thinking" in wanted else "", said + (
        "\n\n" + "".join(shown) if shown else phrases.offer
    )


async def _echo(prompt: Prompt) -> AsyncIterator[StreamEvent]:
    thinking, text = _reply(_question(prompt))
    for piece in PIECE.findall(thinking):
        yield ThinkingDelta(piece)
        await asyncio.sleep(SECONDS_PER_PIECE)
    for piece in PIECE.findall(text):
        yield TextDelta(piece)
        await asyncio.sleep(SECONDS_PER_PIECE)
    yield UsageReport(estimated_usage(prompt, text=text, thinking=thinking))
    yield Finished(FinishReason.STOP)


def _question(prompt: Prompt) -> str:
    said = next((message.text for message in reversed(prompt.messages) if message.role is Role.USER), "")
    return clean(said)


# --- script ---------------------------------------------------------------

LONGEST_TEXT = 4 * 1024 * 1024
MOST_EVENTS = 20_000
Seconds = Annotated[float, msgspec.Meta(ge=0, le=60)]
Times = Annotated[int, msgspec.Meta(ge=1, le=MOST_EVENTS)]
Tokens = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a script. It does one thing: say, think, wait, usage, finish, fail or cut."""

    say: str = ""
    think: str = ""
    times: Times = 1
    every: Seconds = 0.0
    wait: Seconds | None = None
    usage: tuple[Tokens, Tokens] | None = None
    finish: FinishReason | None = None
    fail: str | None = None
    retry_after: Seconds | None = None
    cut: bool = False


_decode_script = msgspec.json.Decoder(list[Step]).decode

HOW_TO_SCRIPT = """\
I play the script in your message: a JSON list of steps, and nothing around it.
我会播放您消息中的脚本：一个 JSON 步骤列表，前后不带其他文字。

```json
[
  {"think": "Let me see."},
  {"say": "Hello", "times": 3, "every": 0.1},
  {"wait": 2},
  {"usage": [12, 3]},
  {"finish": "stop"}
]
```

Instead of `finish` a script may end with `{"fail": "MODEL_BUSY", "retry_after": 3}`, which fails with that code, or \
with `{"cut": true}`, which breaks off. Without any of them it finishes by itself. A script says at most 4 MB in \
20,000 pieces, and waits at most 60 seconds at a time.
"""


# What a script may fail with: every error but the one that needs to be told which fields are wrong.
FAILURES = {code: kind for code, kind in BY_CODE.items() if kind is not ValidationFailed}


def _script(text: str) -> list[Step] | None:
    """The steps that `text` describes; None if it is no script, or one that is too long."""
    try:
        steps = _decode_script(text.encode())
    except (msgspec.DecodeError, UnicodeError):
        return None
    steps = [msgspec.structs.replace(step, say=clean(step.say), think=clean(step.think)) for step in steps]
    spoken = [step for step in steps if step.say or step.think]
    length = sum(len(step.say + step.think) * step.times for step in spoken)
    too_long = length > LONGEST_TEXT or sum(step.times for step in spoken) > MOST_EVENTS or len(steps) > MOST_EVENTS
    unknown = any(step.fail is not None and step.fail not in FAILURES for step in steps)
    return None if too_long or unknown else steps


async def _play(prompt: Prompt) -> AsyncIterator[StreamEvent]:
    steps = _script(_question(prompt))
    if steps is None:
        steps = [Step(say=HOW_TO_SCRIPT)]
    said, thought, usage, reason = "", "", None, FinishReason.STOP
    for step in steps:
        if step.wait is not None:
            await asyncio.sleep(step.wait)
        for number in range(step.times if step.say or step.think else 0):
            # Also without a pause everybody else gets a turn, as between the pieces of a vendor.
            await asyncio.sleep(step.every if number else 0)
            yield TextDelta(step.say) if step.say else ThinkingDelta(step.think)
        said += step.say * step.times
        thought += step.think * step.times
        if step.usage is not None:
            usage = Usage(input_tokens=step.usage[0], output_tokens=step.usage[1])
        if step.fail is not None:
            raise FAILURES[step.fail](retry_after=step.retry_after)
        if step.cut:
            raise VendorTruncated
        if step.finish is not None:
            reason = step.finish
            break
    yield UsageReport(usage or estimated_usage(prompt, text=said, thinking=thought))
    yield Finished(reason)


class ScriptedAdapter(Adapter):
    dialect: ClassVar[str] = "scripted"

    async def stream(self, endpoint: Endpoint, model: str, prompt: Prompt) -> AsyncGenerator[StreamEvent, None]:
        if model not in {info.name for info in await self.list_models(endpoint)}:
            raise ModelNotFound(model=model)
        async for event in _play(prompt) if model == SCRIPT else _echo(prompt):
            yield event

    async def probe(self, endpoint: Endpoint) -> None:
        """There is no key that could be wrong."""

    async def list_models(self, endpoint: Endpoint) -> list[ModelInfo]:
        models = [ModelInfo(name=ECHO, display_name="Echo", context_length=WINDOW)]
        if settings.DEBUG or settings.TESTING or not settings.PRODUCTION:
            models.append(ModelInfo(name=SCRIPT, display_name="Script", context_length=WINDOW))
        return models
