"""The dashboard's addresses for people. The agents' are in `dashboard.asgi`."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("dashboard.pages.urls")),
]
