"""What an audit or a purge is asked to look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError

from imagesync.core.ranges import MAX_KEY_BYTES, key_is_sendable
from imagesync.exceptions import InvalidRequest, NothingMatches

MAX_SAMPLE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The part of a source that is meant; everything empty means all of it."""

    fields: tuple[str, ...] = ()
    """``app.Model.field``"""
    prefix: str = ""
    """Of the full key, the storage's location included."""
    keys: tuple[str, ...] = ()
    """Full keys."""
    ids: tuple[tuple[str, str], ...] = ()
    """(``app.Model``, pk as text); ``app.Model.field`` where one file of a row is meant, as in a sample."""
    sample: int = 0
    """How many records to draw at random; ``ids`` holds them once they are drawn."""
    population: int = 0
    """Of how many records the sample was drawn."""
    job: int = 0
    """The records that were selected in the admin for this job; nothing but what it selected."""
    adopt: tuple[str, ...] = field(default=())
    """Fingerprints of stores that moved here: their records count as this store's."""
    first_key: str = ""
    """Of a stretch of the key space: its first key; empty for the beginning."""
    end_key: str | None = None
    """The key that ends the stretch, exclusive; None for the end."""

    @property
    def is_full(self) -> bool:
        narrowed = self.fields or self.prefix or self.keys or self.ids or self.sample or self.job
        return not narrowed and not self.is_stretch

    @property
    def is_stretch(self) -> bool:
        """Whether it is a slice of the key space, as audits for freshness have it."""
        return bool(self.first_key) or self.end_key is not None

    @property
    def is_explicit(self) -> bool:
        """Whether single records are named, rather than a stretch of keys."""
        return bool(self.keys or self.ids or self.sample)

    @property
    def hash(self) -> str:
        """Two audits of the same store and hash do the same work."""
        document = asdict(self)
        # the hashes of audits from before there were jobs and slices stay what they are
        for name in ("job", "first_key", "end_key"):
            if not document[name]:
                del document[name]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: only what narrows."""
        document = {name: value for name, value in asdict(self).items() if value}
        if self.ids:
            document["ids"] = [f"{model}:{pk}" for model, pk in self.ids]
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Scope:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        if "ids" in values:
            values["ids"] = tuple(tuple(label.split(":", 1)) for label in values["ids"])
        return cls(**values)


def parse_scope(
    *,
    fields: Iterable[str] = (),
    prefix: str = "",
    keys: Iterable[str] = (),
    ids: Iterable[str] = (),
    sample: int = 0,
    adopt: Iterable[str] = (),
) -> Scope:
    """A Scope from what people type. Raises InvalidRequest or NothingMatches."""
    if sample and not 1 <= sample <= MAX_SAMPLE:
        raise InvalidRequest(f"--sample {sample}: write a number from 1 to {MAX_SAMPLE:,}.")
    return Scope(
        fields=tuple(sorted(set(fields))),
        prefix=checked_key(prefix, "--prefix") if prefix else "",
        keys=tuple(sorted({checked_key(key, "--key") for key in keys})),
        ids=tuple(sorted({_parse_id(one) for one in ids})),
        sample=sample,
        adopt=tuple(sorted({_checked_fingerprint(one) for one in adopt})),
    )


def checked_key(key: str, option: str) -> str:
    """``key`` as it is, when S3 could hold it; ``option`` is where it was typed. Raises InvalidRequest."""
    if "\0" in key:
        raise InvalidRequest(
            f"{option}: a key with a NUL character cannot be stored in a database or sent to S3."
        )
    if not key_is_sendable(key):
        size = len(key.encode(errors="surrogatepass"))
        raise InvalidRequest(
            f"{option}: S3 keys have 1 to {MAX_KEY_BYTES:,} bytes of valid UTF-8; this one has {size:,}."
            if size == 0 or size > MAX_KEY_BYTES
            else f"{option}: this key is not valid Unicode, so S3 cannot hold it."
        )
    return key


def _checked_fingerprint(text: str) -> str:
    if not (8 <= len(text) <= 64 and all(character in "0123456789abcdef" for character in text)):
        raise InvalidRequest(
            f"--adopt {text!r}: a store's fingerprint is expected, as an audit's report prints it."
        )
    return text


def _parse_id(text: str) -> tuple[str, str]:
    label, colon, pk = text.partition(":")
    if not colon:
        label, pk = "imagesync.Image", text
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise NothingMatches(f"--id {text!r}: there is no model {label!r}. Write app.Model:pk.") from error
    try:
        value = model._meta.pk.to_python(pk)
        model._meta.pk.run_validators(value)
    except ValidationError as error:
        raise InvalidRequest(f"--id {text!r}: {pk!r} is not a primary key of {model._meta.label}.") from error
    if "\0" in pk or any("\ud800" <= character <= "\udfff" for character in pk):
        raise InvalidRequest(
            f"--id {text!r}: a primary key cannot hold a NUL character or what is no Unicode."
        )
    return model._meta.concrete_model._meta.label, str(value)  # a proxy's records are audited as its model's
