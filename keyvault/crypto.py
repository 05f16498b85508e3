"""Envelopes: a fresh data key seals the secret, a named master key seals the data key, and both are bound to the row.

1. Every write of a secret makes a new random data key, which seals once (AES-256-GCM) and is never used again.
2. The data key is wrapped (AES-256-GCM) by the `wrap` sub-key of the primary master key; the row names that key, so
   that opening never tries one key after another.
3. Both layers authenticate the row they belong to: its id, owner, vendor, origin, mode and secret version, each with
   its length in front, so that no two rows ever authenticate the same bytes. A ciphertext moved to another row, or a
   row given another owner or address, does not open.

Plaintext lives in the interpreter's memory while it is used and for as long as the interpreter pleases afterwards:
Python cannot promise to wipe it.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.views.decorators.debug import sensitive_variables

from chatplatform.kernel.errors import KeyUnreadable
from chatplatform.kernel.keyring import ring
from chatplatform.kernel.secret import Secret

# The format and its cipher, stored with every row: another cipher will be another name, opened beside this one.
ALGORITHM = "1/AES-256-GCM"
# Keys of the ring do not change under their name. The number is there for key services that keep versions of one key.
KEK_VERSION = 1
# What NIST SP 800-38D recommends for GCM. Random is safe: a data key seals once, and a wrap key far below 2**32 times.
NONCE_BYTES = 12


@dataclass(frozen=True)
class Binding:
    """The row a secret belongs to. Change one of these, and what was sealed for the row stays closed."""

    record_id: UUID
    user_id: UUID
    vendor: str
    origin: str
    mode: str
    secret_version: int

    def authenticated(self, layer: str, *more: str) -> bytes:
        """The bytes that `layer` authenticates besides what it encrypts."""
        return _packed(
            "chatplatform/keyvault/1",
            layer,
            str(self.record_id),
            str(self.user_id),
            self.vendor,
            self.origin,
            self.mode,
            str(self.secret_version),
            *more,
        )


@dataclass(frozen=True)
class Sealed:
    """A closed envelope, as its row stores it."""

    algorithm: str
    kek_id: str
    kek_version: int
    wrapped_dek: bytes
    dek_nonce: bytes
    nonce: bytes
    ciphertext: bytes


def _packed(*parts: str) -> bytes:
    raw = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in raw)


def _wrapping(kek_id: str) -> AESGCM:
    return AESGCM(ring().subkey(kek_id, "wrap"))


@sensitive_variables()
def seal(secret: Secret, binding: Binding) -> Sealed:
    """Close `secret` for `binding`, under the ring's primary key."""
    kek_id = ring().primary
    dek, dek_nonce, nonce = AESGCM.generate_key(256), os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
    return Sealed(
        algorithm=ALGORITHM,
        kek_id=kek_id,
        kek_version=KEK_VERSION,
        wrapped_dek=_wrapping(kek_id).encrypt(dek_nonce, dek, binding.authenticated("wrap", kek_id, str(KEK_VERSION))),
        dek_nonce=dek_nonce,
        nonce=nonce,
        ciphertext=AESGCM(dek).encrypt(nonce, secret.reveal().encode(), binding.authenticated("secret")),
    )


def _unwrapped(sealed: Sealed, binding: Binding) -> AESGCM:
    """The row's data key, ready to open its secret."""
    if sealed.algorithm != ALGORITHM:
        raise KeyUnreadable
    try:
        wrapping = _wrapping(sealed.kek_id)
    except KeyError:
        raise KeyUnreadable from None
    authenticated = binding.authenticated("wrap", sealed.kek_id, str(sealed.kek_version))
    try:
        return AESGCM(wrapping.decrypt(sealed.dek_nonce, sealed.wrapped_dek, authenticated))
    except (InvalidTag, ValueError):  # ValueError: a nonce of an impossible length
        raise KeyUnreadable from None


def check(sealed: Sealed, binding: Binding) -> None:
    """KeyUnreadable unless this envelope was made for `binding` by a key of the ring. The secret stays closed."""
    _unwrapped(sealed, binding)


@sensitive_variables()
def unseal(sealed: Sealed, binding: Binding) -> Secret:
    """What was sealed for `binding`. KeyUnreadable if its master key is gone or anything about it was changed."""
    data_key = _unwrapped(sealed, binding)
    try:
        return Secret(data_key.decrypt(sealed.nonce, sealed.ciphertext, binding.authenticated("secret")).decode())
    except (InvalidTag, ValueError):
        raise KeyUnreadable from None


def fingerprint(vendor: str, secret: Secret) -> str:
    """A name for this secret at this vendor: equal for equal secrets, and telling nothing of them.

    It is keyed by the primary master key, whose name it carries: names made under another key are not comparable.
    """
    kek_id = ring().primary
    digest = hmac.new(ring().subkey(kek_id, "fingerprint"), _packed(vendor, secret.reveal()), hashlib.sha256)
    return f"{kek_id}:{digest.digest()[:16].hex()}"
