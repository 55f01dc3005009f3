"""How django-allauth is used: no sign-up, and roles from the groups of an OpenID provider."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.http import HttpRequest

from dashboard.access.models import Person
from dashboard.access.people import set_roles_of_groups
from dashboard.common.client_address import client_address


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are created by administrators, or by the OpenID provider."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Creates accounts for people that the provider authenticates, and sets their roles at each
    login from SWITCHGEAR_OIDC_ROLES."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        if sociallogin.is_existing and isinstance(sociallogin.user, Person):
            set_roles_of_groups(sociallogin.user, groups_of(sociallogin))

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> Any:
        person = super().save_user(request, sociallogin, form)
        set_roles_of_groups(person, groups_of(sociallogin))
        return person


def groups_of(sociallogin: SocialLogin) -> list[str]:
    """The groups that the provider names, in the userinfo or in the ID token."""
    data = sociallogin.account.extra_data or {}
    for source in (data.get("userinfo"), data.get("id_token"), data):
        found = source.get(settings.OIDC_GROUPS) if isinstance(source, dict) else None
        if isinstance(found, str):
            return [found]
        if isinstance(found, list):
            return [str(each) for each in found]
    return []
