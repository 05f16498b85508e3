"""The HTTP map: one include per app."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from chatplatform.kernel import health
from chatplatform.page import page

urlpatterns = [
    path("", page),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("providers.api.urls")),
    path("api/v1/", include("conversations.api.urls")),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    # Without OPTIONS, which has no template and would be an error of ours.
    path(
        "api/v1/docs",
        SpectacularSwaggerSplitView.as_view(url_name="schema", http_method_names=["get", "head"]),
        name="docs",
    ),
    path("api/v1/auth/browse/", include("rest_framework.urls")),
    path("health", health.live),
    path("health/ready", health.ready),
    path("admin/", admin.site.urls),
]

handler400 = "chatplatform.kernel.api.bad_request"
handler403 = "chatplatform.kernel.api.forbidden"
handler404 = "chatplatform.kernel.api.not_found"
handler500 = "chatplatform.kernel.api.server_error"
