from django.urls import path

from dashboard.api.browsers import chart_context, moments, views
from dashboard.common import url_converters  # noqa: F401 - registers <name:…>

urlpatterns = [
    path("fleet", views.fleet, name="fleet"),
    path("history", views.history, name="fleet-history"),
    path("sums", views.sums, name="fleet-sums"),
    path("transitions", views.transitions, name="transitions"),
    path("services/<name:service>/history", views.history, name="service-history"),
    path("moment", moments.moment, name="moment"),
    path("moments", moments.moments, name="moments"),
    path("services/<name:service>/markers", chart_context.markers, name="service-markers"),
    path("services/<name:service>/sums", views.sums, name="service-sums"),
    path("services/<name:service>/breakers/<name:breaker>/history", views.history, name="history"),
    path("services/<name:service>/breakers/<name:breaker>/strips", views.strips, name="strips"),
    path(
        "services/<name:service>/breakers/<name:breaker>/context",
        chart_context.context,
        name="chart-context",
    ),
]
