"""Storage looks: the only room that knows boto3, botocore and django-storages."""

from __future__ import annotations
