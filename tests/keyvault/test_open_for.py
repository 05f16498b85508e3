"""A key opens for the person and vendor it was stored for, as it was stored, and not otherwise."""

import base64
import uuid
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import User
from chatplatform.kernel import keyring
from chatplatform.kernel.errors import Conflict, KeyUnreadable, NotFound, ValidationFailed
from chatplatform.kernel.secret import Secret
from keyvault import services
from keyvault.models import Outcome, ProviderKey

pytestmark = pytest.mark.django_db

ADDRESS = "https://api.openai.com/v1"
OLD, NEW = (f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}" for name, byte in (("old", 1), ("new", 2)))


def add(
    user: User, text: str = "a-key-for-openai-0001", *, vendor: str = "openai", base_url: str = ADDRESS, label: str = ""
) -> ProviderKey:
    return services.add_key(user=user, vendor=vendor, api_key=Secret(text), base_url=base_url, label=label)


def texts(user: User, vendor: str = "openai") -> list[str]:
    return [opened.secret.reveal() for opened in services.open_for(user_id=user.pk, vendor=vendor)]


def changed(key: ProviderKey, **columns: Any) -> None:
    """Somebody with a database prompt: past every service."""
    ProviderKey.objects.filter(pk=key.pk).update(**columns)


def test_what_was_stored_is_opened_with_its_address(alice: User) -> None:
    key = add(alice, base_url="https://API.openai.com:443/v1/")

    (opened,) = services.open_for(user_id=alice.pk, vendor="openai")

    assert (opened.key_id, opened.base_url, opened.secret_version) == (key.pk, ADDRESS, 1)
    assert opened.secret == Secret("a-key-for-openai-0001")
    assert "a-key" not in repr(opened)


def test_other_people_and_other_vendors_get_nothing(alice: User, bob: User) -> None:
    key = add(alice)

    assert texts(bob) == texts(alice, "deepseek") == []
    assert services.open_for(user_id=bob.pk, vendor="openai", key_id=key.pk) == []


def test_keys_come_in_the_order_of_their_priority(alice: User) -> None:
    for label in ("first", "second", "third"):
        add(alice, f"a-key-labelled-{label}", label=label)
    changed(ProviderKey.objects.get(label="third"), priority=5)

    assert texts(alice) == ["a-key-labelled-third", "a-key-labelled-first", "a-key-labelled-second"]


def test_a_refused_key_is_opened_only_when_it_is_asked_for(alice: User) -> None:
    key = add(alice)
    changed(key, is_valid=False)

    assert texts(alice) == []
    assert len(services.open_for(user_id=alice.pk, vendor="openai", key_id=key.pk)) == 1


@pytest.mark.parametrize(
    "columns",
    [
        {"id": uuid.UUID(int=7)},
        {"vendor": "deepseek"},
        {"origin": "https://evil.example:443/v1"},
        {"base_url": "https://evil.example/v1"},
        {"base_url": "https://evil.example/v1", "origin": "https://evil.example:443/v1"},
        {"base_url": "https://api.openai.com/v2", "origin": "https://api.openai.com:443/v2"},
        {"base_url": "http://api.openai.com:443/v1", "origin": "http://api.openai.com:443/v1"},
        {"base_url": "https://api.openai.com:443/v1"},
        {"base_url": "no address at all"},
        {"mode": "passphrase"},
        {"secret_version": 2},
        {"kek_id": "another"},
        {"kek_version": 2},
        {"algorithm": "0/none"},
        {"wrapped_dek": b"\0" * 48},
        {"dek_nonce": b"\0" * 12},
        {"nonce": b"\0" * 12},
        {"ciphertext": b"\0" * 40},
        {"ciphertext": b""},
        {"nonce": b""},
    ],
    ids=str,
)
def test_a_row_that_was_changed_by_sql_stays_closed(alice: User, columns: dict[str, Any]) -> None:
    changed(add(alice), **columns)

    with pytest.raises(KeyUnreadable):
        services.open_for(user_id=alice.pk, vendor=columns.get("vendor", "openai"))


def test_a_row_that_was_given_to_somebody_else_stays_closed(alice: User, bob: User) -> None:
    changed(add(alice), user=bob)

    with pytest.raises(KeyUnreadable):
        services.open_for(user_id=bob.pk, vendor="openai")


@pytest.mark.parametrize(
    "columns",
    [
        ("ciphertext",),
        ("ciphertext", "nonce"),
        ("wrapped_dek", "dek_nonce"),
        ("wrapped_dek", "dek_nonce", "ciphertext", "nonce"),
    ],
    ids="+".join,
)
def test_envelopes_that_changed_places_stay_closed(alice: User, columns: tuple[str, ...]) -> None:
    one, other = add(alice, "the-first-key-of-hers", label="one"), add(alice, "the-other-key-of-hers", label="other")
    changed(one, **{name: getattr(other, name) for name in columns})
    changed(other, **{name: getattr(one, name) for name in columns})

    with pytest.raises(KeyUnreadable):
        services.open_for(user_id=alice.pk, vendor="openai")


def test_an_older_envelope_put_back_stays_closed(alice: User) -> None:
    key = add(alice, "the-key-that-leaked")
    services.replace_key(key=key, api_key=Secret("the-key-after-it"))
    changed(key, **{name: getattr(key, name) for name in ("ciphertext", "nonce", "wrapped_dek", "dek_nonce")})

    with pytest.raises(KeyUnreadable):
        services.open_for(user_id=alice.pk, vendor="openai")


