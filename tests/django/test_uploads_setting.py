from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from imagesync.conf import app_settings, problems


@pytest.mark.parametrize("value", ["content", "size", False])
def test_setting__takes_three_values(value: Any) -> None:
    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": value}):
        assert app_settings().verify_uploads == value


@pytest.mark.parametrize("value", [True, None, 0, "", "md5", "Content", ["size"]])
def test_setting__refuses_every_other(value: Any) -> None:
    with override_settings(IMAGESYNC={"VERIFY_UPLOADS": value}):
        [(fact, _hint)] = problems()
        with pytest.raises(ImproperlyConfigured):
            app_settings()

    assert 'not one of "content", "size" and False' in fact


def test_setting__is_content_by_default() -> None:
    with override_settings(IMAGESYNC={}):
        assert app_settings().verify_uploads == "content"
