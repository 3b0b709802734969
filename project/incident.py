"""The incident's data: twelve records, six objects, one bucket in eu-north-1."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from PIL import Image as Picture
from PIL import ImageDraw

from project.embedded_s3 import EmbeddedS3

BUCKET = "realtor-image-generator"
REGION = "eu-north-1"
WRONG_REGION = "us-east-1"

IDS = (
    "img_1761529430465_3by50ra1h",
    "img_1761529166082_dovohhg8g",
    "img_1761528874117_9alvg2ojc",
    "img_1761528553951_lq45sj3hb",
    "img_1761528132842_0b0qmbknp",
    "img_1761527862831_ui6wkcfqh",
    "img_1761527450238_4jchbznk9",
    "img_1761505511531_fsnvxro7l",
    "img_1761505241718_icxmybzrg",
    "img_1761504765823_hai8u3dph",  # the one whose page said "Failed to load original image"
    "img_1761501704442_rjyfbp2xm",
    "img_1761498576517_ouc4zbtnb",
)
GONE = frozenset(IDS[index] for index in (1, 3, 5, 7, 9, 11))


def key_of(image_id: str) -> str:
    return f"images/{image_id}.jpg"


def taken_at(image_id: str) -> datetime:
    """The ids carry the millisecond at which their image was made."""
    return datetime.fromtimestamp(int(image_id.split("_")[1]) / 1000, UTC)


def fill_bucket(s3: EmbeddedS3) -> None:
    s3.create_bucket(BUCKET, REGION)
    for number, image_id in enumerate(IDS):
        if image_id not in GONE:
            s3.put(BUCKET, key_of(image_id), draw_house(number))


def fill_database() -> None:
    """Twelve records, imported by name as a migration from an older system would."""
    from imagesync.models import Image

    Image.objects.bulk_create(
        Image(file=key_of(image_id), title=image_id, created_at=taken_at(image_id)) for image_id in IDS
    )


def draw_house(number: int) -> bytes:
    """A small picture of a house, another one for each number, as JPEG."""
    size = (480, 360)
    picture = Picture.new("RGB", size, f"hsl({205 + 8 * (number % 4)}, 60%, {72 + number % 5}%)")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 250, *size), fill=f"hsl({90 + 6 * number}, 35%, 45%)")
    left, width, height = 110 + 9 * (number % 5), 200 + 7 * (number % 6), 110 + 6 * (number % 4)
    top = 260 - height
    draw.rectangle((left, top, left + width, 270), fill=f"hsl({(28 * number) % 360}, 38%, 62%)")
    roof = [(left - 18, top), (left + width / 2, top - 70), (left + width + 18, top)]
    draw.polygon(roof, fill=f"hsl({(28 * number + 160) % 360}, 30%, 34%)")
    for column in range(3):
        x = left + 22 + column * (width - 60) / 2
        draw.rectangle((x, top + 22, x + 26, top + 52), fill="#fff3c4", outline="#5b4636")
    draw.rectangle((left + width / 2 - 14, 218, left + width / 2 + 14, 270), fill="#5b4636")
    out = BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()
