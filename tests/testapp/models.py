"""A small shop around images: every kind of relation and of column that a purge may meet."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from imagesync.models import AbstractImage, Image
from imagesync.uploads import VerifiedFileField, VerifiedImageField, VerifiedUploadMixin


class Product(models.Model):
    """A record with a file beside its own data."""

    name = models.CharField(max_length=255)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    photo = models.FileField(upload_to="products/", blank=True, max_length=255)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class ProductImage(models.Model):
    """Goes along with its image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="uses")
    product = models.ForeignKey(Product, null=True, on_delete=models.CASCADE)
    position = models.IntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "position"], name="testapp_position")]

    def __str__(self) -> str:
        return f"{self.position}"


class Album(models.Model):
    """Images by a many-to-many relation whose table Django makes, and a self relation."""

    title = models.CharField(max_length=255)
    images = models.ManyToManyField(Image)
    friends = models.ManyToManyField("self")

    def __str__(self) -> str:
        return self.title


class Show(models.Model):
    """Images by a many-to-many relation with columns of its own."""

    title = models.CharField(max_length=255)
    images = models.ManyToManyField(Image, through="Slide")

    def __str__(self) -> str:
        return self.title


class Slide(models.Model):
    """A through-row with a column of every kind."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    show = models.ForeignKey(Show, null=True, on_delete=models.CASCADE)
    image = models.ForeignKey(Image, on_delete=models.CASCADE)
    shown_at = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    at = models.TimeField(null=True)
    lasts = models.DurationField(null=True)
    raw = models.BinaryField(null=True)
    price = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    weight = models.FloatField(null=True)
    count = models.BigIntegerField(null=True)
    flag = models.BooleanField(null=True)
    note = models.TextField(blank=True)
    token = models.UUIDField(null=True)
    extra = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    config = models.JSONField(default=dict)
    touched_at = models.DateTimeField(auto_now=True)
    twice = models.GeneratedField(
        expression=models.F("count") * 2, output_field=models.BigIntegerField(), db_persist=True
    )

    def __str__(self) -> str:
        return str(self.id)


class Cover(models.Model):
    """Stays and loses its image."""

    image = models.ForeignKey(Image, null=True, on_delete=models.SET_NULL)
    title = models.CharField(max_length=255)

    def __str__(self) -> str:
        return self.title


def standard_image() -> int:
    """The pk that ``Banner.image`` falls back to."""
    return 1


class Banner(models.Model):
    """Stays and falls back to image 1, which must exist."""

    image = models.ForeignKey(Image, default=standard_image, on_delete=models.SET_DEFAULT)

    def __str__(self) -> str:
        return f"banner {self.pk}"


def standard_image_row() -> Image:
    return Image.objects.get(pk=1)


class Poster(models.Model):
    """Stays and falls back to image 1, named by an instance."""

    image = models.OneToOneField(Image, on_delete=models.SET(standard_image_row))

    def __str__(self) -> str:
        return f"poster {self.pk}"


class Contract(models.Model):
    image = models.ForeignKey(Image, on_delete=models.PROTECT)

    def __str__(self) -> str:
        return f"contract {self.pk}"


class Restricted(models.Model):
    image = models.ForeignKey(Image, on_delete=models.RESTRICT)

    def __str__(self) -> str:
        return f"restricted {self.pk}"


class Loose(models.Model):
    """Django leaves its rows alone."""

    image = models.ForeignKey(Image, on_delete=models.DO_NOTHING)

    def __str__(self) -> str:
        return f"loose {self.pk}"


class Tagged(models.Model):
    """A tag on anything. Only a ``Picture`` has the way back, so only its tags go along."""

    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=64)
    target = GenericForeignKey("content_type", "object_id")
    word = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.word


class Picture(AbstractImage):
    """A project's own image model, with tags."""

    tags = GenericRelation(Tagged)


class PictureProxy(Picture):
    class Meta:
        proxy = True


class Child(Picture):
    """The other half of a picture, in a table of its own."""

    caption = models.CharField(max_length=255)
    scan = models.FileField(upload_to="scans/", blank=True)

    class Meta:  # Django would hand down AbstractImage's, whose constraint is of another table
        verbose_name = "child"


