"""Settings, from the environment: defaults are safe, and insecure production is refused.

Every variable is documented in the README's configuration table, which a test holds against this file.
"""

import logging
import secrets
from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from dotenv import load_dotenv

from config.admin.appearance import UNFOLD  # noqa: F401 (Django reads it)
from config.environment import database_url
from config.environment.external_issuer import refuse_external_issuer
from config.environment.variables import (
    env,
    env_bool,
    env_choice,
    env_headers,
    env_int,
    env_list,
    env_networks,
    env_origins,
    env_path,
    env_rate,
    env_secret,
    refuse_guessable,
    refuse_unicode_domains,
    secret,
)
from config.http.openapi.settings import SPECTACULAR_SETTINGS  # noqa: F401 (Django reads it)
from config.observability import logs

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")


# --- The process ------------------------------------------------------------------------------------

ENVIRONMENT = env_choice("ENVIRONMENT", "development", "production")
PRODUCTION = ENVIRONMENT == "production"
# Tracebacks in the browser, for developers of Tickbase only.
DEBUG = env_bool("DEBUG", False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG shows code and settings to strangers; unset it in production.")

DATA_DIR = Path(env("DATA_DIR", str(BASE_DIR / ".data"))).expanduser().absolute()
HOST = env("HOST", "127.0.0.1")
PORT = env_int("PORT", 8000, minimum=1, maximum=65_535)
WORKERS = env_int("WORKERS", 1, minimum=1, maximum=64)
# Threads that run requests in each worker process. Each uses at most one database connection.
THREADS = env_int("THREADS", 4, minimum=1, maximum=1000)
# Concurrent requests of one network (an IPv4 address, or a /64 of IPv6) in each worker.
NETWORK_REQUESTS = env_int("NETWORK_REQUESTS", 256, minimum=1, maximum=4096)
# How long a worker that is told to stop still serves, so that a proxy finds out before its connections are closed.
DRAIN_SECONDS = env_int("DRAIN_SECONDS", 5 if PRODUCTION else 0, minimum=0, maximum=60)
# Whether `serve` starts a worker of deferred work (mails, prune) beside it; off where `manage.py work` is a service.
BACKGROUND = env_bool("BACKGROUND", True)
REQUEST_CALLER = "users.api.authentication.caller_in"  # the caller, whose fair share of the threads a request takes

# Streams and waiting requests ask PostgreSQL four times a second while somebody listens, which keeps Neon awake.
STREAMS = env_bool("STREAMS", True)
STREAM_SOURCE = "users.sync.stream.Heads"  # what they wait for

# Development generates its secrets once, and keeps them.
KEPT_SECRETS = None if PRODUCTION else DATA_DIR
SECRET_KEY = secret("SECRET_KEY", KEPT_SECRETS)
JWT_SIGNING_KEY = secret("JWT_SIGNING_KEY", KEPT_SECRETS)
# Former signing keys, whose tokens are still valid; to rotate, move the old key here.
JWT_VERIFYING_KEYS = env_secret("JWT_VERIFYING_KEYS").replace(",", " ").split()
if secrets.compare_digest(SECRET_KEY.encode(), JWT_SIGNING_KEY.encode()):
    raise ImproperlyConfigured("JWT_SIGNING_KEY must differ from SECRET_KEY.")
if any(len(key.encode()) < 32 for key in JWT_VERIFYING_KEYS):
    raise ImproperlyConfigured("JWT_VERIFYING_KEYS holds a key that is too short: each needs at least 32 bytes.")
if SECRET_KEY in JWT_VERIFYING_KEYS:
    raise ImproperlyConfigured("JWT_VERIFYING_KEYS must not hold SECRET_KEY.")

ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1]")
if PRODUCTION and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts that production answers to, without *.")

INSTALLED_APPS = [
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "config",
    "users",
    "users.mail",
    "users.webhooks",
    "tasks",
    "tasks.projects",
    "tasks.comments",
    "tasks.transfer",
    "tasks.reminders",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "users.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "corsheaders",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [  # outermost first
    # X-Request-ID, and the line of the log; before all that refuse, so that refusals are logged and counted.
    "config.observability.request_log.request_log",
    # HTTPS, session settings, and the headers of all responses, of static files and preflights, too.
    "config.http.middleware.security",
    "whitenoise.middleware.WhiteNoiseMiddleware",  # static files: no limits, no CORS
    "config.http.middleware.Cors",  # around refusals, which a front end has to be able to read
    "config.http.middleware.refusals",  # of the server, of unknown hosts, of rate limits
    "config.admin.middleware.AdminMiddleware",  # sessions, CSRF and messages, for the admin alone
]
ROOT_URLCONF = "config.urls"
ADMIN_PATH = env_path("ADMIN_PATH", "admin/")
if ADMIN_PATH.partition("/")[0] in {"api", "static", "healthz", "readyz", "metrics"}:
    raise ImproperlyConfigured(f"ADMIN_PATH={ADMIN_PATH!r} is taken; choose another path, or off.")
