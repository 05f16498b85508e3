"""One file, in sections. Runs on SQLite and in-memory backends when no environment is given.

A missing value takes its development default; a malformed one stops start-up with its name; `PRODUCTION=1` without
its secrets refuses to run. Every variable is described in `.env.example`.
"""

import sys
from datetime import timedelta
from pathlib import Path

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from chatplatform import env
from chatplatform.kernel import keyring, logs
from chatplatform.kernel.words import words

BASE_DIR = Path(__file__).resolve().parent.parent
env.load_file(BASE_DIR / ".env")

# --- What is running -----------------------------------------------------
# The version is read from the change log, so that it is written down once.
VERSION = next(
    (line.removeprefix("## ").split()[0] for line in (BASE_DIR / "CHANGELOG.md").open() if line.startswith("## ")), "0"
)
PRODUCTION = env.flag("PRODUCTION", default=False)
DEBUG = env.flag("DEBUG", default=False)
TESTING = "pytest" in sys.modules
# Everything the server writes by itself, in one folder that can be thrown away: database, jobs, development secrets.
DATA_DIR = Path(env.text("DATA_DIR", default=str(BASE_DIR / "var")))
DATA_DIR.mkdir(parents=True, exist_ok=True)

# --- Addresses -----------------------------------------------------------
HOST = env.text("HOST", default="127.0.0.1")
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - names of "every interface", not a choice of it
PORT = env.number("PORT", default=8000, least=1, most=65535)
# The address people use, without a trailing slash: it appears in links and as OpenRouter's HTTP-Referer.
PUBLIC_URL = env.address("PUBLIC_URL") or f"http://{'127.0.0.1' if HOST in ANYWHERE else HOST}:{PORT}"
ALLOWED_HOSTS = env.several("ALLOWED_HOSTS", default=("localhost", "127.0.0.1", "[::1]", HOST))
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Origins, besides ALLOWED_HOSTS, whose pages may open a socket or call the API. WeChat's own pages are known already.
ALLOWED_ORIGINS = env.several("ALLOWED_ORIGINS")
# How many reverse proxies stand in front. Zero: X-Forwarded-For is never believed.
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", default=0, most=5)

# --- Secrets -------------------------------------------------------------
_secret_key = env.secret("SECRET_KEY")
_keks = env.secret("KEYVAULT_KEKS")
if PRODUCTION and _secret_key is None:
    raise ImproperlyConfigured("PRODUCTION=1 needs SECRET_KEY (or SECRET_KEY_FILE).")
if PRODUCTION and _keks is None:
    raise ImproperlyConfigured("PRODUCTION=1 needs KEYVAULT_KEKS (or KEYVAULT_KEKS_FILE): id:base64 of 32 bytes.")
SECRET_KEY = (_secret_key or env.development_secret(DATA_DIR / "secrets", "secret-key")).reveal()
if PRODUCTION and len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY must have at least 32 characters.")
# Master keys of the vault, `name:base64,…`; the primary seals, all of them open.
KEYRING = keyring.parse(
    (_keks or env.development_secret(DATA_DIR / "secrets", "master-keys", make=keyring.generate)).reveal(),
    primary=env.text("KEYVAULT_PRIMARY"),
)
KEYRING_IS_FOR_DEVELOPMENT = _keks is None
# Who asks a vendor whether a key is good: the vault does not know the vendors.
KEYVAULT_PROBE = "providers.probe.validate_key"

# --- Apps ----------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "huey.contrib.djhuey",
    "chatplatform",
    "accounts",
    "keyvault",
    "providers",
    "conversations",
]
MIDDLEWARE = [
    "chatplatform.kernel.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "chatplatform.kernel.page_policy.PagePolicy",
]
ROOT_URLCONF = "chatplatform.urls"
ASGI_APPLICATION = "chatplatform.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
APPEND_SLASH = False  # the API's addresses have no trailing slash, and a redirected POST loses its body

