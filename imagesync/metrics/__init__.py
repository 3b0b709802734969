"""What Prometheus is told, read from the database when it asks. Nothing here calls S3.

``gauges()`` are the figures; ``metrics_view`` (or ``imagesync.urls``) is the endpoint, for who has the token or may
see audits; ``register_collector()`` adds them to the ``/metrics`` that a site has already.
"""

from __future__ import annotations

from imagesync.metrics.collector import register_collector
from imagesync.metrics.figures import gauges, lasting_gauges
from imagesync.metrics.views import metrics_view

__all__ = ["gauges", "lasting_gauges", "metrics_view", "register_collector"]
