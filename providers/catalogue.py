"""Which vendors and models there are, and which of them a person may call.

A vendor comes from the table (`vendors.py`) or from an operator's `VendorSetting`. It is usable for a person when it
runs inside this process, when the person has a valid key for it, when the operator has one, or when it needs none and
has an address. Models of other vendors are not offered, so nobody can choose what cannot answer.

Everything here asks the database; async code comes through `kernel.db.in_db`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.models import User
from chatplatform.kernel.errors import ModelNotFound, ValidationFailed
from chatplatform.kernel.secret import Secret
from keyvault.origin import canonical
from keyvault.services import keys_of, open_for
from providers.adapters.base import Endpoint
from providers.completion import ModelInfo
from providers.models import AIModel, VendorSetting
from providers.profiles import profile_for
from providers.vendors import VENDORS, Vendor

# The window of a model of which nothing is known. Too large, and a long talk ends with the vendor's refusal; too
# small, and the model forgets: nearly every model in service reads this much.
UNKNOWN_WINDOW = 32_768
LONGEST_NAME = 200
# As long as the longest vendor and name together; it also keeps what an error repeats short.
LONGEST_REFERENCE = 255


@dataclass(frozen=True)
class Candidate:
    """One way to reach a model: where, and with whose key. `key_id` is None for the operator's."""

    endpoint: Endpoint
    key_id: UUID | None = None
    secret_version: int | None = None


def all_vendors() -> dict[str, Vendor]:
    """Every vendor of the table and of the operator's rows, switched off or not, each with the address in force."""
    return _in_force({row.slug: row for row in VendorSetting.objects.all()})


def vendors() -> dict[str, Vendor]:
    """The vendors that are not switched off, each with the address in force."""
    rows = {row.slug: row for row in VendorSetting.objects.all()}
    return {slug: vendor for slug, vendor in _in_force(rows).items() if slug not in rows or rows[slug].enabled}


def _in_force(rows: dict[str, VendorSetting]) -> dict[str, Vendor]:
    known = {slug: _as_set(vendor, rows.get(slug)) for slug, vendor in VENDORS.items()}
    return known | {slug: _added(row) for slug, row in rows.items() if slug not in VENDORS}


def _as_set(vendor: Vendor, row: VendorSetting | None) -> Vendor:
    if vendor.built_in:
        return vendor
    address = (row and row.base_url) or settings.VENDOR_ADDRESSES.get(vendor.slug) or vendor.base_url
    return replace(vendor, base_url=address, name=(row and row.display_name) or vendor.name)


def _added(row: VendorSetting) -> Vendor:
    return Vendor(
        slug=row.slug,
        name=row.display_name or row.slug,
        dialect=row.dialect,
        base_url=row.base_url,
        needs_key=row.needs_key,
    )


def operator_key(vendor: Vendor) -> Secret | None:
    """The operator's own key for a vendor, from the environment."""
    key: Secret | None = settings.VENDOR_KEYS.get(vendor.slug)
    return key


def open_to_all(vendor: Vendor) -> bool:
    """Whether people can call a vendor without a key of their own."""
    if vendor.built_in:
        return True
    return bool(vendor.base_url) and (operator_key(vendor) is not None or not vendor.needs_key)


def vendors_with_own_key(user: User) -> set[str]:
    """The slugs of the vendors for which a person has a valid key."""
    return set(keys_of(user).filter(is_valid=True).values_list("vendor", flat=True).order_by())


def offered(user: User, *, vendor: str | None = None) -> QuerySet[AIModel]:
    """The models a person may call, or those of one vendor, in the catalogue's order."""
    own = vendors_with_own_key(user)
    usable = [slug for slug, each in vendors().items() if slug in own or open_to_all(each)]
    return AIModel.objects.filter(is_active=True, vendor__in=[slug for slug in usable if vendor in {None, slug}])


def model_for(user: User, ref: str | UUID | None) -> AIModel:
    """The model that `ref` names: an id, `vendor/name` or a bare name; none: the default. ModelNotFound if it is not
    offered to this person."""
    found = _named(offered(user), ref) if ref else default_model(user)
    if found is None:
        raise ModelNotFound(model=str(ref)[:LONGEST_REFERENCE])
    return found


