"""What the environment may say, and how a wrong value is refused."""

import re

import pytest

from config.environment.rates import parse_rate
from tests.documents import names_in, table
from tests.tree import KEY, PRODUCTION, REFUSAL, SECRET, Tree

NEON_URL = "postgresql://u:p@ep-x-pooler.eu.aws.neon.tech/db?sslmode=require&channel_binding=require"


def test_production_starts_with_what_the_checklist_names(tree: Tree) -> None:
    loaded = tree.load("PRODUCTION", "DEBUG", "ALLOWED_HOSTS", "SECRET_KEY", "SESSION_COOKIE_SECURE", **PRODUCTION)
    assert loaded == {
        "PRODUCTION": True,
        "DEBUG": False,
        "ALLOWED_HOSTS": ["tasks.example.com"],
        "SECRET_KEY": SECRET,
        "SESSION_COOKIE_SECURE": True,
    }
    assert not (tree.root / ".data").exists()  # production keeps nothing on the disk


NOT_ASCII = "needs its domain in ASCII, as xn--…; Python may take it for another one."
TOO_SHORT = "is too short: it needs at least 32 bytes"
NO_RATE = "is not a rate; write a number from 1 to 1000000 per second, min, hour or day, such as 600/min, or off."
NO_PATH = "is not a path; write one like admin/ or a/b/, or off."
TAKEN = "is taken; choose another path, or off."
NAMED_HOSTS = "ALLOWED_HOSTS must name the hosts that production answers to, without *."


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set. Production needs a secret of at least 32 bytes; make one with:"),
        ({"SECRET_KEY": "s" * 31}, f"SECRET_KEY {TOO_SHORT}"),
        ({"JWT_SIGNING_KEY": ""}, "JWT_SIGNING_KEY is not set. Production needs a secret of at least 32 bytes;"),
        ({"JWT_SIGNING_KEY": "j" * 31}, f"JWT_SIGNING_KEY {TOO_SHORT}"),
        ({"JWT_SIGNING_KEY": SECRET}, "JWT_SIGNING_KEY must differ from SECRET_KEY."),
        ({"ALLOWED_HOSTS": ""}, NAMED_HOSTS),
        ({"ALLOWED_HOSTS": " , "}, NAMED_HOSTS),
        ({"ALLOWED_HOSTS": "tasks.example.com,*"}, NAMED_HOSTS),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set; production needs a PostgreSQL of its own."),
        ({"DEBUG": "true"}, "DEBUG shows code and settings to strangers; unset it in production."),
    ],
)
def test_insecure_production_is_refused(tree: Tree, wrong: dict[str, str], message: str) -> None:
    assert tree.refusal(**{**PRODUCTION, **wrong}).startswith(message)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ENVIRONMENT": "prod"}, "ENVIRONMENT='prod' is unknown; use development or production."),
        ({"PORT": "http"}, "PORT='http' is not a whole number from 1 to 65535."),
        ({"PORT": "0"}, "PORT='0' is not a whole number from 1 to 65535."),
        ({"PORT": "-1"}, "PORT='-1' is not a whole number from 1 to 65535."),
        ({"PORT": "65536"}, "PORT='65536' is not a whole number from 1 to 65535."),
        ({"LIMIT_TASKS": "off"}, "LIMIT_TASKS='off' is not a whole number from 0 to 999999999."),
        ({"THREADS": "4.5"}, "THREADS='4.5' is not a whole number from 1 to 1000."),
        ({"THREADS": "9" * 5000}, f"THREADS='{'9' * 5000}' is not a whole number from 1 to 1000."),
        ({"DEBUG": "maybe"}, "DEBUG='maybe' is not a boolean; use true or false."),
        ({"TRUSTED_PROXIES": "true"}, "TRUSTED_PROXIES='true' is not a whole number from 0 to 10."),
        ({"WORKERS": "0"}, "WORKERS='0' is not a whole number from 1 to 64."),
        ({"RATE_LIMIT_ANON": "0/min"}, f"RATE_LIMIT_ANON='0/min' {NO_RATE}"),
        ({"RATE_LIMIT_USER": "9/fortnight"}, f"RATE_LIMIT_USER='9/fortnight' {NO_RATE}"),
        ({"RATE_LIMIT_LOGIN": "1000001/s"}, f"RATE_LIMIT_LOGIN='1000001/s' {NO_RATE}"),
        ({"RATE_LIMIT_REGISTER": "600"}, f"RATE_LIMIT_REGISTER='600' {NO_RATE}"),
        *[({"ADMIN_PATH": path}, f"ADMIN_PATH={path!r} {NO_PATH}") for path in ("/", "a b/", "a//b", "é", "a?b", "..")],
        *[({"ADMIN_PATH": f"{name}/"}, f"ADMIN_PATH='{name}/' {TAKEN}") for name in ("api", "static/x", "readyz")],
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL='LOUD' is unknown; use DEBUG, INFO, WARNING or ERROR."),
        ({"SECRET_KEY": "short"}, f"SECRET_KEY {TOO_SHORT}."),
        ({"REGISTRATION": "none"}, "REGISTRATION='none' is unknown; use open, invite or closed."),
        ({"EMAIL_VERIFICATION": "yes"}, "EMAIL_VERIFICATION='yes' is unknown; use optional or required."),
        ({"EMAIL_SECURITY": "ssl"}, "EMAIL_SECURITY='ssl' is unknown; use starttls, tls or none."),
        ({"EMAIL_PORT": "smtp"}, "EMAIL_PORT='smtp' is not a whole number from 1 to 65535."),
        (
            {"APP_URL": "app.example.com"},
            "APP_URL='app.example.com' is not a web address; write https://app.example.com.",
        ),
        (
            {"JWT_VERIFYING_KEYS": f"{'k' * 32},short"},
            "JWT_VERIFYING_KEYS holds a key that is too short: each needs at least 32 bytes.",
        ),
        (
            {"SECRET_KEY": "s" * 32, "JWT_VERIFYING_KEYS": f"{'k' * 32} {'s' * 32}"},
            "JWT_VERIFYING_KEYS must not hold SECRET_KEY.",
        ),
        (
            {**PRODUCTION, "EMAIL_VERIFICATION": "required"},
            "EMAIL_VERIFICATION=required needs EMAIL_HOST, through which the mails go.",
        ),
        ({"EMAIL_HOST": "mail.faß.de"}, f"EMAIL_HOST {NOT_ASCII}"),
        ({"EMAIL_FROM": "Büro <ada@faß.de>"}, f"EMAIL_FROM {NOT_ASCII}"),
    ],
)
def test_a_bad_value_is_refused_by_name(tree: Tree, wrong: dict[str, str], message: str) -> None:
    assert tree.refusal(**wrong) == message


