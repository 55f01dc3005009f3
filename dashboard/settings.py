"""Every setting of the dashboard. All of them come from SWITCHGEAR_* variables, and each may
instead name a file that holds its value (SWITCHGEAR_SECRET_KEY_FILE), for secrets.

The defaults are the embedded shape: SQLite, an in-process bus, tasks run by an in-process beat.
"""

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from dashboard.common.environment import Variables, origin_of
from dashboard.observability import logs

BASE_DIR = Path(__file__).resolve().parent.parent
VARIABLES = env = Variables()

DEBUG = env.flag("DEBUG")
SECRET_KEY = env.text("SECRET_KEY", "a key for development only" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SWITCHGEAR_SECRET_KEY is not set: give it 50 random characters, or name a file that holds "
        "them in SWITCHGEAR_SECRET_KEY_FILE (SWITCHGEAR_DEBUG=1 goes without)"
    )
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.names("TRUSTED_ORIGINS", right="https:// http://")
HTTPS = env.flag("HTTPS")
DEMO_URL = env.text("DEMO_URL")
PUBLIC_URL = env.text("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
ALERTS_ALLOW_PRIVATE = env.flag("ALERTS_ALLOW_PRIVATE")
# The secret that GitHub signs its webhooks with; without it they are refused.
GITHUB_WEBHOOK_SECRET = env.text("GITHUB_WEBHOOK_SECRET")

INSTALLED_APPS = [
    "dashboard.common.admin_config.LockingAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Templates of allauth use its filters.
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "guardian",
    "dashboard",
    "dashboard.access",
    "dashboard.fleet",
    "dashboard.history",
    "dashboard.control",
    "dashboard.policies",
    "dashboard.alerts",
    "dashboard.api.agents",
    "dashboard.api.browsers",
    "dashboard.api.operators",
    "dashboard.web",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # After WhiteNoise, which has compressed its files already. Django pads what it compresses, so
    # that the length of an answer tells nothing of the secrets in it.
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "dashboard.web.viewer_zone.ViewerZoneMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.access.request_origin.RequestOriginMiddleware",
    "dashboard.access.session_limits.SessionLimitsMiddleware",
    "dashboard.access.visibility.VisibilityMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "dashboard.web.private_pages.PrivatePagesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
CSRF_FAILURE_VIEW = "dashboard.web.error_pages.csrf_failure"
ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.web.context_processors.shell",
            ],
        },
    }
]

DATABASES: dict[str, Any] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
}
# The fleet worker and the agents' API query often and outside of requests: keep connections, and
# replace those that a restart of the database has left dead.
DATABASES["default"].update({"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True})
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Writers queue up instead of failing; readers never wait for them.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_REDIS = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
BUS_URL = env.address("BUS_URL", "memory://", ("memory", *_REDIS))
# Each partition of the log takes no more than this; then agents wait and keep their reports.
LOG_CAPACITY_MB = env.whole("LOG_CAPACITY_MB", 256, 1, 1_000_000, "megabytes")
# One process that does everything, or one for each role.
EMBEDDED = BUS_URL.startswith("memory://")
BROKER_URL = env.text("BROKER_URL", BUS_URL)
if not EMBEDDED:
    # Celery and Channels know no cluster: beside one, they need a Redis of their own.
    if "+cluster://" in BROKER_URL:
        raise ImproperlyConfigured(
            "SWITCHGEAR_BUS_URL names a cluster; name a single Redis for tasks and browsers' "
            "messages in SWITCHGEAR_BROKER_URL"
        )
    CELERY_BROKER_URL = BROKER_URL
    CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "expire overrides": {"task": "dashboard.control.tasks.expire_overrides", "schedule": 1.0},
    "roll up history": {"task": "dashboard.history.tasks.roll_up", "schedule": 30.0},
    "make partitions": {"task": "dashboard.history.tasks.make_partitions", "schedule": 600.0},
    "prune history": {"task": "dashboard.history.tasks.prune", "schedule": 600.0},
    "sweep the fleet": {"task": "dashboard.fleet.tasks.sweep_fleet", "schedule": 3600.0},
    "run what-ifs": {"task": "dashboard.policies.tasks.run_replays", "schedule": 1.0},
    "apply policies": {"task": "dashboard.policies.tasks.apply_schedule", "schedule": 1.0},
    "judge rollouts": {"task": "dashboard.policies.tasks.judge_rollouts", "schedule": 2.0},
    "sweep policies": {"task": "dashboard.policies.tasks.sweep_declared", "schedule": 3600.0},
    "sweep acknowledgements": {"task": "dashboard.control.tasks.sweep_acks", "schedule": 3600.0},
    "sweep idempotency keys": {
        "task": "dashboard.api.operators.tasks.sweep_idempotency_keys",
        "schedule": 3600.0,
    },
    "deliver alerts": {"task": "dashboard.alerts.tasks.deliver_messages", "schedule": 1.0},
    "sweep alerts": {"task": "dashboard.alerts.tasks.sweep_messages", "schedule": 3600.0},
    "stamp the audit trail": {"task": "dashboard.access.tasks.stamp_audit_head", "schedule": 60.0},
    "sweep sessions": {"task": "dashboard.access.tasks.sweep_sessions", "schedule": 3600.0},
}
# A harmless override of each service once a day, to see who would obey.
if env.flag("DAILY_DRILL"):
    CELERY_BEAT_SCHEDULE["drill the kill path"] = {
        "task": "dashboard.control.tasks.drill_kill_path",
        "schedule": 3600.0,
    }
# A worker that was down runs each once when it is back, not as often as it was due.
for _task in CELERY_BEAT_SCHEDULE.values():
    _task["options"] = {"expires": _task["schedule"]}
CHANNEL_LAYERS: dict[str, Any] = {
    "default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    if EMBEDDED
    else {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        # It waits for messages for longer than the client would by itself.
        "CONFIG": {"hosts": [{"address": BROKER_URL, "socket_timeout": None}]},
    }
}

# How people log in (django-allauth).
ACCOUNT_ADAPTER = "dashboard.access.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_REDIRECT_URL = "login"
# How long ago the password or a second factor was given, at most, before a fleet-wide act.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
# By account (key) and by address (ip). Views that are not async share one thread, which bounds the
# number of passwords that are hashed at once.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
SOCIALACCOUNT_ADAPTER = "dashboard.access.adapters.SocialAccountAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
USERSESSIONS_TRACK_ACTIVITY = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Switchgear"
# Browsers allow passkeys without HTTPS on localhost only.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS
SESSION_IDLE_S = env.number("SESSION_IDLE", 43_200.0, 60.0, 31_536_000.0, "seconds")
SESSION_MAX_S = env.number("SESSION_MAX", 604_800.0, 60.0, 31_536_000.0, "seconds")

# Single sign-on with an OpenID provider. SWITCHGEAR_OIDC_ROLES maps its groups to roles:
# `ops=operator,pay=operator@payments` (on all services, or on those of a team).
OIDC_URL = env.text("OIDC_URL")
OIDC_GROUPS = env.text("OIDC_GROUPS", "groups")
# Where browsers are sent to log in: the provider's own address, unless others are named.
OIDC_ORIGINS = env.names("OIDC_ORIGINS", origin_of(OIDC_URL), right="https:// http://")
OIDC_ROLES = env.names("OIDC_ROLES")
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": env.text("OIDC_NAME", "single sign-on"),
                "client_id": env.text("OIDC_CLIENT_ID"),
                "secret": env.text("OIDC_SECRET"),
                "settings": {"server_url": OIDC_URL, "scope": ["openid", "profile", "email"]},
            }
        ]
        if OIDC_URL
        else [],
    }
}

