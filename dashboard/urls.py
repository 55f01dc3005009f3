"""The dashboard's addresses for people. The agents' are in `dashboard.asgi`."""

from django.contrib import admin
from django.urls import include, path

from dashboard.observability.health import healthz, metrics, readyz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("dashboard.api.browsers.urls")),
    path("", include("dashboard.web.urls")),
]