JWKS = {
    "JWT_EXTERNAL_ISSUER": "https://issuer.example/",
    "JWT_EXTERNAL_AUDIENCE": "https://tasks.example",
    "JWT_EXTERNAL_JWKS_URL": "https://issuer.example/.well-known/jwks.json",
}
SHARED = {"JWT_EXTERNAL_SECRET": "x" * 32}


@pytest.mark.parametrize("environment", [{}, JWKS, SHARED, {**JWKS, "JWT_EXTERNAL_JWKS_URL": "", **SHARED}])
def test_an_external_issuer_is_as_it_is_given(tree: Tree, environment: dict[str, str]) -> None:
    assert tree.load(*JWKS, *SHARED, **environment) == dict.fromkeys([*JWKS, *SHARED], "") | environment


NO_URL = "JWT_EXTERNAL_JWKS_URL must be an http or https URL in ASCII: https://issuer.example/.well-known/jwks.json"
NO_NAMES = (
    "JWT_EXTERNAL_JWKS_URL needs JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE: the iss and aud that the tokens carry."
)
ALONE = "JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE verify nothing alone; set JWT_EXTERNAL_JWKS_URL or"
NO_TEXT = "JWT_EXTERNAL_SECRET is a key, not a secret text; for public keys, set JWT_EXTERNAL_JWKS_URL instead."
OUR_OWN = "JWT_EXTERNAL_SECRET must differ from SECRET_KEY and JWT_SIGNING_KEY."


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({**JWKS, **SHARED}, "JWT_EXTERNAL_JWKS_URL and JWT_EXTERNAL_SECRET are both set; unset one of them."),
        ({**JWKS, "JWT_EXTERNAL_ISSUER": ""}, NO_NAMES),
        ({**JWKS, "JWT_EXTERNAL_AUDIENCE": " "}, NO_NAMES),
        ({**JWKS, "JWT_EXTERNAL_JWKS_URL": ""}, ALONE),
        ({"JWT_EXTERNAL_AUDIENCE": "https://tasks.example"}, ALONE),
        ({**JWKS, "JWT_EXTERNAL_ISSUER": "tickbase"}, "JWT_EXTERNAL_ISSUER must differ from JWT_ISSUER"),
        ({**SHARED, "JWT_ISSUER": "ours", "JWT_EXTERNAL_ISSUER": "ours"}, "JWT_EXTERNAL_ISSUER must differ"),
        *[
            ({**JWKS, "JWT_EXTERNAL_JWKS_URL": url}, NO_URL)
            for url in (
                "issuer.example/jwks",
                "https://faß.example/jwks",
                "file:///jwks",
                "https://",
                "http://a:b/",
                "http://[a/",
                "http:///jwks",
                "http://a:0/",
            )
        ],
        ({**JWKS, "JWT_EXTERNAL_JWKS_URL": "https://user:password@issuer.example/jwks"}, NO_URL),
        ({"JWT_EXTERNAL_SECRET": "x" * 31}, f"JWT_EXTERNAL_SECRET {TOO_SHORT}"),
        ({"JWT_EXTERNAL_SECRET": SECRET}, OUR_OWN),
        ({"JWT_EXTERNAL_SECRET": KEY}, OUR_OWN),
        ({"JWT_EXTERNAL_SECRET": "-----BEGIN PUBLIC KEY----- MIIBIjANBg"}, NO_TEXT),
        ({"JWT_EXTERNAL_SECRET": '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}'}, NO_TEXT),
    ],
)
def test_an_external_issuer_that_cannot_work_is_refused(tree: Tree, wrong: dict[str, str], message: str) -> None:
    assert tree.refusal(**{**PRODUCTION, **wrong}).startswith(message)


