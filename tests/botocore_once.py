"""What botocore works out anew for each session, worked out once for all: the tests make thousands.

Each client of its own session parses 2 MB of JSON, which alone was a third of the suite, looks through four hundred folders
for the services that there are, looks at the names and signatures of some three hundred handlers, and makes some
thousand rules of endpoints. One session's clients share all of it too. Nothing here answers otherwise than botocore
itself does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from types import FunctionType
from typing import Any

import botocore.endpoint_provider
import botocore.hooks
import botocore.loaders
import botocore.utils


def share() -> None:
    """To be called once, before the first session."""
    _share_descriptions()
    _share_services()
    _share_names_of_events()
    _share_signatures()
    _share_rules_of_endpoints()
    _share_times()


def _share_descriptions() -> None:
    botocore.loaders.JSONFileLoader.load_file = staticmethod(  # type: ignore[assignment,method-assign]
        cache(botocore.loaders.JSONFileLoader().load_file)
    )


def _share_services() -> None:
    look_up = botocore.loaders.Loader.list_available_services
    found: dict[tuple[str, ...], list[str]] = {}

    def available_services(loader: botocore.loaders.Loader, type_name: str) -> list[str]:
        where = (*loader.search_paths, type_name)
        if where not in found:
            found[where] = look_up(loader, type_name)
        return found[where]

    botocore.loaders.Loader.list_available_services = available_services  # type: ignore[method-assign]


def _share_names_of_events() -> None:
    make = botocore.hooks.EventAliaser.__init__
    names: dict[str, str] = {}

    def made(aliaser: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(aliaser, event_emitter, event_aliases)
        if event_aliases is None:
            aliaser._alias_name_cache = names

    botocore.hooks.EventAliaser.__init__ = made  # type: ignore[method-assign]


def _share_signatures() -> None:
    ask: Callable[[Any], bool] = botocore.hooks.accepts_kwargs  # type: ignore[attr-defined]
    remembered = cache(ask)

    def accepts_kwargs(function: Any) -> bool:
        # a bound method would keep its client for ever
        return remembered(function) if isinstance(function, FunctionType) else ask(function)

    botocore.hooks.accepts_kwargs = accepts_kwargs  # type: ignore[attr-defined]


def _share_rules_of_endpoints() -> None:
    make = botocore.endpoint_provider.RuleSet.__init__
    made: dict[tuple[int, int], dict[str, Any]] = {}

    def share_rules(ruleset: Any, *, partitions: Any, **data: Any) -> None:
        # both were loaded by _share_descriptions, which keeps them: an id is not given away again
        which = id(data["rules"]), id(partitions)
        if which not in made:
            make(ruleset, partitions=partitions, **data)
            made[which] = vars(ruleset)
        vars(ruleset).update(made[which])

    botocore.endpoint_provider.RuleSet.__init__ = share_rules  # type: ignore[method-assign]


def _share_times() -> None:
    """moto has each time of a listing read by botocore before it writes it: a third of what a page takes."""
    read: Callable[[Any, Any], datetime] = botocore.utils._parse_timestamp_with_tzinfo  # type: ignore[attr-defined]
    remembered = lru_cache(maxsize=10_000)(read)

    def parse(value: Any, tzinfo: Any) -> datetime:
        # any other is of this machine's zone, which may change
        is_universal = isinstance(value, str) and value.endswith(("Z", "GMT"))
        return remembered(value, tzinfo) if is_universal else read(value, tzinfo)

    botocore.utils._parse_timestamp_with_tzinfo = parse  # type: ignore[attr-defined]
