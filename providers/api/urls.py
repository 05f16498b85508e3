"""Below `/api/v1/`."""

from django.urls import path

from providers.api.keys import Keys, KeyValidation, OneKey
from providers.api.models import Models, OneModel, Providers

urlpatterns = [
    path("models", Models.as_view()),
    path("models/providers", Providers.as_view()),
    path("models/<uuid:model_id>", OneModel.as_view()),
    path("keys", Keys.as_view()),
    path("keys/<uuid:key_id>", OneKey.as_view()),
    path("keys/<uuid:key_id>/validate", KeyValidation.as_view()),
]
