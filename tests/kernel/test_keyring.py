"""The ring of master keys: read from one line, and never used without a purpose."""

import base64

import pytest
from django.core.exceptions import ImproperlyConfigured

from chatplatform.kernel import keyring


def written(name, byte, length=32):
    return f"{name}:{base64.b64encode(byte * length).decode()}"


def test_a_generated_ring_can_be_read():
    ring = keyring.parse(keyring.generate())

    assert (ring.primary, list(ring.keys), len(ring.keys["k1"])) == ("k1", ["k1"], 32)


def test_the_first_key_seals_unless_another_is_named():
    text = f"{written('old', b'a')}, {written('new', b'b')}"

    assert keyring.parse(text).primary == "old"
    assert keyring.parse(text, primary="new").primary == "new"


@pytest.mark.parametrize(
    ("text", "primary", "problem"),
    [
        ("", "", "KEYVAULT_KEKS is empty"),
        ("k1", "", "'k1' has 0 bytes"),
        ("k1:not base64!", "", "'k1' is not base64"),
        (written("k1", b"a", 16), "", "'k1' has 16 bytes"),
        (f"{written('k1', b'a')},{written('k1', b'b')}", "", "'k1' is there twice"),
        (written("k1", b"a"), "k2", "'k2', which is not in the ring"),
    ],
)
def test_a_ring_that_cannot_be_right_is_refused_and_says_why(text, primary, problem):
    with pytest.raises(ImproperlyConfigured, match=problem):
        keyring.parse(text, primary=primary)


def test_every_purpose_and_every_master_key_has_a_subkey_of_its_own():
    ring = keyring.parse(f"{written('old', b'a')},{written('new', b'b')}")

    subkeys = {ring.subkey(name, purpose) for name in ("old", "new") for purpose in ("vault", "fingerprint")}

    assert len(subkeys) == 4
    assert ring.subkey("old", "vault") in subkeys
    assert not subkeys & set(ring.keys.values())


def test_a_printed_ring_shows_names_and_no_keys():
    assert repr(keyring.parse(written("k1", b"a"))) == "Keyring(primary='k1')"
