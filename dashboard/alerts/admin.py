"""Channels, routes and silences in the admin."""

from django.contrib import admin

from dashboard.alerts.models import Channel, Route, Silence


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin):
    list_display = ("name", "kind", "enabled", "failing_since", "last_error")


@admin.register(Route)
class RouteAdmin(admin.ModelAdmin):
    list_display = ("name", "channel", "team", "service", "min_severity", "enabled")


@admin.register(Silence)
class SilenceAdmin(admin.ModelAdmin):
    list_display = ("service", "breaker", "reason", "by", "starts", "ends")
