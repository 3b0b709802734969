"""What visitors get: the URL that the site's own storage makes for an object that is certainly there, asked for as a
browser would; the host that it names; and what everybody may do without any signature."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from imagesync.core.advice import public_bucket, public_listing, public_objects
from imagesync.core.diagnosis import Diagnosis, Place
from imagesync.core.examination import Check, failed, fine, not_asked, warned
from imagesync.core.url_advice import (
    global_host,
    path_style,
    plain_http,
    redirect_stops_browsers,
    signature_v2,
    url_failure,
    url_not_built,
)
from imagesync.doctor.samples import Sample
from imagesync.doctor.site import settings_of
from imagesync.storage.browser import Address, Browsed, address_of, browse
from imagesync.storage.contract import Store
from imagesync.storage.questions import PublicAccess, everybody_lists, everybody_reads, public_access

ANY_NAME = "imagesync"
"""For the host of a URL nothing needs to be there."""


def url_checks(
    storage: Any, sample: Sample | None, place: Place, bucket_region: str, *, timeout: float
) -> list[Check]:
    """Ask for ``storage.url(name)`` of an object that is there. The URL itself is never told."""
    try:
        url = storage.url(sample.name if sample else ANY_NAME)
        address = address_of(url)
    except Exception as error:  # noqa: BLE001 - a storage is the project's own code; its text may hold a URL
        return [failed("url", url_not_built(place, _why(error)))]
    hosts = address_checks(place, address, bucket_region)
    if sample is None:
        return [not_asked("url", "No object is known to be there and readable, so no URL was tried."), *hosts]
    return [_url_check(place, browse(url, timeout=timeout), bucket_region), *hosts]


def signature_check(storage: Any, place: Place) -> Check | None:
    """A storage that is told to sign by version 2 signs its requests so, too, and S3 refuses both alike."""
    if settings_of(storage, place.alias).signature not in ("s3", "s3-query"):
        return None
    return failed("url", signature_v2(place, "S3 refuses every request, a browser's too."))


def _why(error: Exception) -> str:
    return str(error) if str(error).startswith("the URL is not") else f"it raised {type(error).__name__}"


def _url_check(place: Place, browsed: Browsed, bucket_region: str) -> Check:
    address = browsed.address
    diagnosis = url_failure(place, browsed, bucket_region)
    if diagnosis is not None:
        plain_redirect = diagnosis.id == "url_redirected" and not redirect_stops_browsers(browsed)
        return warned("url", diagnosis) if plain_redirect else failed("url", diagnosis)
    if address.signature == "v2":
        return warned("url", signature_v2(place, f"The site's URL answers at {address.host}."))
    signed = {"v4": f"signed for {address.region}", "cloudfront": "signed by CloudFront", "none": "unsigned"}
    kind = f", {browsed.content_type}" if browsed.content_type else ""
    return fine(
        "url",
        f"The site's URL at {address.host}, {signed[address.signature]}, answers HTTP {browsed.status}{kind}.",
    )


def address_checks(place: Place, address: Address, bucket_region: str) -> list[Check]:
    """What may be said against the host, whether it answers today or not."""
    found: list[Diagnosis | None] = [
        global_host(place, address.host, bucket_region) if address.signature != "none" else None,
        path_style(place, address.host),
        plain_http(place, address.host) if address.scheme == "http" else _endpoint(place),
    ]
    rows = [warned("address", diagnosis) for diagnosis in found if diagnosis is not None]
    return rows or [fine("address", f"URLs name the host {address.host}.")]


def _endpoint(place: Place) -> Diagnosis | None:
    parts = urlsplit(place.endpoint)
    return plain_http(place, parts.netloc) if parts.scheme == "http" else None


def public_checks(store: Store, sample: Sample | None, signs_urls: bool, *, timeout: float) -> list[Check]:
    """Ask as everybody may, then for what the bucket's own settings allow."""
    place = store.identity.place
    may_read = (
        everybody_reads(store, sample.key, timeout=timeout) if sample is not None and signs_urls else None
    )
    may_list = everybody_lists(store, timeout=timeout)
    access = public_access(store)
    rows: list[Check] = []
    if may_read:
        rows.append(warned("public", public_objects(place)))
    if may_list:
        rows.append(warned("public", public_listing(place)))
    granted = _granted(access, signs_urls=signs_urls, seen=bool(rows))
    if granted:
        weigh = failed if {"WRITE", "FULL_CONTROL", "WRITE_ACP"} & set(access.by_acl or ()) else warned
        rows.append(weigh("public", public_bucket(place, granted)))
    return rows or [_nothing_public(may_read, may_list, access)]


def _nothing_public(may_read: bool | None, may_list: bool | None, access: PublicAccess) -> Check:
    """Only what was really asked and refused is told."""
    refused = [
        *(["list the bucket"] if may_list is False else []),
        *(["read an object"] if may_read is False else []),
    ]
    told = "" if access.is_told else " S3 does not tell the bucket's own settings."
    if access.blocked:
        told = " Public access is blocked altogether."
    if not refused and not access.is_told:
        return not_asked("public", "The server does not say what is open to the public.")
    if not refused:
        return fine("public", f"What S3 tells of the bucket's settings opens nothing to the public.{told}")
    return fine("public", f"Nobody can {' or '.join(refused)} without a signature.{told}")


def _granted(access: PublicAccess, *, signs_urls: bool, seen: bool) -> list[str]:
    """What the settings open that the two questions did not already show, in words."""
    if access.blocked:
        return []
    granted = []
    if access.by_policy and signs_urls and not seen:
        granted.append("S3 calls its policy public")
    if access.by_acl:
        granted.append(
            f"its access list grants {', '.join(access.by_acl)} to everybody or to every AWS account"
        )
    return granted
