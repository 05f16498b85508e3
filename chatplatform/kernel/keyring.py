"""Named master keys, with one sub-key per purpose.

A ring is written `name:base64,name:base64`; every key is 32 bytes. The primary seals, every key opens. No purpose ever
uses a master key itself: `subkey()` derives one by HKDF-SHA256 with the purpose as its label, so that a key made for
one thing says nothing about another.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Keyring:
    """Master keys by name, and which of them seals."""

    primary: str
    keys: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.primary not in self.keys:
            raise ImproperlyConfigured(f"KEYVAULT_PRIMARY names {self.primary!r}, which is not in the ring.")

    def subkey(self, name: str, purpose: str) -> bytes:
        """32 bytes for `purpose`, from the master key `name`. KeyError if the ring does not hold it."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"chatplatform/{purpose}".encode()).derive(
            self.keys[name]
        )


def parse(text: str, primary: str = "") -> Keyring:
    """Read `name:base64,…`; without `primary` the first key is it. ImproperlyConfigured names what is wrong."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ImproperlyConfigured(f"KEYVAULT_KEKS: the key {name!r} is not base64.") from None
        if len(key) != 32:
            raise ImproperlyConfigured(f"KEYVAULT_KEKS: the key {name!r} has {len(key)} bytes; it must have 32.")
        if name in keys:
            raise ImproperlyConfigured(f"KEYVAULT_KEKS: the key {name!r} is there twice.")
        keys[name] = key
    if not keys:
        raise ImproperlyConfigured("KEYVAULT_KEKS is empty.")
    return Keyring(primary=primary or next(iter(keys)), keys=keys)


def generate() -> str:
    """A ring of one new random key, as `parse` reads it."""
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def ring() -> Keyring:
    """The ring of this process, read once at start-up by the settings."""
    keyring: Keyring = settings.KEYRING
    return keyring
