from django.urls import path

from dashboard.live import views

urlpatterns = [
    path("fleet", views.fleet, name="fleet"),
    path("services/<str:service>/breakers/<path:breaker>/history", views.history, name="history"),
]
