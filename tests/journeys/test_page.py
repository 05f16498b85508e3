"""The page at `/`, used by people in Chromium against a running server.

Whoever visits the page is watched: an error in the console, a violation of the content policy or a request to any other
host fails the test that did it.
"""

import asyncio
import hashlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, WebSocketRoute, async_playwright, expect

from tests.cast import PASSWORD
from tests.phone import SCRIPT, script
from tests.server import Worker, cluster

# One event loop for the file, so that one browser serves all of it.
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A second and a half of words, one after the other.
SLOWLY = script({"say": "word ", "times": 30, "every": 0.05}, {"say": "end"})
WHOLE = "word " * 30 + "end"
# A good part of it: what happens now happens in the middle.
SOME = "word " * 4


class Visitor:
    """A person in front of the page, and what their browser complains about."""

    def __init__(self, page: Page, server: Worker) -> None:
        self.page = page
        self.server = server
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.sockets: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._went_to(request.url))
        page.on("websocket", lambda socket: self._opened(socket.url))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _opened(self, url: str) -> None:
        self.sockets.append(url)
        self._went_to(url)

    def _went_to(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.server.url).netloc:
            self.elsewhere.append(url)

    def had_to_see(self, text: str) -> None:
        """The browser notes in its console every answer that is an error: this one was meant."""
        self.complaints = [complaint for complaint in self.complaints if text not in complaint]

    # --- what people do ---

    async def enter(self, email: str, *, register: bool) -> None:
        form = self.page.locator("#sign-in")
        if register:
            await form.get_by_role("button", name="Register").click()
            await form.get_by_label("Nickname").fill("Carol")
        await form.get_by_label("E-mail").fill(email)
        await form.get_by_label("Password").fill(PASSWORD)
        await form.locator("[type=submit]").click()
        await self.connected()

    async def say(self, text: str, *, model: str | None = None) -> None:
        if model:
            await self.page.locator("#model").select_option(model)
        await self.page.locator("#box").fill(text)
        await self.page.locator("#box").press("Enter")

    async def play(self, text: str) -> None:
        """Have a script played."""
        await self.say(text, model=SCRIPT)

    async def disconnect(self) -> None:
        await self.page.get_by_role("button", name="Disconnect").click()
        await expect(self.page.locator("#line")).to_have_text("Disconnected", use_inner_text=True)

    async def connect(self) -> None:
        await self.page.get_by_role("button", name="Connect", exact=True).click()
        await self.connected()

    # --- what people see ---

    async def connected(self) -> None:
        await expect(self.page.locator("#line")).to_have_attribute("data-state", "connected")

    @property
    def reply(self) -> Locator:
        """The latest reply."""
        return self.page.locator("article.answer").last

    @property
    def words(self) -> Locator:
        return self.reply.locator(".words")

    async def sees(self, text: str) -> None:
        """Wait until the latest reply contains this."""
        await expect(self.words).to_contain_text(text)

    async def sees_status(self, status: str) -> None:
        await expect(self.reply.locator(".badge")).to_have_text(status, use_inner_text=True)

    async def text(self) -> str:
        """The latest reply, letter by letter."""
        return await self.words.text_content() or ""

    async def stored(self) -> list[dict[str, Any]]:
        """The messages of the open conversation, as the server keeps them."""
        return list(
            await self.page.evaluate(
                """async () => {
                    const { access } = JSON.parse(sessionStorage.getItem("chatplatform.tokens"));
                    const headers = { Authorization: `Bearer ${access}` };
                    const answer = await fetch(`/api/v1/messages/session/${location.hash.slice(1)}`, { headers });
                    return (await answer.json()).data;
                }"""
            )
        )

    async def whole(self, text: str = WHOLE) -> None:
        """The latest reply has come to its end, as it was meant and as it is stored."""
        await self.sees_status("Completed")
        assert await self.text() == text
        assert (await self.stored())[-1]["content"] == text


@pytest.fixture(scope="module")
def server() -> Iterator[Worker]:
    with cluster(TRUSTED_PROXIES="1") as made:
        yield made.workers[0]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A fresh Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        yield browser
        await browser.close()


