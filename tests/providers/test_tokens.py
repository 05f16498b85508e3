"""Estimating tokens without a tokenizer."""

import time

from providers.completion import Prompt, PromptMessage, Role, Text, Thinking, Usage
from providers.tokens import estimate, estimate_prompt, estimated_usage


def said(role: Role, *parts: Text | Thinking) -> PromptMessage:
    return PromptMessage(role, parts)


def test_a_chinese_character_is_one_token() -> None:
    assert estimate("切换模型") == 4


def test_kana_hangul_full_width_forms_and_emoji_count_like_chinese() -> None:
    assert estimate("あハ한Ａ🙂") == 5


def test_ten_latin_characters_are_three_tokens_and_a_begun_token_is_a_whole_one() -> None:
    assert [estimate("abcdefghij"), estimate("é" * 10), estimate("a"), estimate("")] == [3, 3, 1, 0]


def test_mixed_text_adds_up() -> None:
    assert estimate("你好, world") == 2 + 3  # seven others make 2.1


def test_a_lone_surrogate_is_counted_and_not_refused() -> None:
    assert estimate("\ud800汉") == 2


def test_every_message_and_the_system_prompt_have_a_frame() -> None:
    prompt = Prompt((said(Role.USER, Text("你好")), said(Role.ASSISTANT, Text("您好"))), system="简短")

    assert estimate_prompt(prompt) == 3 * (4 + 2)


def test_thinking_of_earlier_turns_is_not_counted_because_it_is_not_sent() -> None:
    prompt = Prompt((said(Role.ASSISTANT, Thinking("想" * 100), Text("好")),))

    assert estimate_prompt(prompt) == 4 + 1


def test_a_usage_made_up_from_estimates_says_so() -> None:
    prompt = Prompt((said(Role.USER, Text("你好")),))

    assert estimated_usage(prompt, text="您好", thinking="问候") == Usage(
        input_tokens=6, output_tokens=4, thinking_tokens=2, estimated=True
    )


def test_a_megabyte_takes_no_noticeable_time() -> None:
    text = "汉a" * 500_000

    began = time.perf_counter()
    assert estimate(text) == 650_000
    assert time.perf_counter() - began < 0.1
