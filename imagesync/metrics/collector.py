"""Our figures on a page that prometheus_client makes: pip install "django-imagesync[prometheus]"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from imagesync.metrics.figures import described, gauges
from imagesync.reports import Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily


class ImageSyncCollector:
    """What prometheus_client asks at each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return _families(gauges())

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names alone: registering asks for them, when there may be no database yet."""
        return _families(described())


def register_collector(registry: CollectorRegistry | None = None) -> ImageSyncCollector:
    """Add the figures to a registry (default: prometheus_client's own). Raises ImportError without prometheus_client."""
    from prometheus_client import REGISTRY

    collector = ImageSyncCollector()
    (registry or REGISTRY).register(collector)
    return collector


def _families(found: Iterable[Gauge]) -> Iterator[GaugeMetricFamily]:
    from prometheus_client.core import GaugeMetricFamily

    for gauge in found:
        family = GaugeMetricFamily(gauge.name, gauge.help)
        for labels, value in gauge.samples:
            family.add_sample(gauge.name, dict(labels), value)
        yield family
