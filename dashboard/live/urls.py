from django.urls import path

from dashboard import converters  # noqa: F401 - registers <name:…>
from dashboard.live import views

urlpatterns = [
    path("fleet", views.fleet, name="fleet"),
    path("services/<name:service>/breakers/<name:breaker>/history", views.history, name="history"),
]
