"""`/api/v1/keys`: a person's keys for vendors. A key goes in here and never comes out again.

| method | address | takes | answers |
|---|---|---|---|
| GET | `/keys` | | all keys of the person |
| POST | `/keys` | `provider, api_key, label?, base_url?` | the key, 201 |
| GET | `/keys/:id` | | the key |
| PUT | `/keys/:id` | `api_key, base_url?` | the key; whoever moves it has to know it |
| DELETE | `/keys/:id` | | null |
| POST | `/keys/:id/validate` | | `outcome, is_valid, last_validated` |
"""

from typing import Any, cast
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.clients import origin_of
from accounts.limits import key_checks_by
from accounts.models import User
from chatplatform.kernel import outbound
from chatplatform.kernel.api import StrictSerializer
from chatplatform.kernel.errors import ValidationFailed
from chatplatform.kernel.secret import Secret
from chatplatform.kernel.words import words
from keyvault.models import Outcome, ProviderKey
from keyvault.origin import canonical
from keyvault.services import add_key, delete_key, key_for, keys_of, replace_key
from providers.catalogue import all_vendors, endpoint_of, vendors
from providers.probe import validate_key
from providers.vendors import Vendor


@extend_schema_field({"type": "string", "format": "password", "minLength": 8, "maxLength": 512})
class SecretField(serializers.CharField):
    """Text that is a `Secret` from here on. Nothing is trimmed: what is not a key is refused, not mended."""

    def __init__(self, **options: Any) -> None:
        super().__init__(write_only=True, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> Secret:  # type: ignore[override]
        return Secret(super().to_internal_value(data))


class NewKey(StrictSerializer):
    """A key to store."""

    provider = serializers.CharField(max_length=50)
    api_key = SecretField()
    label = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")  # type: ignore[assignment]
    base_url = serializers.CharField(
        max_length=500,
        required=False,
        help_text="Where the key is to be sent; the vendor's own address when left out.",
    )


class Replacement(StrictSerializer):
    """What takes the place of a stored key."""

    api_key = SecretField()
    base_url = serializers.CharField(max_length=500, required=False, help_text="Left out, the address stays.")


class KeyOut(serializers.ModelSerializer[ProviderKey]):
    """A stored key, as its owner sees it."""

    provider = serializers.CharField(source="vendor")
    key_hint = serializers.CharField(source="hint")

    class Meta:
        model = ProviderKey
        fields = (
            "id",
            "provider",
            "label",
            "base_url",
            "key_hint",
            "is_valid",
            "status",
            "last_validated",
            "last_used_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class VerdictOut(serializers.Serializer[Any]):
    """What the vendor said of a key, and what has become of it."""

    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in Outcome])
    is_valid = serializers.BooleanField()  # type: ignore[assignment]
    last_validated = serializers.DateTimeField(allow_null=True)


class Keys(APIView):
    """`/keys`."""

    @extend_schema(summary="List your keys", tags=["keys"], responses=KeyOut(many=True))
    def get(self, request: Request) -> Response:
        """All keys of the person, by vendor and label."""
        return Response(KeyOut(keys_of(cast(User, request.user)), many=True).data)

    @extend_schema(summary="Add a key", tags=["keys"], request=NewKey, responses={201: KeyOut})
    def post(self, request: Request) -> Response:
        """Store a key for a vendor. Several for one vendor need different labels."""
        body = NewKey.read(request)
        vendor = vendors().get(body["provider"])
        if vendor is None or vendor.built_in:
            problem = words("There is no such provider, or it takes no keys.", "没有这个服务商，或它不需要密钥。")
            raise ValidationFailed({"provider": [str(problem)]})
        key = add_key(
            user=cast(User, request.user),
            vendor=vendor.slug,
            api_key=body["api_key"],
            base_url=_address(vendor, body.get("base_url")),
            label=body["label"],
            origin=origin_of(request),
        )
        return Response(KeyOut(key).data, status=201)


class OneKey(APIView):
    """`/keys/:id`."""

    @extend_schema(summary="Show a key", tags=["keys"], responses=KeyOut)
    def get(self, request: Request, key_id: UUID) -> Response:
        """One key of the person's."""
        return Response(KeyOut(key_for(cast(User, request.user), key_id)).data)

    @extend_schema(summary="Replace a key", tags=["keys"], request=Replacement, responses=KeyOut)
    def put(self, request: Request, key_id: UUID) -> Response:
        """Put another secret in a key's place. Its address changes only together with the secret."""
        key = key_for(cast(User, request.user), key_id)
        body = Replacement.read(request)
        base_url = body.get("base_url")
        if base_url is not None:
            base_url = _address(all_vendors().get(key.vendor), base_url)
        key = replace_key(key=key, api_key=body["api_key"], base_url=base_url, origin=origin_of(request))
        return Response(KeyOut(key).data)

    @extend_schema(summary="Delete a key", tags=["keys"], responses={200: OpenApiTypes.NONE})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Destroy a key."""
        delete_key(key=key_for(cast(User, request.user), key_id), origin=origin_of(request))
        return Response(None)


class KeyValidation(APIView):
    """`/keys/:id/validate`."""

    @extend_schema(summary="Validate a key", tags=["keys"], request=None, responses=VerdictOut)
    def post(self, request: Request, key_id: UUID) -> Response:
        """Ask the vendor whether a key is good. `unknown`: the vendor did not say, and the key stays as it was."""
        user = cast(User, request.user)
        key = key_for(user, key_id)
        key_checks_by(user.pk).hit()
        outcome = outbound.run(validate_key(key, origin_of(request)))
        key.refresh_from_db(fields=["is_valid", "last_validated"])
        verdict = {"outcome": outcome, "is_valid": key.is_valid, "last_validated": key.last_validated}
        return Response(VerdictOut(verdict).data)


def _address(vendor: Vendor | None, base_url: str | None) -> str:
    """The address a person asks for, once the outbound guard finds nothing in it; the vendor's own when left out."""
    if base_url is None and vendor is not None and vendor.base_url:
        return vendor.base_url
    if not base_url:
        problem = words("This provider has no address of its own: enter one.", "该服务商没有默认地址，请填写。")
        raise ValidationFailed({"base_url": [str(problem)]})
    address = canonical(base_url).base_url
    if vendor is None or not endpoint_of(vendor, base_url=address).trusted:
        outbound.check_address(address)
    return address