# --- Database ------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'chatplatform.sqlite3'}")}
DATABASE_THREADS = env.number("DATABASE_THREADS", default=8, least=1, most=64)
_options: dict[str, object] = DATABASES["default"].setdefault("OPTIONS", {})  # type: ignore[assignment]
if str(DATABASES["default"]["ENGINE"]).endswith("sqlite3"):
    # IMMEDIATE: a transaction that will write takes its lock at once instead of failing in the middle. WAL: readers go
    # on while one writes. One connection per thread is kept, because opening one costs more than a query.
    _options |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"] |= {"CONN_MAX_AGE": None, "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")}}
else:
    # The pool keeps connections open between uses; workers × max_size must stay under max_connections.
    # statement_timeout: no question to the database is worth more than thirty seconds.
    _options |= {
        "pool": {"min_size": 1, "max_size": DATABASE_THREADS + 8, "timeout": 10},
        "options": "-c statement_timeout=30000",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis, channel layer, cache, jobs ------------------------------------
# Without REDIS_URL everything stays in this process: right for one process, wrong for two.
REDIS_URL = env.address("REDIS_URL", schemes=("redis", "rediss"))
if REDIS_URL:
    # Publish/subscribe, not the list-based layer: that one drops messages at 100 unread and, with redis-py 8, every
    # idle socket after five seconds. The heartbeat keeps a silent connection inside the socket timeout.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 30, "health_check_interval": 10}]},
        }
    }
    CACHES: dict[str, dict[str, object]] = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # Of the 300 entries it keeps by default, a busy half minute of socket tickets would push out the first.
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    }
CACHES["default"]["KEY_PREFIX"] = "cp:cache"
HUEY = {
    "name": "chatplatform",
    # Set explicitly: left out it follows DEBUG, and jobs would run inside requests.
    "immediate": False,
    "consumer": {"workers": 2, "worker_type": "thread"},
    **(
        {"huey_class": "huey.PriorityRedisHuey", "url": REDIS_URL}
        if REDIS_URL
        else {"huey_class": "huey.SqliteHuey", "filename": str(DATA_DIR / "jobs.sqlite3")}
    ),
}

# --- People --------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.authentication.PasswordBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "accounts.passwords.LongEnough", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL, LOGIN_REDIRECT_URL = "/admin/login/", "/admin/"
ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
REFRESH_TOKEN_LIFETIME = timedelta(days=env.number("REFRESH_TOKEN_DAYS", default=30, least=1, most=365))
# A phone that lost the answer to its refresh may ask once more with the old token within this time.
REFRESH_GRACE = timedelta(seconds=20)
SOCKET_TICKET_SECONDS = 30

# --- Model vendors -------------------------------------------------------
# A vendor without a key is simply not offered. With no keys at all the built-in model answers, so a fresh checkout can
# chat. Vendors that run without a key (Ollama, vLLM, custom) are offered as soon as they have an address.
VENDOR_KEYS = {
    "openai": env.secret("OPENAI_API_KEY"),
    "dashscope": env.secret("DASHSCOPE_KEY", "DASHSCOPE_API_KEY"),
    "openrouter": env.secret("OPENROUTER_KEY", "OPENROUTER_API_KEY"),
    "deepseek": env.secret("DEEPSEEK_API_KEY"),
    "moonshot": env.secret("MOONSHOT_API_KEY"),
    "zhipu": env.secret("ZHIPU_API_KEY"),
    "siliconflow": env.secret("SILICONFLOW_API_KEY"),
    "ollama": env.secret("OLLAMA_API_KEY"),
    "vllm": env.secret("VLLM_API_KEY"),
    "custom": env.secret("CUSTOM_API_KEY"),
}
VENDOR_ADDRESSES = {
    "openai": env.address("OPENAI_BASE_URL"),
    "dashscope": env.address("DASHSCOPE_BASE_URL"),
    "openrouter": env.address("OPENROUTER_BASE_URL"),
    "deepseek": env.address("DEEPSEEK_BASE_URL"),
    "moonshot": env.address("MOONSHOT_BASE_URL"),
    "zhipu": env.address("ZHIPU_BASE_URL"),
    "siliconflow": env.address("SILICONFLOW_BASE_URL"),
    "ollama": env.address("OLLAMA_BASE_URL"),
    "vllm": env.address("VLLM_BASE_URL"),
    "custom": env.address("CUSTOM_BASE_URL"),
}
# Models of a vendor that has no list of its own here (Ollama, vLLM, custom): `vendor/name, …`.
EXTRA_MODELS = env.several("EXTRA_MODELS")
DEFAULT_MODEL = env.text("DEFAULT_MODEL")
# OpenRouter shows these two in its rankings; the names are those of its documentation.
HTTP_REFERER = env.text("HTTP_REFERER", default=PUBLIC_URL)
X_TITLE = env.text("X_TITLE", default="chatplatform")

