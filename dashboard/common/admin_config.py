"""The admin, with the site that holds its forms to optimistic locking."""

from django.contrib.admin.apps import AdminConfig


class LockingAdminConfig(AdminConfig):
    """Django's admin on `LockingSite`."""

    default_site = "dashboard.common.admin_site.LockingSite"
