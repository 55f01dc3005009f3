"""The roles, as groups with permissions. Kept true after every migrate."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

VIEWER = "viewer"
OPERATOR = "operator"

OPERATE = "control.operate"
CHANGE_POLICIES = "policies.change_breakerpolicy"
VIEW_AUDIT = "access.view_auditentry"
# In no role's grants: administrators only.
SHARE_STATUS = "access.add_statuslink"

_GRANTS = {
    VIEWER: (
        "policies.view_breakerpolicy",
        "policies.view_policyversion",
        "control.view_override",
        "access.view_auditentry",
    ),
    OPERATOR: (
        OPERATE,
        CHANGE_POLICIES,
        "policies.add_breakerpolicy",
        "policies.view_breakerpolicy",
        "policies.view_policyversion",
        "control.view_override",
        "access.view_auditentry",
    ),
}
ROLES = tuple(_GRANTS)


def keep_roles(apps: Any, **kwargs: Any) -> None:
    """Make the groups and give them their permissions (a receiver of post_migrate)."""
    for config in apps.get_app_configs():
        create_permissions(config, apps=apps, verbosity=0)
    for role, grants in _GRANTS.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = Permission.objects.none()
        for grant in grants:
            app, codename = grant.split(".")
            wanted = wanted | Permission.objects.filter(
                content_type__app_label=app, codename=codename
            )
        group.permissions.set(wanted)
