"""THE MISTAKE, kept as a warning: one HEAD per record, every failure taken for "gone".

This is the script of the incident, but for its last line: it deletes nothing here.
"""

from __future__ import annotations

import os

import django
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from django.conf import settings


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    from imagesync.models import Image

    options = settings.STORAGES["default"]["OPTIONS"]
    signer = S3SigV4Auth(
        Credentials(options["access_key"], options["secret_key"]), "s3", options["region_name"]
    )
    http = urllib3.PoolManager()
    gone = []
    for image in Image.objects.order_by("pk"):
        request = AWSRequest("HEAD", f"{options['endpoint_url']}/{options['bucket_name']}/{image.file.name}")
        signer.add_auth(request)
        answer = http.request("HEAD", request.url, headers=dict(request.headers), redirect=False)
        exists = answer.status == 200  # the mistake: 400, 403 and 503 are not "gone"
        print(f"{image.title}  HEAD -> {answer.status}  {'there' if exists else 'gone'}")
        if not exists:
            gone.append(image)
    print(
        f"{len(gone)} of {Image.objects.count()} images are gone. The incident's script deleted all of them."
    )


if __name__ == "__main__":
    main()
