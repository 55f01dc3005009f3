from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard import converters  # noqa: F401 - registers <name:…>
from dashboard.pages import views

urlpatterns = [
    path("", views.wall, name="wall"),
    path("favicon.ico", login_not_required(views.icon), name="icon"),
    path("login", login_not_required(views.Login.as_view()), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("services/<name:service>/breakers/<name:breaker>", views.breaker, name="breaker"),
    path("services/<name:service>/breakers/<name:breaker>/<slug:slug>", views.act, name="act"),
]