LOGIN_REDIRECT_URL = "admin:index"  # after a sign-in without `next`
# Whether staff must set up a second factor before anything else. Those who have one always have to use it.
ADMIN_REQUIRE_TOTP = env_bool("ADMIN_REQUIRE_TOTP", PRODUCTION)
OTP_TOTP_ISSUER = "Tickbase"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database ---------------------------------------------------------------------------------------

DATABASE_URL = env_secret("DATABASE_URL")
if PRODUCTION and not DATABASE_URL:
    raise ImproperlyConfigured("DATABASE_URL is not set; production needs a PostgreSQL of its own.")
EMBEDDED_DATABASE = not DATABASE_URL

# Timeouts of requests, in seconds; 0 disables one.
DATABASE_STATEMENT_TIMEOUT = env_int("DATABASE_STATEMENT_TIMEOUT", 10, minimum=0, maximum=3600)
DATABASE_LOCK_TIMEOUT = env_int("DATABASE_LOCK_TIMEOUT", 3, minimum=0, maximum=3600)
# `auto` prepares on direct connections only; `on` is safe behind PgBouncer 1.21 or newer, and Neon's pooler.
DATABASE_PREPARED_STATEMENTS = env_choice("DATABASE_PREPARED_STATEMENTS", "auto", "on", "off")
DATABASE_IDLE_TRANSACTION_TIMEOUT = env_int("DATABASE_IDLE_TRANSACTION_TIMEOUT", 15, minimum=0, maximum=3600)


def embedded_database_url() -> str:
    from config.database import embedded  # its packages are slow to import, and not needed with a DATABASE_URL

    try:
        return embedded.start(DATA_DIR)
    except embedded.EmbeddedPostgresError as error:
        raise ImproperlyConfigured(str(error)) from error