# Rate limits and idempotency are counted here: in one process, or shared by all through Redis.
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
    if EMBEDDED
    else {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": BROKER_URL,
        "KEY_PREFIX": "switchgear",
    }
}

# How many proxies in front append to X-Forwarded-For; the client's address is read from it.
PROXIES = env.whole("PROXIES", 0, 0, 10)
# The REST API: requests a minute of one person or token, and of one address without one.
API_RATE = env.whole("API_RATE", 600, 1, 1_000_000, "requests a minute")
API_ADDRESS_RATE = env.whole("API_ADDRESS_RATE", 60, 1, 1_000_000, "requests a minute")

# How the fleet is watched.
REPORT_INTERVAL_S = env.number("REPORT_INTERVAL", 1.0, 0.25, 300.0, "seconds")
TICK_S = env.number("TICK", 0.25, 0.05, 5.0, "seconds")
CHECKPOINT_S = env.number("CHECKPOINT", 1.0, 0.1, 10.0, "seconds")
STALE_AFTER_INTERVALS = 3
# So long at most a web process that ends waits for its sockets to have heard so.
DRAIN_S = env.number("DRAIN", 5.0, 0.0, 300.0, "seconds")
OVERRIDE_MAX_S = 7 * 86_400.0
# Above this reach an act needs the approval of a second person; 0 needs none.
APPROVAL_INSTANCES = env.whole("APPROVAL_INSTANCES", 0, 0, 1_000_000, "instances")
APPROVAL_SERVICES = env.whole("APPROVAL_SERVICES", 0, 0, 1_000_000, "services")

AUTH_USER_MODEL = "access.Person"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# Nobody is let in without an account.
ANONYMOUS_USER_NAME = None
GUARDIAN_MONKEY_PATCH_USER = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "wall"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "dashboard.web.static_finders.PlotlyFinder",
]
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "dashboard.web.static_storage.ModuleAwareManifest"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "connect-src": [SELF],
        # plotly.min.js inserts one style element for its maps, which are not used here. Naming its
        # hash keeps the console clean without allowing any other inline style.
        "style-src": [SELF, "'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # Browsers apply it to redirects after a form too, such as the one to single sign-on.
        "form-action": [SELF, *OIDC_ORIGINS],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# Messages wait in the session: no cookie of their own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if HTTPS:
    # Browsers accept these names only for cookies of this very host, sent over HTTPS.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# Machines ask for these without HTTPS, from inside.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
# Whether all hosts of the domain speak HTTPS is not this host's to say.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# What Switchgear tells of itself.
LOG_FORMAT = env.choice("LOG_FORMAT", "text" if EMBEDDED else "json", logs.FORMATS)
LOGGING = logs.configuration(
    LOG_FORMAT,
    env.choice("LOG_LEVEL", "INFO", logs.LEVELS),
    # The audit trail as JSON lines: to a file, and to syslog (host:port, or a socket's path).
    env.text("AUDIT_FILE"),
    env.text("AUDIT_SYSLOG"),
)
# Who time-stamps the head of the audit chain (RFC 3161), its certificates, and how often.
TSA_URL = env.address("TSA_URL", "", ("http", "https"))
TSA_CA = env.certificates("TSA_CA")
TSA_EVERY_S = env.number("TSA_EVERY", 3600.0, 60.0, 604_800.0, "seconds")
METRICS = env.choice("METRICS", "protected", ("protected", "open"))
METRICS_TOKEN = env.text("METRICS_TOKEN")
METRICS_HOST = env.text("METRICS_HOST", "127.0.0.1")
METRICS_PORT = env.whole("METRICS_PORT", 0, 0, 65_535)
