"""The URL that the site hands out for an image: does a browser get the image from it, and if not, why not.

Causes and cures: "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", Amazon S3 API
reference, and "Virtual hosting of buckets", S3 User Guide; how each looks is in docs/commands.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imagesync.core.diagnosis import DEFAULT_REGION, Place

_OTHER_NAMES = {"": DEFAULT_REGION, "aws-global": DEFAULT_REGION, "EU": "eu-west-1"}
_REDIRECTS = (301, 302, 303, 307, 308)
_REFUSALS = (400, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUrl:
    """What may be told of such a URL, and what a plain request for it brought."""

    host: str = ""
    scheme: str = ""
    signature: str = ""
    """``v4``, ``v2``, ``cloudfront`` or ``none``."""
    region: str = ""
    """Of a version 4 signature's scope."""
    status: int | None = None
    code: str = ""
    redirected_to: str = ""
    """A host."""
    content_type: str = ""
    error: str = ""
    """Why there is no URL to ask for: the class name of what the storage raised."""

    @property
    def loads(self) -> bool:
        return self.status in (200, 206)

    @property
    def answer(self) -> str:
        """``400 InvalidRequest``, or what went wrong instead of an answer."""
        return f"{self.status or 'no answer'} {self.code}".strip()

    def to_dict(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "scheme": self.scheme,
            "signature": self.signature,
            "region": self.region,
            "status": self.status,
            "code": self.code,
            "redirected_to": self.redirected_to,
            "content_type": self.content_type,
            "loads": self.loads,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class UrlFault:
    """Why a browser does not get an object that is there: two clauses of a sentence."""

    id: str
    fact: str
    step: str


def url_fault(url: SiteUrl, place: Place, *, bucket_region: str = "") -> UrlFault | None:
    """None when a browser gets it. ``bucket_region`` is as the server told it; empty when it did not."""
    options = f'STORAGES["{place.alias}"]["OPTIONS"]'
    if url.error:
        return UrlFault(
            "url_not_made",
            f"the storage makes no URL that a browser could ask for ({url.error})",
            f"check custom_domain, querystring_auth and the credentials in {options}",
        )
    if url.loads:
        return _loaded_fault(url)
    if url.status is None:
        return UrlFault(
            "url_unanswered",
            f"{url.host}, the host of the site's URL, gives this machine no answer ({url.code})",
            f"check custom_domain and endpoint_url in {options}: visitors must reach that host",
        )
    if url.status in _REDIRECTS:
        return _redirected(url, bucket_region or place.region or DEFAULT_REGION)
    return _signature_fault(url, place, options, bucket_region) or _refused(url, options)


def _loaded_fault(url: SiteUrl) -> UrlFault | None:
    if url.content_type not in ("text/html", "application/xhtml+xml"):
        return None
    return UrlFault(
        "url_gives_a_page",
        f"the site's URL is answered with a web page ({url.content_type}) by {url.host}",
        "find out what answers there (a login page, a proxy), or store the object with its own content type",
    )


def _redirected(url: SiteUrl, region: str) -> UrlFault:
    elsewhere = url.redirected_to or "a place that it does not name"
    if url.host.endswith(".amazonaws.com"):
        step = (
            f'set AWS_S3_REGION_NAME = "{region}" and AWS_S3_ADDRESSING_STYLE = "virtual", so that URLs name '
            "the bucket's regional host, which their signature covers"
        )
    else:
        step = f"have the site hand out URLs of {elsewhere} (custom_domain or endpoint_url)"
    return UrlFault(
        "url_redirected", f"the site's URL is redirected from {url.host} to {elsewhere} ({url.status})", step
    )


def _signature_fault(url: SiteUrl, place: Place, options: str, bucket_region: str) -> UrlFault | None:
    """What is wrong with how the URL is signed, as far as the URL itself shows it."""
    if url.status not in _REFUSALS:
        return None
    real = bucket_region or place.region or DEFAULT_REGION
    if url.signature == "v2":
        return UrlFault(
            "url_signature_v2",
            f"the URL of the site is signed by Signature Version 2 and a browser gets {url.answer}",
            f'set AWS_S3_SIGNATURE_VERSION = "s3v4" and AWS_S3_REGION_NAME = "{real}" (or "signature_version" and '
            f'"region_name" in {options}; both are ignored beside "client_config")',
        )
    if url.signature == "v4" and bucket_region and not _is_same_region(url.region, bucket_region):
        return UrlFault(
            "url_wrong_region",
            f"the URL of the site is signed for {url.region or 'no region'} and a browser gets {url.answer}",
            f'set AWS_S3_REGION_NAME = "{real}" (or "region_name" in {options})',
        )
    if url.signature == "v4" and url.code == "AuthorizationQueryParametersError":
        return UrlFault(
            "url_wrong_region",
            f"the URL of the site is signed for {url.region or 'no region'} and a browser gets {url.answer}",
            f"set AWS_S3_REGION_NAME to the bucket's region (aws s3api get-bucket-location --bucket {place.bucket})",
        )
    return None


def _refused(url: SiteUrl, options: str) -> UrlFault:
    """What the status and the code alone tell."""
    if url.status == 404:
        return UrlFault(
            "url_leads_elsewhere",
            f"the site's URL leads to another place: {url.host} answers {url.answer}",
            f"check custom_domain and location in {options}, and the origin path of a CDN",
        )
    if url.status == 403 and url.signature == "none":
        return UrlFault(
            "url_not_signed",
            f"the site's URL is not signed and {url.host} answers {url.answer}",
            f"set AWS_QUERYSTRING_AUTH = True (or a CloudFront signer beside custom_domain in {options}), or allow "
            "everybody to read the object on purpose",
        )
    if url.code == "SignatureDoesNotMatch":
        return UrlFault(
            "url_signature_refused",
            f"the signature of the site's URL does not match what a browser asks {url.host} for ({url.answer})",
            'check the secret key, proxies that change host or path, and keys with "." or ".." between slashes, '
            "which browsers resolve",
        )
    if url.status == 403:
        return UrlFault(
            "url_denied",
            f"a browser with the site's URL is refused by {url.host} ({url.answer})",
            "allow s3:GetObject (and kms:Decrypt) to the key that signs, and check its expiry and this machine's clock",
        )
    if url.status == 429 or (url.status is not None and url.status >= 500):
        return UrlFault(
            "url_failed", f"{url.host} fails when a browser asks ({url.answer})", "try again later"
        )
    return UrlFault(
        "url_refused",
        f"a browser with the site's URL gets {url.answer} from {url.host}",
        "compare the host with endpoint_url and the signature with the bucket's region; imagesync_doctor tells more",
    )


def _is_same_region(one: str, other: str) -> bool:
    return _OTHER_NAMES.get(one, one) == _OTHER_NAMES.get(other, other)
