from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard import converters  # noqa: F401 - registers <name:…>
from dashboard.pages import (
    acting,
    breaker,
    fleet_pages,
    install,
    service,
    status,
    styleguide,
    timeline,
    views,
    walls,
)

urlpatterns = [
    path("", walls.wall, name="wall"),
    path("favicon.ico", login_not_required(views.icon), name="icon"),
    path("manifest.webmanifest", install.manifest, name="manifest"),
    path("worker.js", install.worker, name="worker"),
    path("offline", install.offline, name="offline"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("login", login_not_required(views.Login.as_view()), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("map", fleet_pages.dependencies, name="map"),
    path("tv", fleet_pages.tv, name="tv"),
    path("timeline", timeline.timeline, name="timeline"),
    path("timeline/events", timeline.timeline_events, name="timeline-events"),
    path("timeline.<export:format>", timeline.timeline_export, name="timeline-export"),
    path("status/<str:token>", status.status, name="status"),
    path("status/<str:token>/now", status.status_now, name="status-now"),
    path("services/<name:service>", service.service, name="service"),
    path("services/<name:service>/breakers/<name:breaker>", breaker.breaker, name="breaker"),
    path("services/<name:service>/breakers/<name:breaker>/<slug:slug>", acting.one, name="act"),
    path("acts/<slug:slug>", acting.many, name="acts"),
    path("acts/<str:act_id>/undo", acting.undo, name="undo"),
    path("views", walls.keep, name="keep_view"),
    path("views/<int:pk>/forget", walls.forget, name="forget_view"),
]
