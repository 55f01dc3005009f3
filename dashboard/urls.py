"""The dashboard's addresses for people. The agents' are in `dashboard.asgi`."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from dashboard.api.operators.github_hook import github_hook
from dashboard.observability.health import healthz, metrics, readyz

handler400 = "dashboard.web.error_pages.bad_request"
handler403 = "dashboard.web.error_pages.forbidden"
handler404 = "dashboard.web.error_pages.not_found"

to_login = RedirectView.as_view(pattern_name="login", query_string=True)
urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    # One page to log in: Django's admin and allauth's own address lead there.
    path("admin/login/", login_not_required(to_login)),
    path("account/login/", login_not_required(to_login)),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("hooks/github", github_hook, name="github-hook"),
    path("api/v1/", include("dashboard.api.browsers.urls")),
    path("api/v1/", include("dashboard.api.operators.api")),
    path("", include("dashboard.web.urls")),
]