def _named(rows: QuerySet[AIModel], ref: str | UUID) -> AIModel | None:
    if isinstance(ref, UUID):
        return rows.filter(pk=ref).first()
    if len(ref) > LONGEST_REFERENCE or "\0" in ref:
        return None
    try:
        return rows.filter(pk=UUID(ref)).first()
    except ValueError:
        pass
    vendor, _, name = ref.partition("/")
    # The name itself may hold slashes, so that `openai/gpt-4o` is a model of one vendor and a bare name at another.
    return rows.filter(vendor=vendor, name=name).first() or rows.filter(name=ref).first()


def default_model(user: User) -> AIModel:
    """The model that answers when none was chosen: the row marked as default, else the one that DEFAULT_MODEL names,
    else the first that is offered, the built-in one last."""
    rows = offered(user)
    built_in = Q(vendor__in=[slug for slug, vendor in VENDORS.items() if vendor.built_in])
    found = (
        rows.filter(is_default=True).first()
        or (_named(rows, settings.DEFAULT_MODEL) if settings.DEFAULT_MODEL else None)
        or rows.exclude(built_in).first()
        or rows.filter(vendor="scripted", name="echo").first()
    )
    if found is None:
        raise ModelNotFound
    return found


def endpoint_of(vendor: Vendor, *, key: Secret | None = None, base_url: str = "") -> Endpoint:
    """The endpoint for a key and the address stored with it; without an address, the vendor's own.

    An address is trusted when an operator or our table named it, whoever stored it.
    """
    return Endpoint(vendor, base_url or vendor.base_url, key, trusted=not base_url or _known_address(vendor, base_url))


def _known_address(vendor: Vendor, base_url: str) -> bool:
    table = VENDORS.get(vendor.slug)
    known = (vendor.base_url, settings.VENDOR_ADDRESSES.get(vendor.slug), table and table.base_url)
    return any(_same_place(base_url, address) for address in known if address)


def _same_place(one: str, other: str) -> bool:
    try:
        return canonical(one).origin == canonical(other).origin
    except ValidationFailed:
        return False


def operator_endpoint(vendor: Vendor) -> Endpoint | None:
    """How everybody reaches a vendor; None if nobody can without a key of their own."""
    return endpoint_of(vendor, key=operator_key(vendor)) if open_to_all(vendor) else None


def endpoints_for(user_id: UUID, model: AIModel) -> list[Candidate]:
    """The ways in which a person can reach a model, in the order in which they are tried: their own keys by priority,
    then the operator's. The operator's key goes to the operator's address only."""
    vendor = vendors().get(model.vendor)
    if vendor is None:
        raise ModelNotFound(model=model.qualified_name)
    own = [] if vendor.built_in else open_for(user_id=user_id, vendor=vendor.slug)
    candidates = [
        Candidate(endpoint_of(vendor, key=key.secret, base_url=key.base_url), key.key_id, key.secret_version)
        for key in own
    ]
    everybodys = operator_endpoint(vendor)
    return [*candidates, Candidate(everybodys)] if everybodys else candidates


def add_missing(vendor: str, models: Iterable[ModelInfo], *, first_position: int, active: bool = True) -> list[AIModel]:
    """Add those of `models` that the catalogue lacks, and return them. A row that is there is never touched, so what
    an operator changed stays. A name longer than any of ours is left out."""
    there = set(AIModel.objects.filter(vendor=vendor).values_list("name", flat=True))
    missing = [
        _row(vendor, info, position=first_position + number, active=active)
        for number, info in enumerate(models)
        if info.name not in there and len(info.name) <= LONGEST_NAME
    ]
    # Two processes may start together: whoever comes second adds nothing.
    return AIModel.objects.bulk_create(missing, ignore_conflicts=True)


def _row(vendor: str, info: ModelInfo, *, position: int, active: bool) -> AIModel:
    capabilities = info.capabilities or (("reasoning",) if profile_for(info.name).reasons else ())
    return AIModel(
        vendor=vendor,
        name=info.name,
        display_name=(info.display_name or info.name)[:LONGEST_NAME],
        context_length=info.context_length or UNKNOWN_WINDOW,
        max_output=info.max_output,
        input_price=None if info.input_price is None else Decimal(info.input_price),
        output_price=None if info.output_price is None else Decimal(info.output_price),
        currency=info.currency,
        capabilities=list(capabilities),
        position=position,
        is_active=active,
    )