def test_a_url_that_cannot_be_parsed_is_refused_without_its_password(tree: Tree) -> None:
    process = tree.start("-c", "import config.settings", DATABASE_URL="postgresql://u:pass#word@host/db")
    err = process.communicate(timeout=30)[1]
    assert err.splitlines()[-1] == (
        f"{REFUSAL}DATABASE_URL is not a valid URL; percent-encode special characters in its user and password."
    )
    assert "'pass'" not in err


def test_an_operator_reads_one_line_and_no_traceback(tree: Tree) -> None:
    process = tree.start("manage.py", "serve", PORT="http")
    out, err = process.communicate(timeout=30)
    message = "Tickbase cannot start: PORT='http' is not a whole number from 1 to 65535.\n"
    assert (process.returncode, out, err) == (1, "", message)


def test_a_pooled_neon_url_becomes_the_database(tree: Tree) -> None:
    database = tree.load("DATABASES", "EMBEDDED_DATABASE", DATABASE_URL=NEON_URL)
    assert database["EMBEDDED_DATABASE"] is False
    entry = database["DATABASES"]["default"]
    assert entry["ENGINE"] == "config.database"
    assert [entry[key] for key in ("HOST", "PORT", "NAME", "USER", "PASSWORD")] == [
        "ep-x-pooler.eu.aws.neon.tech", "", "db", "u", "p",
    ]  # fmt: skip
    assert entry["OPTIONS"] == {
        "connect_timeout": 3,
        "tcp_user_timeout": 3000,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "sslmode": "require",
        "channel_binding": "require",
    }
    # A transaction pooler gives every transaction another session.
    assert (entry["DISABLE_SERVER_SIDE_CURSORS"], entry["CONN_MAX_AGE"]) == (True, None)


def test_dot_env_is_read_and_the_environment_wins(tree: Tree) -> None:
    (tree.root / ".env").write_text("PORT=9001\nLOG_LEVEL=debug\n")
    assert tree.load("PORT", "LOG_LEVEL", PORT="9002") == {"PORT": 9002, "LOG_LEVEL": "DEBUG"}


@pytest.mark.parametrize(("value", "header"), [("1", ["HTTP_X_FORWARDED_PROTO", "https"]), ("0", None), ("", None)])
def test_the_proxy_is_believed_only_on_request(tree: Tree, value: str, header: list[str] | None) -> None:
    environment = {**PRODUCTION, "TRUSTED_PROXIES": value}
    assert tree.load("SECURE_PROXY_SSL_HEADER", **environment) == {"SECURE_PROXY_SSL_HEADER": header}


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("600/min", [600, 60]), ("1/s", [1, 1]), ("5 / seconds", [5, 1]), ("7/HOURS", [7, 3600]),
        ("1000000/d", [1_000_000, 86_400]), ("off", None), ("OFF", None),
    ],
)  # fmt: skip
def test_rates_are_numbers_per_time(tree: Tree, text: str, rate: list[int] | None) -> None:
    limits = tree.load("RATE_LIMITS", RATE_LIMIT_ANON=text)["RATE_LIMITS"]
    loose = dict.fromkeys(["user", "login", "register", "mail"], [100_000, 60])
    assert limits == {"anon": rate, **loose}


def test_the_limits_of_production_are_those_of_the_readme(tree: Tree) -> None:
    shown = {names_in(row[0])[0]: names_in(row[1])[0] for row in table("Configuration") if "RATE_LIMIT_" in row[0]}
    rates = {name.removeprefix("RATE_LIMIT_").lower(): [*parse_rate(text)] for name, text in shown.items()}  # type: ignore[misc]
    assert tree.load("RATE_LIMITS", **PRODUCTION) == {"RATE_LIMITS": rates}


