"""Reading the ledger. Amounts of different currencies are never added up."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import F, QuerySet, Sum

from providers.models import UsageRecord

LAST_DECIMAL = Decimal("1e-10")


@dataclass(frozen=True)
class Total:
    """A sum over calls; calls whose price is not known add their tokens and no money."""

    tokens: int
    cost: Decimal


def held(user_id: UUID) -> dict[str, Total]:
    """By currency, what a person's calls under way may cost at most."""
    rows = UsageRecord.objects.reserved().filter(user_id=user_id)
    return _by_currency(rows.annotate(tokens=F("reserved_tokens"), amount=F("reserved_cost")))


def spent(user_id: UUID, since: datetime) -> dict[str, Total]:
    """By currency, what a person's calls begun since then did cost."""
    rows = UsageRecord.objects.filter(user_id=user_id, created_at__gte=since, state=UsageRecord.State.SETTLED)
    return _by_currency(rows.annotate(tokens=F("input_tokens") + F("output_tokens"), amount=F("cost")))


def _by_currency(rows: QuerySet[UsageRecord]) -> dict[str, Total]:
    sums = rows.values("currency").annotate(all_tokens=Sum("tokens"), total=Sum("amount"))
    # SQLite adds in floating point; what that adds by itself is beyond the last decimal.
    return {
        row["currency"]: Total(int(row["all_tokens"]), (row["total"] or Decimal(0)).quantize(LAST_DECIMAL))
        for row in sums
    }
