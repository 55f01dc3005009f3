"""The roles and their permissions.

A role is granted on all services, as membership of the group of the same name, or on the services
of a team, as object permissions on the team (see `authority.py`). Groups are updated after every
migrate.
"""

from typing import Any, Final

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
POLICY_EDITOR: Final = "policy editor"
ADMIN: Final = "admin"

VIEW: Final = "access.view_services"
OPERATE: Final = "access.operate_services"
CHANGE_POLICIES: Final = "access.edit_policies"
ADMINISTER: Final = "access.administer_services"
# A person who sees a service sees its audit entries.
VIEW_AUDIT: Final = VIEW
SHARE_STATUS: Final = ADMINISTER

# What each role may do with a service.
PERMISSIONS: Final = {
    VIEWER: frozenset({VIEW}),
    OPERATOR: frozenset({VIEW, OPERATE}),
    POLICY_EDITOR: frozenset({VIEW, CHANGE_POLICIES}),
    ADMIN: frozenset({VIEW, OPERATE, CHANGE_POLICIES, ADMINISTER}),
}
# Pages of Django's admin that a role on all services opens.
_ADMIN_PAGES: Final = {
    VIEWER: (),
    OPERATOR: ("control.view_override",),
    POLICY_EDITOR: (
        "policies.add_breakerpolicy",
        "policies.change_breakerpolicy",
        "policies.view_breakerpolicy",
        "policies.view_policyversion",
    ),
    ADMIN: tuple(
        f"alerts.{act}_{model}"
        for model in ("channel", "route", "silence")
        for act in ("add", "change", "delete", "view")
    ),
}
ROLES: Final = tuple(PERMISSIONS)


def keep_roles(apps: Any, **kwargs: Any) -> None:
    """Create the groups and set their permissions (a receiver of post_migrate)."""
    for config in apps.get_app_configs():
        create_permissions(config, apps=apps, verbosity=0)
    for role, permissions in PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role)
        granted = Permission.objects.none()
        for name in (*permissions, *_ADMIN_PAGES[role]):
            app, codename = name.split(".")
            granted = granted | Permission.objects.filter(
                content_type__app_label=app, codename=codename
            )
        group.permissions.set(granted)
