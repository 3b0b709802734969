"""Settings of the test suite: no network, no AWS account, SQLite unless TEST_DATABASE says ``postgres``."""

from __future__ import annotations

import os
from pathlib import Path

from tests.databases import test_database

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"

DATABASES = {"default": test_database(os.environ)}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_q",
    "imagesync",
    "tests.testapp",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
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
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Port 9 (discard) on the loopback: whoever calls S3 without a store of his own is refused at once.
STORAGES = {
    "default": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": "test-bucket",
            "region_name": "eu-north-1",
            "endpoint_url": "http://127.0.0.1:9",
            "access_key": "AKIDTEST",
            "secret_key": "test-secret",
            "addressing_style": "path",
            "file_overwrite": False,
        },
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "disk": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
}

Q_CLUSTER = {
    "name": "imagesync-tests",
    "orm": "default",
    "workers": 1,
    "timeout": 50,
    "retry": 200,
    "max_attempts": 1,
    "catch_up": False,
    "poll": 0.2,
}
IMAGESYNC: dict[str, object] = {"CONNECT_TIMEOUT": 2, "READ_TIMEOUT": 5, "MAX_ATTEMPTS": 2}
