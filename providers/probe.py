"""Is this key alive? Its vendor knows: it is asked the cheapest question that needs the key."""

import asyncio

from accounts import audit
from accounts.clients import Origin
from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import AddressRefused, AppError, NotFound
from keyvault.models import Outcome, ProviderKey
from keyvault.services import open_for, report_outcome
from providers.adapters import adapter_for
from providers.adapters.base import Endpoint
from providers.catalogue import all_vendors, endpoint_of

# Somebody is waiting for the answer.
PROBE_SECONDS = 10


async def validate_key(key: ProviderKey, origin: Origin = audit.NOWHERE) -> Outcome:
    """Show `key` to its vendor once, and remember and record what came of it.

    A vendor that does not answer says nothing about the key: the outcome is UNKNOWN and the key stays as it was.
    KeyUnreadable if the key does not open; AddressRefused if the outbound guard does not let it go to its address.
    """
    endpoint, secret_version = await in_db(_endpoint_of, key)
    outcome = await _asked(endpoint)
    await in_db(_remember, key, outcome, secret_version, origin)
    return outcome


def _endpoint_of(key: ProviderKey) -> tuple[Endpoint, int]:
    opened = open_for(user_id=key.user_id, vendor=key.vendor, key_id=key.pk)
    vendor = all_vendors().get(key.vendor)
    if not opened or vendor is None:  # deleted in the meantime, or of a vendor that is gone
        raise NotFound
    return endpoint_of(vendor, key=opened[0].secret, base_url=opened[0].base_url), opened[0].secret_version


async def _asked(endpoint: Endpoint) -> Outcome:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await adapter_for(endpoint.vendor.dialect).probe(endpoint)
    except AddressRefused:
        raise
    except AppError as failure:
        return Outcome.after(failure)
    except TimeoutError:
        return Outcome.UNKNOWN
    return Outcome.VALID


def _remember(key: ProviderKey, outcome: Outcome, secret_version: int, origin: Origin) -> None:
    report_outcome(key_id=key.pk, outcome=outcome, secret_version=secret_version)
    audit.key_validated(key.user_id, key.pk, key.vendor, outcome, origin)