Visit = Callable[..., Awaitable[Visitor]]


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser, server: Worker) -> AsyncIterator[Visit]:
    """`await visit(locale="zh-CN")`: somebody who opens the page in a browser of their own; options are Chromium's."""
    visitors: list[Visitor] = []

    async def visit(server: Worker = server, **options: Any) -> Visitor:
        # From an address of their own, as if through a proxy: so many new accounts from one would be refused.
        address = ".".join(str(random.randint(1, 254)) for _ in range(4))
        headers = {"X-Forwarded-For": address}
        context = await browser.new_context(**{"locale": "en-US", "extra_http_headers": headers, **options})
        visitor = Visitor(await context.new_page(), server)
        visitors.append(visitor)
        await visitor.page.goto(server.url)
        return visitor

    yield visit
    for visitor in visitors:
        await visitor.page.context.close()
    for visitor in visitors:
        assert visitor.complaints == []
        assert visitor.elsewhere == []
        assert not any("token" in address for address in visitor.sockets)


@pytest_asyncio.fixture(loop_scope="module")
async def carol(visit: Visit) -> Visitor:
    """Carol has just made her account."""
    return await arrive(visit)


async def arrive(visit: Visit, **options: Any) -> Visitor:
    visitor = await visit(**options)
    await visitor.enter(f"{uuid4().hex}@example.com", register=True)
    return visitor


# --- talking ------------------------------------------------------------------


async def test_somebody_registers_says_hello_and_watches_the_words_arrive(carol):
    await expect(carol.page.get_by_text("Nothing yet: say hello.")).to_be_visible()
    await carol.say("hello")
    await carol.sees("hello")
    lengths = set()
    while len(lengths) < 5:
        lengths.add(len(await carol.text()))
        await carol.sees_status("Writing")
        await asyncio.sleep(0.1)
    await expect(carol.page.get_by_role("button", name="Stop")).to_be_visible()
    await expect(carol.page.get_by_text("Nothing yet: say hello.")).to_be_hidden()

    await carol.sees_status("Completed")
    stored = await carol.stored()
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert await carol.text() == stored[1]["content"]
    await expect(carol.reply).to_contain_text("tokens read")
    await expect(carol.page.locator("#sessions a")).to_have_text(["hello"])


async def test_typing_is_shown_until_the_first_word(carol):
    await carol.play(script({"wait": 0.6}, {"say": "first"}, {"wait": 0.3}))
    await expect(carol.reply.locator(".typing")).to_be_visible()
    await carol.sees("first")
    await expect(carol.reply.locator(".typing")).to_be_hidden()
    await carol.whole("first")


async def test_stop_shows_at_once_and_keeps_what_was_there(carol):
    await carol.play(SLOWLY)
    await carol.sees(SOME)
    await carol.page.get_by_role("button", name="Stop").click()
    await carol.sees_status("Stopped")
    text = await carol.text()
    assert text.startswith(SOME)
    assert len(text) < len(WHOLE)
    stored = (await carol.stored())[-1]
    assert (stored["content"], stored["status"]) == (text, "stopped")
    await expect(carol.page.get_by_role("button", name="Send")).to_be_visible()


async def test_thinking_is_folded_and_history_survives_a_reload(carol):
    await carol.play(script({"think": "Let me "}, {"think": "see."}, {"say": "Found."}))
    await carol.whole("Found.")
    for _ in range(2):
        thoughts = carol.reply.locator(".thoughts")
        await expect(thoughts).to_be_hidden()
        await carol.reply.get_by_text("Thinking").click()
        await expect(thoughts).to_have_text("Let me see.")
        await carol.page.reload()
        await carol.connected()
        await expect(carol.page.locator("article.said .text")).to_have_count(1)
        await carol.whole("Found.")