def test_a_row_that_does_not_open_leaves_the_others_usable(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    broken = add(alice, "the-first-key-of-hers", label="one")
    add(alice, "the-other-key-of-hers", label="other")
    changed(broken, origin="https://evil.example:443/v1")

    assert texts(alice) == ["the-other-key-of-hers"]
    (line,) = caplog.records
    assert (line.message, vars(line)["key_id"]) == ("a stored key does not open", str(broken.pk))


def test_rows_of_an_older_master_key_open_beside_those_of_the_new_one(alice: User, settings: Settings) -> None:
    settings.KEYRING = keyring.parse(f"{OLD},{NEW}", primary="old")
    add(alice, "sealed-under-the-old", label="1")
    settings.KEYRING = keyring.parse(f"{OLD},{NEW}", primary="new")
    add(alice, "sealed-under-the-new", label="2")

    assert texts(alice) == ["sealed-under-the-old", "sealed-under-the-new"]
    assert list(services.keys_of(alice).values_list("kek_id", flat=True)) == ["old", "new"]


def test_a_missing_master_key_is_said_to_be_that_and_the_key_can_be_entered_again(
    alice: User, settings: Settings
) -> None:
    settings.KEYRING = keyring.parse(OLD)
    key = add(alice)
    settings.KEYRING = keyring.parse(NEW)

    with pytest.raises(KeyUnreadable):
        services.open_for(user_id=alice.pk, vendor="openai")
    services.replace_key(key=key, api_key=Secret("entered-once-again"), base_url=ADDRESS)

    assert texts(alice) == ["entered-once-again"]


def test_replacing_makes_a_new_version_and_forgets_the_old_verdict(alice: User) -> None:
    key = add(alice)
    services.report_outcome(key_id=key.pk, outcome=Outcome.INVALID)

    replaced = services.replace_key(key=key, api_key=Secret("another-key-for-openai"))

    assert texts(alice) == ["another-key-for-openai"]
    assert (replaced.pk, replaced.secret_version, replaced.row_version) == (key.pk, 2, 2)
    assert (replaced.is_valid, replaced.status, replaced.last_validated) == (True, "unchecked", None)
    assert replaced.fingerprint != key.fingerprint


def test_a_key_moves_only_together_with_the_secret(alice: User) -> None:
    key = add(alice)

    moved = services.replace_key(key=key, api_key=Secret("a-key-for-the-proxy"), base_url="https://proxy.example/v1")

    assert (moved.base_url, moved.origin) == ("https://proxy.example/v1", "https://proxy.example:443/v1")
    assert texts(alice) == ["a-key-for-the-proxy"]


def test_a_new_secret_does_not_follow_an_address_that_was_changed_by_sql(alice: User) -> None:
    key = add(alice)
    changed(key, base_url="https://evil.example/v1", origin="https://evil.example:443/v1")

    with pytest.raises(ValidationFailed) as refusal:
        services.replace_key(key=key, api_key=Secret("another-key-for-openai"))

    assert list(refusal.value.details) == ["base_url"]
    assert ProviderKey.objects.get().secret_version == 1


def test_one_key_per_vendor_and_label(alice: User, bob: User) -> None:
    add(alice)
    add(alice, label="spare")
    add(bob)
    add(alice, vendor="deepseek", base_url="https://api.deepseek.com")

    with pytest.raises(Conflict):
        add(alice)
    assert ProviderKey.objects.count() == 4


def test_nobody_stores_keys_without_end(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_KEYS", 2)
    add(alice, label="1")
    add(alice, label="2")

    with pytest.raises(Conflict):
        add(alice, label="3")


def test_a_deleted_key_is_gone(alice: User) -> None:
    key = add(alice)
    services.delete_key(key=key)

    assert texts(alice) == []
    with pytest.raises(NotFound):
        services.key_for(alice, key.pk)
    with pytest.raises(NotFound):
        services.replace_key(key=key, api_key=Secret("another-key-for-openai"))


def test_keys_go_with_their_owner(alice: User) -> None:
    add(alice)
    alice.delete()

    assert not ProviderKey.objects.exists()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sk-" + "0123456789abcdefg", "sk-...defg"),
        ("sk-proj-" + "0123456789abcdefg", "sk-proj-...defg"),
        ("sk-or-v1-" + "0123456789abcdefg", "sk-or-v1-...defg"),
        ("no-prefix-that-is-known", "...nown"),
        ("sk-" + "0123456789abcdef", ""),
        ("shorter!", ""),
    ],
)
def test_a_hint_is_the_beginning_all_keys_share_and_the_last_four(alice: User, text: str, hint: str) -> None:
    assert add(alice, text).hint == hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seven77",
        "k" * 513,
        "a key with spaces",
        " leading-space",
        "trailing-space ",
        "trailing-newline\n",
        "a-key\r\nX-Injected: 1",
        "a-key\nwith-a-line-break",
        "a-key\twith-a-tab",
        "a-key\0with-a-nul",
        "a-key-with-\x7f-delete",
        "a-key-with-\x85-next-line",
        "a-key-with-\u2028-separator",
        "ключ-не-из-ascii",
        "a-key-with-\ud800-surrogate",
    ],
    ids=ascii,
)
def test_what_could_forge_a_header_is_no_key(alice: User, text: str) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        add(alice, text)

    assert list(refusal.value.details) == ["api_key"]
    assert not ProviderKey.objects.exists()


def test_equal_keys_are_known_by_their_fingerprints_without_being_opened(alice: User, bob: User) -> None:
    hers, his = add(alice, "one-key-two-people"), add(bob, "one-key-two-people")

    assert hers.fingerprint == his.fingerprint
    assert hers.ciphertext != his.ciphertext