parsed_url = database_url.parse(DATABASE_URL or embedded_database_url())
DATABASES = {
    "default": {
        **parsed_url,
        "ENGINE": "config.database",
        # PgBouncer and Neon's pooler hand out another session per transaction, which loses named cursors.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "CONN_MAX_AGE": None,  # each thread keeps its own; config.database replaces those that lead nowhere
        "OPTIONS": {
            "connect_timeout": 3,
            # TCP itself notices a cut network after a quarter of an hour, or after two hours when idle.
            "tcp_user_timeout": 3000,  # milliseconds
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            **parsed_url["OPTIONS"],
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Accounts and tokens ----------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["users.backends.PasswordBackend"]
PASSWORD_HASHERS = ["users.hashers.OWASPArgon2PasswordHasher"]
MIN_PASSWORD = 12  # characters
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": MIN_PASSWORD}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
]
SILENCED_SYSTEM_CHECKS = [
    "admin.E408", "admin.E409", "admin.E410",  # config.admin.middleware.AdminMiddleware runs these, and
    "security.W003",  # Django's CsrfViewMiddleware
    "auth.W004",  # unique is the canonical form of a local account's e-mail, by which people sign in
    "security.W001", "security.W002",  # config.http.middleware.security sets these headers
    "security.W005",  # subdomains of this host may be others' services
    "security.W008",  # plain HTTP is refused instead of redirected; users.W004 warns when it is not
    "models.E034",  # names of indexes have 63 bytes in PostgreSQL, the only engine, not 30
    "security.W021",  # the operator decides about the browsers' HSTS preload list
]  # fmt: skip

JWT_ISSUER = env("JWT_ISSUER", "tickbase")
JWT_AUDIENCE = env("JWT_AUDIENCE", "tickbase")
JWT_LEEWAY = timedelta(seconds=30)  # for clocks that differ
REFRESH_TOKEN_LIFETIME = timedelta(days=30)
SIMPLE_JWT = {
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "ALGORITHM": "HS256",
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": REFRESH_TOKEN_LIFETIME,
}

# One external issuer, whose tokens are verified with its public keys or with a shared secret.
JWT_EXTERNAL_ISSUER = env("JWT_EXTERNAL_ISSUER")
JWT_EXTERNAL_AUDIENCE = env("JWT_EXTERNAL_AUDIENCE")
JWT_EXTERNAL_JWKS_URL = env("JWT_EXTERNAL_JWKS_URL")
JWT_EXTERNAL_SECRET = env_secret("JWT_EXTERNAL_SECRET")
if refusal := refuse_external_issuer(
    JWT_EXTERNAL_ISSUER,
    JWT_EXTERNAL_AUDIENCE,
    JWT_EXTERNAL_JWKS_URL,
    JWT_EXTERNAL_SECRET,
    own_issuer=JWT_ISSUER,
    own_secrets={SECRET_KEY, JWT_SIGNING_KEY, *JWT_VERIFYING_KEYS},
):
    raise ImproperlyConfigured(refusal)
# Development may use examples, such as the secret of a Supabase that runs on the developer's machine.
if PRODUCTION:
    refuse_guessable(SECRET_KEY=SECRET_KEY, JWT_SIGNING_KEY=JWT_SIGNING_KEY)
    for each in JWT_VERIFYING_KEYS:
        refuse_guessable(JWT_VERIFYING_KEYS=each)
    if JWT_EXTERNAL_SECRET:
        refuse_guessable(JWT_EXTERNAL_SECRET=JWT_EXTERNAL_SECRET)

REGISTRATION = env_choice("REGISTRATION", "open", "invite", "closed")
EMAIL_VERIFICATION = env_choice("EMAIL_VERIFICATION", "optional", "required")

# --- Mail -------------------------------------------------------------------------------------------

EMAIL_HOST = env("EMAIL_HOST")
EMAIL_PORT = env_int("EMAIL_PORT", 587, minimum=1, maximum=65_535)
EMAIL_HOST_USER = env("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env_secret("EMAIL_HOST_PASSWORD")
EMAIL_SECURITY = env_choice("EMAIL_SECURITY", "starttls", "tls", "none")
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL_SECURITY == "starttls", EMAIL_SECURITY == "tls"
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env("EMAIL_FROM", "Tickbase <tickbase@localhost>")
refuse_unicode_domains(EMAIL_HOST=EMAIL_HOST, EMAIL_FROM=DEFAULT_FROM_EMAIL.rpartition("@")[2])
if EMAIL_HOST:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
elif PRODUCTION:
    # Mails hold secrets, which must not get into a log; `check --deploy` warns.
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
if PRODUCTION and not EMAIL_HOST and EMAIL_VERIFICATION == "required":
    raise ImproperlyConfigured("EMAIL_VERIFICATION=required needs EMAIL_HOST, through which the mails go.")

# The front end, to which links in mails lead. They are never made from a request's Host, which anyone can forge.
APP_URL = env("APP_URL").rstrip("/")
if APP_URL and not APP_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured(f"APP_URL={APP_URL!r} is not a web address; write https://app.example.com.")

# This service, to which links in mails lead that end them. Without it, they have none.
API_URL = env("API_URL").rstrip("/")
if API_URL and not API_URL.startswith(("http://", "https://")):
    raise ImproperlyConfigured(f"API_URL={API_URL!r} is not a web address; write https://api.example.com.")

# --- HTTP -------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["users.api.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "users.api.permissions.PathUserIsCaller",
        "users.api.permissions.EmailIsVerified",
        "users.api.permissions.ScopesAreGranted",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["config.http.limits.throttling.CallerThrottle"],
    "DEFAULT_SCHEMA_CLASS": "config.http.openapi.schema.AutoSchema",
    "EXCEPTION_HANDLER": "config.http.problems.exception_handler",
}
# The largest legal task is about 260 kB when every character is escaped.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Rows of one action of the admin, in one transaction. The confirmation form has a field for each.
ADMIN_ACTION_ROWS = 5000
DATA_UPLOAD_MAX_NUMBER_FIELDS = ADMIN_ACTION_ROWS + 1000

CORS_ALLOWED_ORIGINS = env_origins("CORS_ALLOWED_ORIGINS")
# In development: pages of files, apps in a shell of Capacitor, Ionic or Tauri, and what is on this machine or its LAN.
CORS_ALLOWED_ORIGIN_REGEXES = [] if PRODUCTION else [
    r"null\Z",
    r"(capacitor|ionic|tauri)://localhost\Z",
    r"https?://(([\w-]+\.)*localhost|[\w-]+\.local)(:\d+)?\Z",
    r"https?://(127|10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))(\.\d{1,3}){2,3}(:\d+)?\Z",
    r"https?://\[(::1|f[cd][\da-f]{2}:[\da-f:]+|fe80:[\da-f:]+)\](:\d+)?\Z",
]  # fmt: skip
CORS_URLS_REGEX = r"^/api/"
# Front ends send `credentials: "include"`; it is harmless, as no cookie is read below /api.
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = [
    "accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id",
    "x-request-id",
    # Sent by libraries on their own: jQuery and axios, "disable cache" of developer tools, and tracing (W3C, Sentry,
    # Datadog, New Relic, Zipkin, Application Insights).
    "x-requested-with", "cache-control", "pragma", "traceparent", "tracestate", "baggage", "sentry-trace",
    "x-datadog-origin", "x-datadog-parent-id", "x-datadog-sampling-priority", "x-datadog-trace-id", "newrelic",
    "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "request-id", "request-context",
    *env_headers("CORS_ALLOWED_HEADERS"),
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "ETag", "Link", "Location", "X-Total-Count", "Retry-After", "RateLimit", "RateLimit-Policy",
    "Idempotency-Replayed", "Tickbase-Operation", "Tickbase-Advanced", "X-Request-ID",
]  # fmt: skip
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS")

# Proxies send the client's address in X-Forwarded-For, and in X-Forwarded-Proto that TLS ends at them. Clients can
# forge both, hence the number: only the entries that these proxies added are trusted.
TRUSTED_PROXIES = env_int("TRUSTED_PROXIES", 0, minimum=0, maximum=10)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
REQUIRE_HTTPS = env_bool("REQUIRE_HTTPS", PRODUCTION)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = REQUIRE_HTTPS
if REQUIRE_HTTPS:
    # Browsers accept these from this host alone, over HTTPS: no subdomain can set one (RFC 6265bis, 4.1.3.2).
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SESSION_COOKIE_AGE = 12 * 3600  # of staff, in seconds
HSTS_SECONDS = env_int("HSTS_SECONDS", 31_536_000, minimum=0, maximum=63_072_000)
SECURE_HSTS_SECONDS = HSTS_SECONDS if REQUIRE_HTTPS else 0

# A developer never meets the limits of development, but sees their headers.
LOOSE_RATE = "100000/min"
RATE_LIMITS = {
    "anon": env_rate("RATE_LIMIT_ANON", "300/min" if PRODUCTION else LOOSE_RATE),
    "user": env_rate("RATE_LIMIT_USER", "3000/min" if PRODUCTION else LOOSE_RATE),
    "login": env_rate("RATE_LIMIT_LOGIN", "20/min" if PRODUCTION else LOOSE_RATE),
    "register": env_rate("RATE_LIMIT_REGISTER", "20/hour" if PRODUCTION else LOOSE_RATE),
    "mail": env_rate("RATE_LIMIT_MAIL", "10/hour" if PRODUCTION else LOOSE_RATE),
}
TRASH_DAYS = env_int("TRASH_DAYS", 30, minimum=1, maximum=36_500)  # in which a deleted row can be restored
HISTORY_DAYS = env_int("HISTORY_DAYS", 90, minimum=1, maximum=36_500)  # in which a change can be seen and undone
# The longest life of a personal token; 0 allows any, also an endless one.
TOKEN_MAX_DAYS = env_int("TOKEN_MAX_DAYS", 0, minimum=0, maximum=36_500)
LIMIT_TASKS = env_int("LIMIT_TASKS", 100_000, minimum=0, maximum=999_999_999)  # of an account; 0 disables it
LIMIT_PROJECTS = env_int("LIMIT_PROJECTS", 500, minimum=0, maximum=10_000)  # of an account; 0 disables it

# Networks of the operator's own to which webhooks may be sent, also by plain http; else only to the public internet.
WEBHOOK_ALLOWED_NETWORKS = env_networks("WEBHOOK_ALLOWED_NETWORKS")

# Conditions of /metrics, each of which must hold where it is set; with neither, there is no such route and no metric.
METRICS_TOKEN = env_secret("METRICS_TOKEN")
METRICS_ALLOWED = env_networks("METRICS_ALLOWED")
METRICS = bool(METRICS_TOKEN or METRICS_ALLOWED)
if METRICS_TOKEN and len(METRICS_TOKEN.encode()) < 32:
    raise ImproperlyConfigured("METRICS_TOKEN is too short: it needs at least 32 bytes.")
if METRICS_TOKEN and PRODUCTION:
    refuse_guessable(METRICS_TOKEN=METRICS_TOKEN)

STATIC_URL = "/static/"
# The admin's and Swagger UI's files are served from the packages that bring them: no collectstatic.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- Language, time and logs ------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "config.formats"

LOG_LEVEL = env("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in logging.getLevelNamesMapping():
    raise ImproperlyConfigured(f"LOG_LEVEL={LOG_LEVEL!r} is unknown; use DEBUG, INFO, WARNING or ERROR.")

LOG_FORMAT = env_choice("LOG_FORMAT", *("json", "text") if PRODUCTION else ("text", "json"))
LOGGING = logs.configuration(LOG_LEVEL, LOG_FORMAT, debug=DEBUG)
