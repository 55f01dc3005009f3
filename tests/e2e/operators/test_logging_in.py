"""Journeys of logging in: a code of an authenticator app, a passkey, single sign-on; and a session
that is revoked while its wall is open."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page, expect

from tests.e2e.dashboard_server import Site
from tests.e2e.operators.conftest import BY_PASSKEY, BY_TOTP, REVOKER

LONG_MS = 30_000
_ATTEMPTS = 4


@pytest.fixture
def visitor(browser: Browser, company: Site) -> Iterator[Page]:
    """A window of somebody who has not logged in."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(LONG_MS)
    page.goto(f"{company.url}/login")
    yield page
    page.context.close()


def give_password(page: Page, site: Site, person: str) -> None:
    page.goto(f"{site.url}/login")
    page.get_by_label("Name").fill(person)
    page.get_by_label("Password").fill(site.passwords[person])
    page.get_by_role("button", name="Log in").click()


def expect_the_wall(page: Page, site: Site, person: str) -> None:
    expect(page).to_have_url(f"{site.url}/", timeout=LONG_MS)
    expect(page.locator(".who")).to_have_text(person)


def log_out(page: Page) -> None:
    page.locator(".account summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"), timeout=LONG_MS)


def open_factors(page: Page) -> None:
    """From the wall to one's second factors, as a person goes."""
    page.locator(".account summary").click()
    page.get_by_role("link", name="Sessions, tokens, passkeys").click()
    page.get_by_role("link", name="Second factors and passkeys").click()


def confirm(page: Page, site: Site, person: str) -> None:
    """Give the password again, which a change of the factors demands."""
    expect(page).to_have_url(re.compile("/account/reauthenticate/"), timeout=LONG_MS)
    page.get_by_label("Password").fill(site.passwords[person])
    page.get_by_role("button", name="Confirm").click()


def give_code(page: Page, secret: str, button: str, until: str) -> None:
    """Fill in the code of this moment. A code may expire on the way, and serves once: then the next
    one is given, half a minute later."""
    refused = ""
    for _ in range(_ATTEMPTS):
        code = refused
        while code == refused:
            counter = next(totp.yield_hotp_counters_from_time())
            code = totp.format_hotp_value(totp.hotp_value(secret, counter))
            if code == refused:
                page.wait_for_timeout(1000)
        page.locator("input[name=code]").first.fill(code)
        page.get_by_role("button", name=button).click()
        page.wait_for_load_state()
        if until in page.url and "authenticate" not in page.url:
            return
        refused = code
    pytest.fail(f"no code was accepted at {page.url}")


def test_totp_is_enrolled_and_asked_for_at_the_next_log_in(visitor: Page, company: Site) -> None:
    give_password(visitor, company, BY_TOTP)
    expect_the_wall(visitor, company, BY_TOTP)
    open_factors(visitor)
    visitor.locator("a[href*='totp/activate']").click()
    confirm(visitor, company, BY_TOTP)
    secret = visitor.locator("#authenticator_secret").input_value()
    give_code(visitor, secret, "Activate", "/account/2fa/recovery-codes/")
    log_out(visitor)
    give_password(visitor, company, BY_TOTP)
    expect(visitor).to_have_url(re.compile("/account/2fa/authenticate/"), timeout=LONG_MS)
    # The password alone opens nothing.
    assert visitor.request.get(f"{company.url}/sessions", max_redirects=0).status == 302
    give_code(visitor, secret, "Sign In", f"{company.url}/")
    expect_the_wall(visitor, company, BY_TOTP)


def test_a_passkey_is_enrolled_and_logs_in_without_a_password(visitor: Page, company: Site) -> None:
    devices = visitor.context.new_cdp_session(visitor)
    devices.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    give_password(visitor, company, BY_PASSKEY)
    expect_the_wall(visitor, company, BY_PASSKEY)
    open_factors(visitor)
    visitor.locator("a[href*='webauthn/add']").click()
    confirm(visitor, company, BY_PASSKEY)
    visitor.locator("input[name=name]").fill("a key of the test")
    visitor.locator("input[name=passwordless]").check()
    visitor.locator("#mfa_webauthn_add").click()
    expect(visitor).to_have_url(re.compile("/account/2fa/(webauthn|recovery)"), timeout=LONG_MS)
    expect(visitor).not_to_have_url(re.compile("webauthn/add"), timeout=LONG_MS)
    log_out(visitor)
    visitor.get_by_role("button", name="Use a passkey").click()
    expect_the_wall(visitor, company, BY_PASSKEY)


def test_a_passkey_is_asked_for_once_its_script_has_run(visitor: Page, company: Site) -> None:
    visitor.route("**/webauthn.js", lambda route: route.abort())
    visitor.route("**/passkeys.js", lambda route: route.abort())
    visitor.goto(f"{company.url}/login")
    # A click would send a form without a passkey.
    expect(visitor.get_by_role("button", name="Use a passkey")).to_be_disabled()


def test_a_passkey_that_fails_says_why(visitor: Page, company: Site) -> None:
    visitor.route("**/account/2fa/webauthn/login/", lambda route: route.fulfill(status=503))
    visitor.get_by_role("button", name="Use a passkey").click()
    expect(visitor.locator("#passkey-error")).to_contain_text("No passkey was used. Unable")


def test_single_sign_on_logs_in_with_the_role_of_its_group(visitor: Page, company: Site) -> None:
    visitor.get_by_role("button", name="Continue with the company").click()
    visitor.locator("input[name=sub]").first.fill("olga")
    visitor.get_by_role("button", name=re.compile("Authorize")).first.click()
    expect_the_wall(visitor, company, "olga")
    expect(visitor.locator(".account .menu-note").first).to_have_text("Operator")


def test_a_wall_whose_session_is_revoked_asks_to_log_in(browser: Browser, company: Site) -> None:
    away, here = (browser.new_context().new_page() for _ in range(2))
    for page in (away, here):
        page.set_default_timeout(LONG_MS)
        give_password(page, company, REVOKER)
        expect_the_wall(page, company, REVOKER)
    expect(away.locator(".row.breaker").first).to_be_visible(timeout=LONG_MS)
    here.goto(f"{company.url}/sessions")
    other = here.locator("tbody tr", has=here.get_by_role("button", name="Revoke"))
    other.get_by_role("button", name="Revoke").click()
    expect(other).to_have_count(0)
    # Nobody touches the other window.
    expect(away).to_have_url(re.compile("/login"), timeout=LONG_MS)
    here.goto(company.url)
    expect_the_wall(here, company, REVOKER)
    for page in (away, here):
        page.context.close()
