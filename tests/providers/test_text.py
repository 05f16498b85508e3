"""Text from a model: safe to store, encode and show, however it was cut."""

from hypothesis import given
from hypothesis import strategies as st

from providers.adapters.text import Cleaner, clean

SURROGATES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
TEXTS = st.text(st.one_of(st.characters(exclude_categories=()), SURROGATES, st.sampled_from("\0\x1b\n\t\r\x9b\x7f")))


@given(st.lists(TEXTS))
def test_pieces_add_up_to_the_whole_however_it_was_cut(pieces: list[str]) -> None:
    cleaner = Cleaner()
    cleaned = [cleaner.feed(piece) for piece in pieces]

    assert "".join(cleaned) + cleaner.end() == clean("".join(pieces))
    for piece in cleaned:
        piece.encode()  # none of them ends in half a character


@given(TEXTS)
def test_what_comes_out_can_be_stored_and_shown(text: str) -> None:
    cleaned = clean(text)

    cleaned.encode()
    assert not any(ord(character) < 32 and character not in "\n\t\r" for character in cleaned)
    assert not any(0x7F <= ord(character) <= 0x9F for character in cleaned)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert clean(text) == text


def test_pairs_are_joined_and_halves_replaced() -> None:
    assert clean("a\ud83d\ude00b") == "a😀b"
    assert clean("a\ud83db\ude00\ud83d") == "a\ufffdb\ufffd\ufffd"
    assert clean("\0a\x1b[0m\r\n\tb\x7f") == "a[0m\r\n\tb"


def test_half_a_character_waits_for_the_other_half() -> None:
    cleaner = Cleaner()

    assert [cleaner.feed("a\ud83d"), cleaner.feed("\ude00b"), cleaner.feed("c\ud83d"), cleaner.end()] == [
        "a",
        "😀b",
        "c",
        "\ufffd",
    ]
