"""An envelope opens for the row it was made for, under the key that it names, and in no other case."""

import base64
import dataclasses
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from chatplatform.kernel import keyring
from chatplatform.kernel.errors import KeyUnreadable
from chatplatform.kernel.secret import Secret
from keyvault import crypto

BINDING = crypto.Binding(
    record_id=uuid.UUID(int=1),
    user_id=uuid.UUID(int=2),
    vendor="openai",
    origin="https://api.openai.com:443/v1",
    mode="server",
    secret_version=1,
)
SECRET = Secret("a-key-for-a-vendor-0001")
OLD, NEW = (f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}" for name, byte in (("old", 1), ("new", 2)))


def replaced(sealed: crypto.Sealed, name: str, value: object) -> crypto.Sealed:
    return dataclasses.replace(sealed, **{name: value})  # type: ignore[arg-type]


def test_what_was_sealed_is_what_is_opened() -> None:
    assert crypto.unseal(crypto.seal(SECRET, BINDING), BINDING) == SECRET


def test_the_same_secret_is_never_sealed_alike_twice() -> None:
    first, second = crypto.seal(SECRET, BINDING), crypto.seal(SECRET, BINDING)

    for name in ("ciphertext", "wrapped_dek", "nonce", "dek_nonce"):
        assert getattr(first, name) != getattr(second, name)


@pytest.mark.parametrize(
    "change",
    [
        {"record_id": uuid.UUID(int=3)},
        {"user_id": uuid.UUID(int=3)},
        {"vendor": "deepseek"},
        {"origin": "https://api.openai.com:443/v2"},
        {"mode": "passphrase"},
        {"secret_version": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_binding_does_not_open_it(change: dict[str, object]) -> None:
    sealed = crypto.seal(SECRET, BINDING)
    other = dataclasses.replace(BINDING, **change)  # type: ignore[arg-type]

    with pytest.raises(KeyUnreadable):
        crypto.unseal(sealed, other)
    with pytest.raises(KeyUnreadable):
        crypto.check(sealed, other)


def test_a_character_that_moves_to_the_neighbouring_field_does_not_go_unnoticed() -> None:
    sealed = crypto.seal(SECRET, dataclasses.replace(BINDING, vendor="open", origin="ai"))

    with pytest.raises(KeyUnreadable):
        crypto.unseal(sealed, dataclasses.replace(BINDING, vendor="opena", origin="i"))


@pytest.mark.parametrize("name", ["wrapped_dek", "dek_nonce", "nonce", "ciphertext"])
@pytest.mark.parametrize("position", [0, -1])
def test_one_changed_bit_does_not_open(name: str, position: int) -> None:
    sealed = crypto.seal(SECRET, BINDING)
    changed = bytearray(getattr(sealed, name))
    changed[position] ^= 1

    with pytest.raises(KeyUnreadable):
        crypto.unseal(replaced(sealed, name, bytes(changed)), BINDING)


@pytest.mark.parametrize("name", ["wrapped_dek", "dek_nonce", "nonce", "ciphertext"])
def test_an_emptied_column_does_not_open(name: str) -> None:
    sealed = replaced(crypto.seal(SECRET, BINDING), name, b"")

    with pytest.raises(KeyUnreadable):
        crypto.unseal(sealed, BINDING)


@pytest.mark.parametrize("change", [{"algorithm": "2/something"}, {"kek_version": 2}, {"kek_id": "unknown"}])
def test_an_unknown_format_version_or_master_key_does_not_open(change: dict[str, object]) -> None:
    sealed = dataclasses.replace(crypto.seal(SECRET, BINDING), **change)  # type: ignore[arg-type]

    with pytest.raises(KeyUnreadable):
        crypto.unseal(sealed, BINDING)


def test_after_another_key_became_primary_old_envelopes_open_and_new_ones_name_it(settings: Settings) -> None:
    settings.KEYRING = keyring.parse(f"{OLD},{NEW}")
    before = crypto.seal(SECRET, BINDING)

    settings.KEYRING = keyring.parse(f"{OLD},{NEW}", primary="new")
    after = crypto.seal(SECRET, BINDING)

    assert (before.kek_id, after.kek_id) == ("old", "new")
    assert crypto.unseal(before, BINDING) == crypto.unseal(after, BINDING) == SECRET


def test_no_other_key_of_the_ring_is_tried(settings: Settings) -> None:
    settings.KEYRING = keyring.parse(f"{OLD},{NEW}")
    sealed = crypto.seal(SECRET, BINDING)

    with pytest.raises(KeyUnreadable):
        crypto.unseal(dataclasses.replace(sealed, kek_id="new"), BINDING)


def test_an_envelope_of_a_key_that_left_the_ring_stays_closed(settings: Settings) -> None:
    settings.KEYRING = keyring.parse(OLD)
    sealed = crypto.seal(SECRET, BINDING)
    settings.KEYRING = keyring.parse(NEW)

    with pytest.raises(KeyUnreadable):
        crypto.unseal(sealed, BINDING)


def test_a_ring_without_its_primary_does_not_start() -> None:
    with pytest.raises(ImproperlyConfigured, match="KEYVAULT_PRIMARY"):
        keyring.parse(OLD, primary="new")


def test_a_fingerprint_is_the_secrets_and_the_vendors() -> None:
    same = crypto.fingerprint("openai", SECRET)

    assert same == crypto.fingerprint("openai", Secret(SECRET.reveal()))
    assert same != crypto.fingerprint("deepseek", SECRET)
    assert same != crypto.fingerprint("openai", Secret("another-key-0002"))
    assert SECRET.reveal() not in same
