"""Where most of what is missing lies."""

from __future__ import annotations

from imagesync.core.folders import worst_prefixes


def test_worst_prefixes__go_as_deep_as_they_still_tell_something() -> None:
    keys = [f"up/2026/03/{number}/x.jpg" for number in range(90)]
    keys += [f"up/2025/{number}/x.jpg" for number in range(10)]

    assert worst_prefixes(keys) == {"up/2026/03/": 90, **{f"up/2025/{number}/": 1 for number in range(7)}}
    assert worst_prefixes(["x.jpg", "y.jpg"]) == {"": 2}
    assert worst_prefixes(["store/x.jpg"], begin=6) == {"store/": 1}