# --- Calling out ---------------------------------------------------------
# Address and port pairs on private networks that people's own addresses may point at, `host:port`. Empty: none.
OUTBOUND_ALLOW = env.several("OUTBOUND_ALLOW")

# --- Streaming -----------------------------------------------------------
# Replies are replayable for this long after they end: long enough for a phone to come back from a tunnel, short
# enough to keep Redis small.
STREAM_REPLAY_SECONDS = env.number("STREAM_REPLAY_SECONDS", default=900, least=10, most=86400)
# A worker that is silent for this long is taken for dead, and what it was writing is ended as interrupted.
LEASE_SECONDS = env.number("LEASE_SECONDS", default=15, least=3, most=300)
# How long replies may go on after the process was told to end, before they are kept as interrupted.
DRAIN_SECONDS = env.number("DRAIN_SECONDS", default=45, least=0, most=600)
# No reply runs longer than this.
GENERATION_SECONDS = env.number("GENERATION_SECONDS", default=600, least=10, most=7200)

# --- API -----------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",  # the browsable API, signed in through the admin
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "chatplatform.kernel.api.EnvelopeRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": ["chatplatform.kernel.api.JSONBody"],
    "DEFAULT_PAGINATION_CLASS": "chatplatform.kernel.api.PageLimitPagination",
    "DEFAULT_SCHEMA_CLASS": "chatplatform.kernel.schema.EnvelopeSchema",
    "EXCEPTION_HANDLER": "chatplatform.kernel.api.render_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "chatplatform",
    "DESCRIPTION": "A chat server for many AI models. Every answer comes in an envelope: "
    "`{success, data, meta?}` or `{success, error: {code, message, details?}}`.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {"GenerationStatus": "conversations.models.Generation.Status"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CORS_ALLOWED_ORIGINS = ALLOWED_ORIGINS
CORS_URLS_REGEX = r"^/api/v1/.*$"

# --- Browser safety ------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "object-src": [NONE],
    }
}
# The admin's theme computes expressions in the page; nothing else may.
ADMIN_SCRIPT_SOURCES = [SELF, UNSAFE_EVAL, UNSAFE_INLINE]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
# Sub-domains, preloading and the redirect to https are the operator's to decide: they bind the whole domain, and the
# proxy in front usually redirects.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
    SECURE_HSTS_SECONDS = env.number("HSTS_SECONDS", default=31536000)
    SECURE_SSL_REDIRECT = env.flag("SSL_REDIRECT", default=False)

# --- Files served by ourselves -------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Without a collected folder (a checkout) the files are found in the packages; an image collects them once.
SERVESTATIC_USE_FINDERS = not STATIC_ROOT.is_dir()
SERVESTATIC_AUTOREFRESH = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# --- Language and time ---------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
USE_I18N = USE_TZ = True
TIME_ZONE = "UTC"

# --- Admin ---------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "chatplatform",
    "SITE_HEADER": "chatplatform",
    "SITE_SUBHEADER": words("Operations", "运营后台"),
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "BORDER_RADIUS": "6px",
}

# --- Logs ----------------------------------------------------------------
LOGGING = logs.configuration(
    level=env.text("LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR")),
    form=env.text("LOG_FORMAT", default="json" if PRODUCTION else "console", choices=("json", "console")),
)