async def test_what_a_model_writes_is_shown_and_never_executed(carol):
    hostile = (
        "<img src=x onerror=alert(1)><script>alert(2)</script>\n[a](javascript:alert(3)) ![b](https://evil.example/)"
    )
    code = "\n```html\n<b>not bold</b>\n```\n| a | b |\n| --- | --- |\n| <i>1</i> | 2 |\nafter"
    await carol.play(script({"say": hostile + code}))
    await carol.sees_status("Completed")
    words = carol.words
    await expect(words.locator("img, script, b, i, a")).to_have_count(0)
    await expect(words.locator(".text").first).to_have_text(hostile)
    await expect(words.locator("pre")).to_have_text("<b>not bold</b>")
    await expect(words.locator("td")).to_have_text(["<i>1</i>", "2"])
    await expect(words.locator(".text").last).to_have_text("after")
    # The list shows the question, which has the same in it.
    await expect(carol.page.locator("#sessions img, article.said img")).to_have_count(0)


async def test_a_failure_is_told_in_words(carol):
    await carol.play(script({"fail": "INVALID_API_KEY"}))
    await carol.sees_status("Failed")
    await expect(carol.reply).to_contain_text("The vendor refused the API key. Check it or replace it.")
    await carol.play(script({"say": "Half a sent"}, {"cut": True}))
    await carol.sees_status("Interrupted")
    await expect(carol.reply).to_contain_text("The model's answer broke off before its end.")
    assert await carol.text() == "Half a sent"
    await carol.page.reload()
    await expect(carol.reply).to_contain_text("The model's answer broke off before its end.")


async def test_a_refused_message_comes_back_for_editing(carol):
    await carol.say("汉" * 25_000)
    said = carol.page.locator("article.said")
    await expect(said).to_contain_text("This is too long for one message.")
    await expect(carol.page.locator("#line")).to_have_text("Connected", use_inner_text=True)
    await said.get_by_role("button", name="Edit").click()
    await expect(said).to_have_count(0)
    await expect(carol.page.locator("#box")).to_have_value("汉" * 25_000)


