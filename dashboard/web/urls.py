from allauth.account.views import LoginView
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard.common import url_converters  # noqa: F401 - registers <name:…>
from dashboard.web import (
    account,
    action_views,
    alert_rules,
    breaker,
    incidents,
    installable_app,
    login,
    map,
    service,
    status,
    styleguide,
    timeline,
    tv,
    wall,
)

urlpatterns = [
    path("", wall.wall, name="wall"),
    path("favicon.ico", login_not_required(login.icon), name="icon"),
    path("manifest.webmanifest", installable_app.manifest, name="manifest"),
    path("worker.js", installable_app.worker, name="worker"),
    path("offline", installable_app.offline, name="offline"),
    path("styleguide", styleguide.styleguide, name="styleguide"),
    path("login", LoginView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("first-admin/<str:token>", account.first_admin, name="first_admin"),
    path("sessions", account.sessions, name="sessions"),
    path("sessions/revoke", account.revoke_sessions, name="revoke_sessions"),
    path("sessions/<int:pk>/revoke", account.revoke_session, name="revoke_session"),
    path("tokens", account.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke", account.revoke_token, name="revoke_token"),
    path("map", map.dependencies, name="map"),
    path("tv", tv.tv, name="tv"),
    path("timeline", timeline.timeline, name="timeline"),
    path("timeline/events", timeline.timeline_events, name="timeline-events"),
    path("timeline.<export:format>", timeline.timeline_export, name="timeline-export"),
    path("status/<str:token>", status.status, name="status"),
    path("status/<str:token>/now", status.status_now, name="status-now"),
    path("services/<name:service>", service.service, name="service"),
    path("services/<name:service>/breakers/<name:breaker>", breaker.breaker, name="breaker"),
    path(
        "services/<name:service>/breakers/<name:breaker>/<slug:slug>", action_views.one, name="act"
    ),
    path("acts/<slug:slug>", action_views.many, name="acts"),
    path("acts/<str:act_id>/undo", action_views.undo, name="undo"),
    path("incidents", incidents.incidents, name="incidents"),
    path("incidents/open.json", incidents.open_incidents, name="open-incidents"),
    path("incidents/<int:pk>", incidents.incident, name="incident"),
    path("incidents/<int:pk>.md", incidents.incident_markdown, name="incident-markdown"),
    path("incidents/<int:pk>/<slug:act>", incidents.act_on_incident, name="incident-act"),
    path("alerts", alert_rules.rules, name="rules"),
    path("alerts/new", alert_rules.rule, name="rule-new"),
    path("alerts/<int:pk>", alert_rules.rule, name="rule"),
    path("alerts/channels/<int:pk>/test", alert_rules.test_channel, name="channel-test"),
    path("views", wall.keep, name="keep_view"),
    path("views/<int:pk>/forget", wall.forget, name="forget_view"),
]
