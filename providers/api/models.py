"""`/api/v1/models`: what can be talked to, and who sells it."""

from typing import Any, cast
from uuid import UUID

from django.db.models import Count, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from chatplatform.kernel.errors import ModelNotFound
from providers.catalogue import default_model, model_for, offered, open_to_all, vendors, vendors_with_own_key
from providers.models import AIModel
from providers.vendors import Vendor


class ModelOut(serializers.ModelSerializer[AIModel]):
    """A model. Prices are per million tokens, as decimal strings; null where they are not known."""

    provider = serializers.CharField(source="vendor")
    qualified_name = serializers.CharField(help_text="`provider/name`: what may be given wherever a model is named.")
    capabilities = serializers.ListField(child=serializers.CharField())
    is_default = serializers.SerializerMethodField(help_text="Whether it answers you when no model is named.")

    class Meta:
        model = AIModel
        fields = (
            "id",
            "provider",
            "name",
            "display_name",
            "qualified_name",
            "context_length",
            "max_output",
            "input_price",
            "output_price",
            "currency",
            "capabilities",
            "is_default",
        )

    def get_is_default(self, model: AIModel) -> bool:
        return bool(model.pk == self.context["default"])


class ProviderOut(serializers.Serializer[Any]):
    """A vendor of models."""

    slug = serializers.CharField()
    name = serializers.CharField(help_text="In the language of the request.")
    needs_key = serializers.BooleanField()
    available = serializers.ChoiceField(
        choices=("own", "operator", "none"),
        help_text="Through a key of yours, through the operator of this server, or not until you add a key.",
    )
    models = serializers.IntegerField(help_text="How many of its models the catalogue holds.")


def _default_for(user: User) -> UUID | None:
    try:
        return default_model(user).pk
    except ModelNotFound:
        return None


class Models(ListAPIView[AIModel]):
    """The models you may call, in the order in which they are recommended."""

    serializer_class = ModelOut

    def get_queryset(self) -> QuerySet[AIModel]:
        return offered(cast(User, self.request.user), vendor=self.request.query_params.get("provider") or None)

    @extend_schema(
        summary="List the models you may call",
        tags=["models"],
        parameters=[OpenApiParameter("provider", str, description="Only this vendor's.")],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        shown = ModelOut(page, many=True, context={"default": _default_for(cast(User, request.user))})
        return self.get_paginated_response(shown.data)


class OneModel(APIView):
    """One of the models you may call."""

    @extend_schema(summary="Show a model", tags=["models"], responses=ModelOut)
    def get(self, request: Request, model_id: UUID) -> Response:
        model = model_for(cast(User, request.user), model_id)
        return Response(ModelOut(model, context={"default": _default_for(cast(User, request.user))}).data)


class Providers(APIView):
    """Every vendor this server knows, and how you would reach it."""

    @extend_schema(summary="List the vendors", tags=["models"], responses=ProviderOut(many=True))
    def get(self, request: Request) -> Response:
        own = vendors_with_own_key(cast(User, request.user))
        counted = AIModel.objects.filter(is_active=True).order_by().values_list("vendor").annotate(Count("pk"))
        models = dict(counted)
        return Response([_provider_out(vendor, own, models.get(slug, 0)) for slug, vendor in vendors().items()])


def _provider_out(vendor: Vendor, own: set[str], models: int) -> dict[str, Any]:
    available = "own" if vendor.slug in own else "operator" if open_to_all(vendor) else "none"
    return {
        "slug": vendor.slug,
        "name": str(vendor.name),
        "needs_key": vendor.needs_key,
        "available": available,
        "models": models,
    }
