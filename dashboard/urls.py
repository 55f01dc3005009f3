"""The dashboard's addresses for people. The agents' are in `dashboard.asgi`."""

from django.contrib import admin
from django.urls import include, path

from dashboard.observability.health import healthz, metrics, readyz

handler400 = "dashboard.web.error_pages.bad_request"
handler403 = "dashboard.web.error_pages.forbidden"
handler404 = "dashboard.web.error_pages.not_found"

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("dashboard.api.browsers.urls")),
    path("api/v1/", include("dashboard.api.operators.api")),
    path("", include("dashboard.web.urls")),
]