@pytest.mark.parametrize(
    ("environment", "backend"),
    [({}, "console"), (PRODUCTION, "dummy"), ({**PRODUCTION, "EMAIL_HOST": "mail.example.com"}, "smtp")],
)
def test_mails_are_printed_in_development_only(tree: Tree, environment: dict[str, str], backend: str) -> None:
    """They hold secrets, which must not get into a production log."""
    loaded = tree.load("EMAIL_BACKEND", **environment)
    assert loaded == {"EMAIL_BACKEND": f"django.core.mail.backends.{backend}.EmailBackend"}


def test_former_keys_are_a_list(tree: Tree) -> None:
    keys = [letter * 32 for letter in "ab"]
    assert tree.load("JWT_VERIFYING_KEYS", JWT_VERIFYING_KEYS=", ".join(keys)) == {"JWT_VERIFYING_KEYS": keys}


def test_origins_are_lists(tree: Tree) -> None:
    names = ("CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS", "CORS_ALLOWED_ORIGIN_REGEXES")
    origins = {
        "CORS_ALLOWED_ORIGINS": "https://a.example, https://b.example,",
        "CSRF_TRUSTED_ORIGINS": "https://a.example",
    }
    assert tree.load(*names, **PRODUCTION, **origins) == {
        "CORS_ALLOWED_ORIGINS": ["https://a.example", "https://b.example"],
        "CSRF_TRUSTED_ORIGINS": ["https://a.example"],
        "CORS_ALLOWED_ORIGIN_REGEXES": [],  # localhost is for development only
    }


def test_what_is_near_may_call_in_development(tree: Tree) -> None:
    patterns = tree.load("CORS_ALLOWED_ORIGIN_REGEXES")["CORS_ALLOWED_ORIGIN_REGEXES"]
    near = """http://localhost:3000 https://localhost:5173 http://127.0.0.1:8080 http://[::1] https://localhost null
        capacitor://localhost ionic://localhost tauri://localhost http://tauri.localhost https://tauri.localhost
        http://192.168.1.20:5173 https://10.0.0.7 http://172.16.3.4:3000 http://172.31.255.1 http://169.254.7.8
        http://my-mac.local:5173 http://app.localhost:4200 http://[fd12:3456::1]:5173 http://[fe80::1]"""
    far = """http://localhost.evil.example http://evil.example http://localhost:x http://evillocalhost http://nullx
        http://192.168.1.20.evil.example http://10.evil.example http://172.32.0.1 http://8.8.8.8 http://11.0.0.1
        http://a.b.local http://[2001:db8::1] capacitor://evil.example nullx http://192.168.1.20:5173@evil.example"""
    assert [origin for origin in near.split() if not any(re.match(each, origin) for each in patterns)] == []
    assert [origin for origin in far.split() if any(re.match(each, origin) for each in patterns)] == []


@pytest.mark.parametrize("value", ["*", "null", "app.example.com", "https://app.example.com/", "https://*.example.com"])
def test_what_is_no_origin_is_refused(tree: Tree, value: str) -> None:
    message = f"CORS_ALLOWED_ORIGINS holds {value!r}, which is no origin; write one like https://app.example.com."
    assert tree.refusal(CORS_ALLOWED_ORIGINS=f"https://a.example,{value}") == message


def test_origins_of_apps_have_schemes_of_their_own(tree: Tree) -> None:
    origins = ["capacitor://localhost", "http://localhost:5173", "https://[::1]:8443"]
    assert tree.load("CORS_ALLOWED_ORIGINS", CORS_ALLOWED_ORIGINS=",".join(origins)) == {
        "CORS_ALLOWED_ORIGINS": origins
    }


def test_headers_of_scripts_are_a_list_beside_the_usual_ones(tree: Tree) -> None:
    allowed = tree.load("CORS_ALLOW_HEADERS", CORS_ALLOWED_HEADERS="X-Tenant, x-Feature-Flags,")["CORS_ALLOW_HEADERS"]
    assert allowed[-2:] == ["x-tenant", "x-feature-flags"]
    assert {"authorization", "if-match"} < set(allowed)


@pytest.mark.parametrize("value", ["*", "X-A B", "X-A:", "X-A\r\nX-B", "é"])
def test_what_is_no_header_is_refused(tree: Tree, value: str) -> None:
    assert "CORS_ALLOWED_HEADERS" in tree.refusal(CORS_ALLOWED_HEADERS=value)


def test_production_logs_json_unless_told_otherwise(tree: Tree) -> None:
    assert tree.load("LOG_FORMAT", **PRODUCTION) == {"LOG_FORMAT": "json"}
    assert tree.load("LOG_FORMAT") == {"LOG_FORMAT": "text"}
    assert tree.load("LOG_FORMAT", **PRODUCTION, LOG_FORMAT="text") == {"LOG_FORMAT": "text"}
