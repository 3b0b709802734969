"""What a browser got from the site's URL of an image that is there -> a diagnosis.

Sources: "Authenticating Requests: Using Query Parameters" and "Error responses", Amazon S3 API reference; "Virtual
hosting of buckets" and "Request routing", Amazon S3 User Guide.
"""

from __future__ import annotations

import re
from typing import Protocol

from imagesync.core.diagnosis import DEFAULT_REGION, Diagnosis, Place, is_same_region

_GLOBAL_HOST = re.compile(r"(?:.+\.)?s3\.amazonaws\.com")
_PATH_HOST = re.compile(r"s3(?:\.dualstack)?(?:[.-][a-z]+(?:-[a-z]+)+-\d)?\.amazonaws\.com(?:\.cn)?")
_LOOPBACK = ("localhost", "127.", "[::1]")
FOREIGN_TYPES = ("text/html", "application/xml", "text/xml", "application/json")
"""What an error page, a log-in page or an API answers with."""


class Address(Protocol):
    """What may be told of a URL (storage/browser.py)."""

    @property
    def host(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def region(self) -> str: ...


class Browsed(Protocol):
    """The answer to one plain request (storage/browser.py)."""

    @property
    def address(self) -> Address: ...
    @property
    def status(self) -> int | None: ...
    @property
    def code(self) -> str: ...
    @property
    def redirected_to(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def loads(self) -> bool: ...


def url_failure(place: Place, browsed: Browsed, bucket_region: str) -> Diagnosis | None:
    """Why a browser does not get the image; None when it does. ``bucket_region`` is empty when nobody told it."""
    address = browsed.address
    if browsed.loads:
        return _foreign(browsed) if browsed.content_type in FOREIGN_TYPES else None
    if browsed.status is None:
        return Diagnosis(
            id="url_unreachable",
            fact=f"The site's URL of an image that is there names the host {address.host}, which gives no answer "
            f"({browsed.code}).",
            hint=f"Check endpoint_url and custom_domain of {_options(place)}: browsers must be able to reach the host, too.",
        )
    if browsed.status == 429 or browsed.status >= 500:
        return Diagnosis(
            id="url_failed",
            fact=f"{address.host} fails at the site's URL of an image that is there ({_answer(browsed)}).",
            hint="Try again later; look at what stands before S3 (custom_domain, a CDN, a proxy).",
        )
    if 300 <= browsed.status < 400:
        return _redirected(place, browsed, bucket_region)
    if address.signature == "v2":
        return signature_v2(place, _refused(browsed))
    return Diagnosis(
        id="url_refused", fact=f"{_refused(browsed)}{_scope(browsed, bucket_region)}", hint=_remedy(place, browsed, bucket_region)
    )  # fmt: skip


def redirect_stops_browsers(browsed: Browsed) -> bool:
    """A signature covers the host, so a signed URL does not survive a redirect; a plain one does."""
    return browsed.address.signature != "none"


def signature_v2(place: Place, fact: str) -> Diagnosis:
    return Diagnosis(
        id="url_signature_v2",
        fact=f"{fact} The URL is signed with Signature Version 2, which S3 refuses in every region opened since 2014 "
        "and for newer buckets everywhere.",
        hint=f'Set AWS_S3_SIGNATURE_VERSION = "s3v4" (or "signature_version" in {_options(place)}), and '
        "AWS_S3_REGION_NAME to the bucket's region.",
    )


def url_not_built(place: Place, why: str) -> Diagnosis:
    return Diagnosis(
        id="url_not_built",
        fact=f"The storage {place.alias!a} makes no URL that a browser could ask S3 for: {why}.",
        hint=f"Check custom_domain, url_protocol and credentials in {_options(place)}.",
    )


def plain_http(place: Place, host: str) -> Diagnosis | None:
    if host.startswith(_LOOPBACK):
        return None
    return Diagnosis(
        id="plain_http",
        fact=f"The site's URLs at {host} are plain http, so whoever is on the way reads images and signatures; pages "
        "of https do not show such images.",
        hint='Write "https://" in AWS_S3_ENDPOINT_URL; set AWS_S3_URL_PROTOCOL = "https:" and AWS_S3_USE_SSL = True '
        f"(or their names in {_options(place)}).",
    )


def global_host(place: Place, host: str, bucket_region: str) -> Diagnosis | None:
    """The global host redirects to the bucket's own region, and a signature covers the host."""
    if bucket_region in ("", DEFAULT_REGION) or not _GLOBAL_HOST.fullmatch(host.partition(":")[0]):
        return None
    return Diagnosis(
        id="global_host",
        fact=f"The site's URLs name the global host {host}; the bucket is in {bucket_region}. S3 may answer with a "
        "redirect that breaks the signature, above all in a bucket's first hours.",
        hint=f'Set AWS_S3_ADDRESSING_STYLE = "virtual" (or "addressing_style" in {_options(place)}) and '
        f'AWS_S3_REGION_NAME = "{bucket_region}".',
    )


def path_style(place: Place, host: str) -> Diagnosis | None:
    if not _PATH_HOST.fullmatch(host.partition(":")[0]):
        return None
    return Diagnosis(
        id="path_style",
        fact=f"The site's URLs address the bucket by path at {host}, which AWS means to discontinue.",
        hint=f'Set AWS_S3_ADDRESSING_STYLE = "virtual" (or "addressing_style" in {_options(place)}), and no endpoint_url '
        "for AWS.",
    )


def _foreign(browsed: Browsed) -> Diagnosis:
    return Diagnosis(
        id="url_foreign_answer",
        fact=f"The site's URL of an image at {browsed.address.host} answers with {browsed.content_type} "
        f"(HTTP {browsed.status}).",
        hint="If that is not what was uploaded, something between answers for S3: a log-in page, a CDN's own page.",
    )


def _redirected(place: Place, browsed: Browsed, bucket_region: str) -> Diagnosis:
    to = browsed.redirected_to or "somewhere that it does not name"
    went = (
        f"The site's URL of an image that is there is redirected (HTTP {browsed.status}) from {browsed.address.host} to "
        f"{to};"
    )
    if not redirect_stops_browsers(browsed):
        return Diagnosis(
            id="url_redirected",
            fact=f"{went} each image costs a visitor two requests.",
            hint=f"Name the host where the redirect leads in custom_domain or endpoint_url of {_options(place)}.",
        )
    region = f'"{bucket_region}"' if bucket_region else "the bucket's region"
    return Diagnosis(
        id="url_redirected",
        fact=f"{went} the signature is for the first host, so the second refuses it.",
        hint=f'Set AWS_S3_ADDRESSING_STYLE = "virtual" and AWS_S3_REGION_NAME to {region} (or their names in '
        f"{_options(place)}), so that URLs name the regional host.",
    )


def _refused(browsed: Browsed) -> str:
    return (
        f"A browser that asks {browsed.address.host} for an image that is there gets {_answer(browsed)}, while the "
        "same object answers the application."
    )


def _scope(browsed: Browsed, bucket_region: str) -> str:
    signed_for = browsed.address.region
    if not signed_for or not bucket_region or is_same_region(signed_for, bucket_region):
        return ""
    return f" The URL is signed for {signed_for}; the bucket is in {bucket_region}."


def _remedy(place: Place, browsed: Browsed, bucket_region: str) -> str:
    options = _options(place)
    if _scope(browsed, bucket_region):
        return f'Set AWS_S3_REGION_NAME = "{bucket_region}" (or "region_name" in {options}).'
    if browsed.address.signature == "none":
        return (
            f"The URL carries no signature (custom_domain or querystring_auth = False in {options}): let the host read "
            "the bucket (a CDN's origin access), make the objects public, or have URLs signed."
        )
    if browsed.status == 404:
        return f"The URL names another object than the application reads: check custom_domain, endpoint_url and location in {options}."
    return _REMEDIES.get(browsed.code, _REMEDIES[""]).format(options=options)


_REMEDIES = {
    "AuthorizationQueryParametersError": "Check AWS_S3_REGION_NAME, and that AWS_QUERYSTRING_EXPIRE is at most 604800 "
    "(a week), in {options} too.",
    "SignatureDoesNotMatch": "Something changes the URL or the host on its way (a proxy, a CDN, custom_domain), or "
    "the secret key is wrong: check {options}.",
    "ExpiredToken": "The URL outlives the credentials that signed it: set AWS_QUERYSTRING_EXPIRE below their lifetime.",
    "AccessDenied": "Allow s3:GetObject (and kms:Decrypt for encrypted objects) to the key that signs in {options}, and check "
    "that AWS_QUERYSTRING_EXPIRE is not over before a page is shown.",
    "": "Compare the credentials, the region and the host that {options} sign URLs with to those of the application.",
}


def _answer(browsed: Browsed) -> str:
    return f"HTTP {browsed.status} {browsed.code}".strip()


def _options(place: Place) -> str:
    return f'STORAGES["{place.alias}"]["OPTIONS"]'