class PictureNote(models.Model):
    """Goes along with either half."""

    picture = models.ForeignKey(Picture, on_delete=models.CASCADE)
    text = models.TextField()

    def __str__(self) -> str:
        return self.text


class Document(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    document = models.FileField(upload_to="documents/")
    replaces = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.id)


class Sheet(models.Model):
    """Its primary key is text, which a database orders by a language unless told otherwise."""

    number = models.CharField(primary_key=True, max_length=32)
    paper = models.FileField(upload_to="sheets/")

    def __str__(self) -> str:
        return self.number


class TwoFiles(models.Model):
    file = models.FileField(upload_to="two/")
    thumbnail = models.FileField(upload_to="two/thumbnails/", blank=True)
    uploaded_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.file.name


class Edition(models.Model):
    """A file made of another one, or for a product; it stays when that goes, and forgets it."""

    file = models.FileField(upload_to="editions/")
    made_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)
    product = models.ForeignKey(Product, null=True, on_delete=models.SET_NULL)
    published_on = models.DateField(null=True)

    def __str__(self) -> str:
        return self.file.name


class MaybeFile(models.Model):
    """NULL and the empty name are two things in the database, and one in Django."""

    file = models.FileField(upload_to="maybe/", null=True, blank=True)

    def __str__(self) -> str:
        return self.file.name or "no file"


class Left(models.Model):
    """Half of a circle of foreign keys, behind an image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE)
    right = models.ForeignKey("Right", on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"left {self.pk}"


class Right(models.Model):
    left = models.ForeignKey(Left, null=True, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"right {self.pk}"


class Visible(models.Manager["Remark"]):
    def get_queryset(self) -> models.QuerySet[Remark]:
        return super().get_queryset().filter(deleted=False)


class Remark(models.Model):
    """Soft deletion: the default manager hides rows, Django's base manager does not."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE)
    deleted = models.BooleanField(default=False)

    objects = Visible()

    def __str__(self) -> str:
        return f"remark {self.pk}"


class Ordered(models.Model):
    """Django numbers these when it inserts them, also when it inserts them raw."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE)

    class Meta:
        order_with_respect_to = "image"

    def __str__(self) -> str:
        return f"ordered {self.pk}"


class Point:
    """A value of a class that the database does not know."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __str__(self) -> str:
        return f"{self.x};{self.y}"


class PointField(models.Field):
    """A custom field that can be written and read."""

    def db_type(self, connection: Any) -> str:
        return "varchar(32)"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return self.to_python(value)

    def to_python(self, value: Any) -> Any:
        return Point(*map(int, value.split(";"))) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, Point) else value


class OneWayField(PointField):
    """A custom field that cannot be read back from its own text."""

    def value_to_string(self, obj: Any) -> str:
        return "0;0"


class Spot(models.Model):
    image = models.ForeignKey(Image, on_delete=models.CASCADE)
    at = PointField()

    def __str__(self) -> str:
        return str(self.at)


class Blot(models.Model):
    image = models.ForeignKey(Image, on_delete=models.CASCADE)
    at = OneWayField()

    def __str__(self) -> str:
        return str(self.at)


if hasattr(models, "DB_CASCADE"):

    class DatabaseChild(models.Model):
        """Django 6.1: the database deletes these by itself. (What it points to may not point on in Python.)"""

        record = models.ForeignKey(TwoFiles, on_delete=models.DB_CASCADE)

        def __str__(self) -> str:
            return f"database child {self.pk}"


class Scan(VerifiedUploadMixin):
    """Somebody's own model, whose uploads are verified and remembered."""

    page = VerifiedFileField(upload_to="pages/", max_length=255)
    note = models.CharField(max_length=255, blank=True)

    def __str__(self) -> str:
        return self.page.name


class Portrait(models.Model):
    """Verified, with Django's own dimension fields, and nothing remembered."""

    face = VerifiedImageField(upload_to="faces/", width_field="wide", height_field="high", blank=True)
    wide = models.IntegerField(null=True)
    high = models.IntegerField(null=True)

    def __str__(self) -> str:
        return self.face.name