async def test_enter_sends_but_not_while_an_input_method_composes(carol):
    box = carol.page.locator("#box")
    await box.focus()
    devtools = await carol.page.context.new_cdp_session(carol.page)
    await devtools.send("Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5})
    enter = {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
    await devtools.send("Input.dispatchKeyEvent", enter)
    await devtools.send("Input.insertText", {"text": "你好"})
    await box.press("Shift+Enter")
    await box.press_sequentially("again")
    await expect(box).to_have_value("你好\nagain")
    await expect(carol.page.locator("article")).to_have_count(0)
    await box.press("Enter")
    await expect(carol.page.locator("article.said .text")).to_have_text("你好\nagain", use_inner_text=True)
    await expect(box).to_have_value("")


async def test_the_end_stays_in_sight_unless_the_reader_scrolls_up(carol):
    await carol.play(script({"say": "line\n", "times": 80, "every": 0.02}))
    scroll, end = carol.page.locator("#scroll"), carol.page.get_by_role("button", name="To the end")
    from_the_end = "e => e.scrollHeight - e.scrollTop - e.clientHeight"
    await carol.sees("line\n" * 40)
    assert await scroll.evaluate(from_the_end) < 60
    await scroll.evaluate("e => { e.scrollTop = 0; }")
    await expect(end).to_be_visible()
    await carol.sees_status("Completed")
    assert await scroll.evaluate("e => e.scrollTop") == 0
    await end.click()
    assert await scroll.evaluate(from_the_end) < 2
    await expect(end).to_be_hidden()


# --- the line breaks ----------------------------------------------------------


async def test_a_dropped_line_is_picked_up_where_it_broke(carol):
    await carol.page.get_by_text("Frames").click()
    await carol.play(SLOWLY)
    await carol.sees(SOME)
    await carol.disconnect()
    there = await carol.text()
    await asyncio.sleep(0.5)
    assert await carol.text() == there
    await carol.connect()
    await carol.whole()
    await expect(carol.page.locator("#frames")).to_contain_text('"recovered":true')


@pytest.mark.slow
async def test_under_daphne_too(visit):
    with cluster(server="daphne", TRUSTED_PROXIES="1") as made:
        carol = await arrive(visit, server=made.workers[0])
        await carol.play(SLOWLY)
        await carol.sees(SOME)
        await carol.disconnect()
        await carol.connect()
        await carol.whole()


async def test_a_reply_that_ended_while_the_line_was_down_is_there_afterwards(carol):
    await carol.play(SLOWLY)
    await carol.sees(SOME)
    await carol.disconnect()
    await asyncio.sleep(2)
    await carol.connect()
    await carol.whole()


async def test_a_reply_goes_on_after_a_reload_in_its_middle(carol):
    await carol.play(SLOWLY)
    await carol.sees(SOME)
    await carol.page.reload()
    await carol.sees(SOME)
    await carol.whole()


async def test_lost_and_repeated_frames_do_not_show(carol):
    await tamper(carol, lambda number, data: [] if number % 3 == 0 else [data] * (number % 3))
    await carol.play(SLOWLY)
    await carol.whole()
    await expect(carol.reply.get_by_text("Read again")).to_have_count(0)


async def test_a_text_that_does_not_match_its_hash_is_read_again(carol):
    await tamper(carol, lambda number, data: [data if number % 5 else data | {"content": data["content"].upper()}])
    await carol.play(SLOWLY)
    await carol.whole()
    await expect(carol.reply.get_by_text("Read again from the stored message.")).to_be_visible()


RULE = """async frames => {
    const { Reply, isWhole } = await import("/static/chatplatform/reply.js");
    const reply = new Reply({ generation_id: "g", message_id: "m", session_id: "s" });
    const done = frames.map(([type, data]) => type === "snapshot" ? reply.takeSnapshot(data) : reply.take(type, data));
    const { place, parts, status, text } = reply;
    return { done, attempt: place.attempt, after: place.after, parts, status, whole: await isWhole(text, reply.proof) };
}"""


async def test_the_rule_for_numbered_events_is_kept_to_the_letter(carol):
    def delta(seq: int, text: str, off: int, **more: Any) -> tuple[str, dict[str, Any]]:
        return "stream", {"attempt": 1, "seq": seq, "part": "text", "content": text, "off": off} | more

    def piece(text: str, off: int, **more: Any) -> tuple[str, dict[str, Any]]:
        common = {"attempt": 2, "seq": 7, "status": "interrupted", "part": "text", "last": False}
        return "snapshot", common | {"text": text, "off": off} | more

    text = "thé 😀 end"
    proof = {"length": 10, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    steps: list[tuple[tuple[str, dict[str, Any]], str | bool]] = [
        (("accepted", {"attempt": 1, "seq": 1}), "applied"),
        (delta(2, "one ", 0), "applied"),
        (delta(2, "one ", 0), "dropped"),
        (delta(4, "three", 8), "resume"),
        (delta(4, "one two three", 0, first=2), "applied"),
        (delta(5, "gap", 99), "resume"),
        (delta(2, "from anew", 0, first=1), "applied"),
        (delta(1, "later", 0, attempt=2), "resume"),
        (piece("thé ", 0), False),
        (piece("hm", 0, part="thinking"), False),
        (piece("😀 end", 4, last=True), True),
        (delta(9, "late", 0), "dropped"),
        (("done", {"attempt": 2, "seq": 8, "status": "interrupted", "error": None} | proof), "applied"),
        (("done", {"attempt": 2, "seq": 8, "status": "failed"}), "dropped"),
    ]
    assert await carol.page.evaluate(RULE, [frame for frame, _ in steps]) == {
        "done": [outcome for _, outcome in steps],
        "attempt": 2,
        "after": 8,
        "parts": [
            {"type": "text", "text": "thé "},
            {"type": "thinking", "text": "hm"},
            {"type": "text", "text": "😀 end"},
        ],
        "status": "interrupted",
        "whole": True,
    }


@pytest.mark.parametrize("lost", ["the message", "its acceptance"])
async def test_a_message_whose_acceptance_was_lost_is_sent_again_and_counts_once(carol, lost):
    sent: list[str] = []

    async def break_once(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        async def from_page(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame["type"] == "message":
                sent.append(frame["data"]["client_message_id"])
                if lost == "the message" and len(sent) == 1:
                    return await route.close(code=1012)
            server.send(text)

        async def from_server(text: str | bytes) -> None:
            if lost == "its acceptance" and len(sent) == 1 and json.loads(text)["type"] == "accepted":
                return await route.close(code=1012)
            route.send(text)

        route.on_message(from_page)
        server.on_message(from_server)

    await carol.page.route_web_socket("**/ws/chat**", break_once)
    await carol.page.reload()
    await carol.connected()
    await carol.play(SLOWLY)
    await carol.whole()
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert len(await carol.stored()) == 2
    await expect(carol.page.locator("article")).to_have_count(2)


async def test_a_stop_that_was_wanted_without_a_line_is_carried_out_with_the_next_one(carol):
    await carol.play(script({"say": "word ", "times": 100, "every": 0.05}))
    await carol.sees(SOME)
    await carol.disconnect()
    await carol.page.get_by_role("button", name="Stop").click()
    await carol.sees_status("Stopping")
    await carol.connect()
    await carol.sees_status("Stopped")


async def tamper(visitor: Visitor, change: Callable[[int, dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Put somebody between page and server: `change` says what arrives in place of each delta."""

    async def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        deltas = itertools.count(1)

        async def from_server(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame["type"] != "stream":
                return route.send(text)
            for data in change(next(deltas), frame["data"]):
                route.send(json.dumps(frame | {"data": data}))

        server.on_message(from_server)

    await visitor.page.route_web_socket("**/ws/chat**", between)
    await visitor.page.reload()
    await visitor.connected()


# --- signing in -----------------------------------------------------------------


async def test_a_wrong_password_is_explained(visit):
    carol = await visit()
    await carol.page.get_by_label("E-mail").fill("carol@example.com")
    await carol.page.get_by_label("Password").fill("not the password")
    await carol.page.locator("#sign-in [type=submit]").click()
    await expect(carol.page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    carol.had_to_see("401 (Unauthorized)")


async def test_signing_out_leaves_nothing_behind(visit):
    carol, email = await visit(), f"{uuid4().hex}@example.com"
    await carol.enter(email, register=True)
    await carol.play(script({"say": "a secret"}))
    await carol.whole("a secret")
    await carol.page.get_by_role("button", name="Sign out").click()
    await expect(carol.page.locator("#sign-in")).to_be_visible()
    assert await carol.page.evaluate("sessionStorage.length") == 0
    assert "secret" not in await carol.page.locator("body").text_content()
    assert urlsplit(carol.page.url).fragment == ""

    await carol.enter(email, register=False)
    await carol.page.locator("#sessions a").click()
    await carol.sees("a secret")


async def test_an_expired_token_is_exchanged_without_anybody_noticing(carol):
    await carol.page.evaluate(
        """() => {
            const tokens = JSON.parse(sessionStorage.getItem("chatplatform.tokens"));
            sessionStorage.setItem("chatplatform.tokens", JSON.stringify({ ...tokens, access: "stale", expires: 0 }));
        }"""
    )
    await carol.page.reload()
    await carol.connected()
    await carol.play(script({"say": "still here"}))
    await carol.whole("still here")


async def test_an_open_line_is_kept_when_its_token_expires(carol):
    answers: list[str] = []

    async def expire(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        async def from_page(text: str | bytes) -> None:
            if json.loads(text)["type"] == "message":
                route.send(json.dumps({"type": "auth_expired", "data": {}}))
            server.send(text)

        async def from_server(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame.get("id") == "auth":
                answers.append(frame["type"])
            route.send(text)

        route.on_message(from_page)
        server.on_message(from_server)

    await carol.page.route_web_socket("**/ws/chat**", expire)
    await carol.page.reload()
    await carol.connected()
    await carol.play(SLOWLY)
    await carol.whole()
    assert answers == ["ready"]


# --- around the conversation ------------------------------------------------------


async def test_conversations_are_begun_opened_renamed_and_deleted(carol):
    page = carol.page
    await carol.play(script({"say": "the first"}))
    await carol.whole("the first")
    await expect(page.locator("#model")).to_have_value(SCRIPT)
    await page.get_by_role("button", name="New conversation").click()
    await expect(page.get_by_text("Nothing yet: say hello.")).to_be_visible()
    await carol.play(script({"say": "the second"}))
    await carol.whole("the second")
    await expect(page.locator("#sessions a")).to_have_count(2)

    await page.locator("#sessions a").last.click()
    await carol.sees("the first")
    await expect(page.locator("#model")).to_have_value(SCRIPT)
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_role("dialog").get_by_label("Title").fill("Old things")
    await page.get_by_role("dialog").get_by_role("button", name="OK").click()
    await expect(page.get_by_role("heading", name="Old things")).to_be_visible()

    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="OK").click()
    await expect(page.locator("#sessions a")).to_have_count(1)
    await expect(page.get_by_text("Nothing yet: say hello.")).to_be_visible()


async def test_another_device_sees_question_and_answer_live(visit):
    laptop, email = await visit(), f"{uuid4().hex}@example.com"
    await laptop.enter(email, register=True)
    await laptop.play(script({"say": "ready"}))
    await laptop.whole("ready")
    phone = await visit(viewport={"width": 390, "height": 844})
    await phone.enter(email, register=False)
    await phone.page.get_by_role("button", name="Chats").click()
    await phone.page.locator("#sessions a").click()
    await phone.sees("ready")

    await laptop.play(SLOWLY)
    await phone.sees(SOME)
    await phone.sees_status("Writing")
    await phone.whole()
    await laptop.whole()
    assert await phone.page.locator("article.said .text").all_text_contents() == [script({"say": "ready"}), SLOWLY]


async def test_the_page_speaks_chinese_and_fits_a_phone(visit):
    phone = await visit(locale="zh-CN", viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = phone.page
    await expect(page.get_by_text("本页仅供试用和调试服务器")).to_be_visible()
    await page.get_by_role("button", name="注册").click()
    await page.get_by_label("邮箱").fill(f"{uuid4().hex}@example.com")
    await page.get_by_label("密码").fill("123")
    await page.locator("#sign-in [type=submit]").click()
    await expect(page.get_by_role("alert")).to_contain_text("密码")
    phone.had_to_see("400 (Bad Request)")
    await page.get_by_label("密码").fill(PASSWORD)
    await page.locator("#sign-in [type=submit]").click()
    await expect(page.locator("#line")).to_have_text("已连接", use_inner_text=True)
    await phone.play(script({"say": "很长的文字，" * 60 + "a" * 200}, {"fail": "MODEL_BUSY"}))
    await expect(phone.reply).to_contain_text("模型繁忙，请稍后再试。")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390

    await page.get_by_role("button", name="English").click()
    await phone.connected()
    await phone.play(script({"fail": "MODEL_BUSY"}))
    await expect(phone.reply).to_contain_text("The model is busy. Try again shortly.")
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await page.reload()
    await expect(page.get_by_role("button", name="中文")).to_be_visible()


async def test_the_frame_log_shows_what_went_over_the_line_but_no_token(carol):
    frames = carol.page.locator("#frames")
    await carol.page.get_by_text("Frames").click()
    await carol.play(script({"say": "logged"}))
    await carol.whole("logged")
    await carol.page.evaluate("import('/static/chatplatform/api.js').then(api => api.refresh())")
    await expect(frames).to_contain_text('→ auth #auth {"token":"•••"}')
    shown = await frames.inner_text()
    tokens = await carol.page.evaluate("Object.values(JSON.parse(sessionStorage.getItem('chatplatform.tokens')))")
    assert "→ message" in shown
    assert '"status":"completed"' in shown
    assert not any(str(token) in shown for token in tokens)


async def test_only_reading_is_answered_at_this_address(visit, server):
    page = (await visit()).page
    answer = await page.request.post(server.url)
    assert (answer.status, (await answer.json())["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
    answer = await page.request.get(server.url)
    policy = answer.headers["content-security-policy"].split("; ")
    assert "script-src 'self'" in policy
    assert "default-src 'self'" in policy
    links = await page.locator("#purpose a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert links == ["/api/v1/docs", "/api/v1/schema", "/admin/"]
