"""The demo project. It reads the variables of docs/settings.md and needs none of them."""

from __future__ import annotations

import os
from pathlib import Path

from project.database_url import default_database_url, parse_database_url
from project.embedded_s3 import ACCESS_KEY, PORT
from project.embedded_s3 import SECRET_KEY as S3_SECRET_KEY

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "a demo has no secrets")
DEBUG = False  # `make serve` has its static files from `runserver --insecure`
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"

DATABASES = {"default": parse_database_url(os.environ.get("DATABASE_URL") or default_database_url())}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_q",
    "imagesync",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "project" / "static"]

# The defaults are the embedded S3's, at the port where `make serve` (and `python -m project.embedded_s3`) has
# it. Who brings an access key has a store elsewhere: without an endpoint, that is AWS.
S3_ACCESS_KEY = os.environ.get("AWS_S3_ACCESS_KEY_ID") or None
S3_ENDPOINT = os.environ.get("AWS_S3_ENDPOINT_URL") or (None if S3_ACCESS_KEY else f"http://127.0.0.1:{PORT}")
STORAGES = {
    "default": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": os.environ.get("AWS_STORAGE_BUCKET_NAME") or "realtor-image-generator",
            "region_name": os.environ.get("AWS_S3_REGION_NAME") or "eu-north-1",
            "endpoint_url": S3_ENDPOINT,
            "access_key": S3_ACCESS_KEY or ACCESS_KEY,
            "secret_key": os.environ.get("AWS_S3_SECRET_ACCESS_KEY") or S3_SECRET_KEY,
            "location": os.environ.get("AWS_LOCATION", ""),
            "addressing_style": os.environ.get("AWS_S3_ADDRESSING_STYLE")
            or ("path" if S3_ENDPOINT else "virtual"),
            "signature_version": os.environ.get("AWS_S3_SIGNATURE_VERSION") or "s3v4",
            "file_overwrite": False,
        },
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# A task is delivered again after `retry` seconds: it must be longer than `timeout`, with room for the time
# that a task waits in the cluster's own queue (docs/schedule.md).
Q_CLUSTER = {
    "name": "imagesync-demo",
    "workers": 2,
    "queue_limit": 2,
    "bulk": 1,
    "timeout": 3000,
    "retry": 12000,
    "max_attempts": 2,
    "ack_failures": True,
    "catch_up": False,
    "label": "Tasks",
    **({"redis": os.environ["REDIS_URL"]} if os.environ.get("REDIS_URL") else {"orm": "default"}),
}

IMAGESYNC: dict[str, object] = {}
