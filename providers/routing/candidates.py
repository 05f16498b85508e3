"""The ways to reach a model for one reply, best first."""

from uuid import UUID

from chatplatform.kernel.db import in_db
from chatplatform.kernel.errors import NoKeyForVendor
from providers.catalogue import Candidate, endpoints_for
from providers.models import AIModel


async def candidates_for(*, user_id: UUID, model: AIModel) -> list[Candidate]:
    """The person's own keys by priority, then the operator's; NoKeyForVendor when there is neither."""
    candidates = await in_db(endpoints_for, user_id, model)
    if not candidates:
        raise NoKeyForVendor(vendor=model.vendor)
    return candidates
