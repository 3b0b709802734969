"""The actions on few records, the plan's page, and the actions in the admins of other people's models."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagesync.admin import confirm, tokens
from imagesync.models import Audit, Finding, Image, Purge, Tombstone
from imagesync.purge import execute
from imagesync.purge.document import purge_document
from imagesync.purge.execute import execute_plan
from imagesync.reports import write_purge
from project.embedded_s3 import EmbeddedS3
from tests.conftest import BUCKET
from tests.django.admin_pages import LIST, act, act_on_all, said, token_of
from tests.django.helpers import make_images, run, verdicts
from tests.testapp.models import Contract, Cover, Product, ProductImage

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTS = "/shop/testapp/product/"


def image(name: str) -> Image:
    return Image.objects.get(file=name)


def plan(client: Client, names: Any = None) -> tuple[str, Any]:
    """The address of a fresh plan, and its page."""
    rows = Image.objects.all() if names is None else Image.objects.filter(file__in=names)
    page = act(client, "purge_missing", rows)
    return page.redirect_chain[-1][0], page


def body(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


# --- the plan's page -----------------------------------------------------------------------------------


def test_plan__tells_what_goes_what_stays_and_why(half: EmbeddedS3, admin_client: Client) -> None:
    ProductImage.objects.create(image=image("1.jpg"), position=1)
    ProductImage.objects.create(image=image("1.jpg"), position=2)
    Cover.objects.create(image=image("3.jpg"))
    Contract.objects.create(image=image("5.jpg"))
    make_images(*(f"there/{number}.jpg" for number in range(6)))
    for number in range(6):
        half.put(BUCKET, f"there/{number}.jpg")
    run("check_s3_images")

    _address, page = plan(admin_client)

    text = page.content.decode()
    assert "12 records were selected" in text
    assert "2 records would be deleted" in text
    assert re.search(r"testapp\.ProductImage</th><td[^>]*>2<", text)
    assert re.search(r"testapp\.Cover</th><td[^>]*>1<", text)
    assert "1 missing record is kept" in text
    assert re.search(r"protected by 1 [^<]*testapp\.Contract[^<]*</th><td[^>]*>1<", text)
    assert re.search(r"did not find it missing</th><td[^>]*>9<", text)
    assert text.count("imagesync/placeholder-missing.svg") == 2
    assert "Type 2 to go ahead" in text


def test_plan__shows_a_sample_and_has_the_rest_as_csv(half: EmbeddedS3, admin_client: Client) -> None:
    make_images(*(f"gone/{number:02}.jpg" for number in range(25)))
    make_images(*(f"there/{number:02}.jpg" for number in range(30)))
    for number in range(30):
        half.put(BUCKET, f"there/{number:02}.jpg")
    run("check_s3_images")

    address, page = plan(admin_client)

    text = page.content.decode()
    assert text.count("imagesync/placeholder-missing.svg") == 20
    assert "8 more are in the CSV" in text
    rows = list(csv.DictReader(io.StringIO(body(admin_client.get(f"{address}plan.csv")))))
    assert len(rows) == 28
    assert {row["action"] for row in rows} == {"delete"}


def test_plan__hostile_keys_are_harmless_on_the_page_and_in_the_csv(
    half: EmbeddedS3, admin_client: Client
) -> None:
    make_images("=cmd()|x<script>\u202e.jpg")
    run("check_s3_images")

    address, page = plan(admin_client)

    assert "<script>" not in page.content.decode().split('<div class="imagesync-page">')[1]
    assert "\\u202e" in page.content.decode()
    assert "\"'=cmd()" in body(admin_client.get(f"{address}plan.csv"))


def test_plan__has_no_inline_script_or_style(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    own = plan(admin_client)[1].content.decode().split('<div class="imagesync-page">')[1]

    assert not re.search(r"<script|<style|\sstyle=|\son\w+=", own.split("</main>")[0])


def test_plan__which_rail_refuses_and_what_would_lift_it(half: EmbeddedS3, admin_client: Client) -> None:
    half.delete(BUCKET, "0.jpg")
    half.delete(BUCKET, "2.jpg")
    run("check_s3_images")

    _address, page = plan(admin_client)

    text = page.content.decode()
    assert "<code>max_ratio</code>: No more than a part of the audited records at once." in text
    assert "What would lift it:" in text
    assert "--max-ratio" in text
    assert 'name="number"' not in text


@pytest.mark.parametrize("token", ["", "nonsense", signing.dumps({"user": "1"}, salt="other")])
def test_execute__without_the_plans_own_token_nothing_is_done(
    half: EmbeddedS3, admin_client: Client, token: str
) -> None:
    run("check_s3_images")
    address, _page = plan(admin_client)

    answer = admin_client.post(address, {"number": "3", "token": token})

    assert "not one of ours or was changed, so nothing was done" in answer.content.decode()
    assert Image.objects.count() == 6


def test_execute__with_an_old_token_nothing_is_done(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    monkeypatch.setattr(tokens, "MAX_AGE_SECONDS", -1)

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)})

    assert "more than an hour old, so nothing was done" in answer.content.decode()
    assert Image.objects.count() == 6


def test_execute__with_another_plans_token_nothing_is_done(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    address, _page = plan(admin_client)
    _other, page = plan(admin_client, ["1.jpg"])

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)})

    assert "made for another plan, so nothing was done" in answer.content.decode()
    assert Image.objects.count() == 6


def test_execute__a_plan_that_has_aged_goes_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    Purge.objects.update(planned_at=timezone.now() - timedelta(hours=25))

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)}, follow=True)

    assert (
        "was planned 25 h ago; the limit is 1 d. Nothing was deleted; here is the plan as it is now"
        in said(answer)
    )
    assert Image.objects.count() == 6
    fresh, aged = Purge.objects.order_by("-pk")
    assert answer.redirect_chain[-1][0] == f"{LIST}purge/{fresh.pk}/"
    assert (fresh.state, aged.state) == ("planned", "refused")
    done = admin_client.post(
        answer.redirect_chain[-1][0], {"number": "3", "token": token_of(answer)}, follow=True
    )
    assert "3 deleted" in said(done)


def test_execute__an_aged_plan_without_a_fresh_audit_says_what_to_run(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    Purge.objects.update(planned_at=timezone.now() - timedelta(hours=25))
    Audit.objects.update(finished_at=timezone.now() - timedelta(hours=25))

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)})

    assert "no fresh audit for a new plan either; run check_s3_images" in answer.content.decode()
    assert Image.objects.count() == 6


@pytest.mark.parametrize("change", ["renamed", "deleted"])
def test_execute__a_plan_whose_records_changed_goes_back_to_confirmation(
    half: EmbeddedS3, admin_client: Client, change: str
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    if change == "renamed":
        Image.objects.filter(file="1.jpg").update(file="new.jpg")
    else:
        Image.objects.filter(file="1.jpg").delete()

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)}, follow=True)

    assert "1 of its records were changed or deleted since the plan was made" in said(answer)
    assert "2 records would be deleted" in answer.content.decode()
    assert image("3.jpg")
    assert not Tombstone.objects.exists()


def test_execute__what_came_back_meanwhile_is_kept(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    half.put(BUCKET, "1.jpg")

    done = admin_client.post(address, {"number": "3", "token": token_of(page)}, follow=True)

    assert "2 deleted, 1 kept" in said(done)
    assert image("1.jpg")
    assert "it is present now" in admin_client.get(address).content.decode()


def test_execute__two_people_with_plans_of_the_same_records(
    half: EmbeddedS3, admin_client: Client, client: Client
) -> None:
    run("check_s3_images")
    client.force_login(User.objects.create_superuser("other"))
    theirs, their_page = plan(client)
    address, page = plan(admin_client)
    admin_client.post(address, {"number": "3", "token": token_of(page)})

    answer = client.post(theirs, {"number": "3", "token": token_of(their_page)}, follow=True)

    assert "3 of its records were changed or deleted since the plan was made" in said(answer)
    assert Tombstone.objects.count() == 3
    assert Purge.objects.filter(state="done").count() == 1


def test_execute__while_another_purge_of_the_store_runs_is_refused(
    half: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    fingerprint = Purge.objects.get().fingerprint
    Purge.objects.create(
        fingerprint=fingerprint, state="running", lease_until=timezone.now() + timedelta(seconds=50)
    )

    answer = admin_client.post(address, {"number": "3", "token": token_of(page)}, follow=True)

    assert "Another purge of this store is running" in said(answer)
    assert Image.objects.count() == 6


def test_plan__whose_worker_died_says_so(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    address, _page = plan(admin_client)
    past = timezone.now() - timedelta(seconds=1)
    Purge.objects.update(state="running", started_at=past, lease_owner="dead", lease_until=past)

    text = admin_client.get(address).content.decode()

    assert "Whoever executed it died" in text
    assert "Select the records again for a new plan" in text
    assert 'name="number"' not in text


def test_plan__by_get_changes_nothing(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)

    admin_client.get(address, {"number": "3", "token": token_of(page)})

    assert Image.objects.count() == 6
    assert Purge.objects.get().state == "planned"


# --- marks, export -----------------------------------------------------------------------------------------


def test_clear_mark__shows_the_file_again_until_the_next_look(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")

    answer = act(admin_client, "clear_mark", Image.objects.filter(file__in=["0.jpg", "1.jpg"]))

    assert "1 mark was cleared. Visitors are handed the file" in said(answer)
    assert (verdicts()["1.jpg"], verdicts()["0.jpg"], verdicts()["3.jpg"]) == (
        "unchecked",
        "present",
        "missing",
    )
    assert not Finding.objects.open().filter(key="1.jpg").exists()
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["1.jpg"]
    assert "None of the selected was marked" in said(act(admin_client, "clear_mark", [image("0.jpg")]))


def test_export__csv_and_json_say_the_same_of_the_selected(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    Image.objects.filter(file="1.jpg").update(file="=1.jpg")

    as_csv = act(admin_client, "export_csv", Image.objects.filter(verdict="missing"), follow=False)
    as_json = act(admin_client, "export_json", Image.objects.filter(verdict="missing"), follow=False)

    rows = list(csv.DictReader(io.StringIO(body(as_csv))))
    document = json.loads(body(as_json))
    assert "attachment" in as_csv["Content-Disposition"]
    assert [row["key"] for row in rows] == ["'=1.jpg", "3.jpg", "5.jpg"]
    assert [row["verdict"] for row in rows] == ["missing"] * 3
    assert document["schema"] == "imagesync.records/1"
    assert [row["key"] for row in document["records"]] == ["=1.jpg", "3.jpg", "5.jpg"]
    assert document["records"][1]["record"] == f"imagesync.Image:{image('3.jpg').pk}"
    assert all(row["missing_since"] for row in document["records"])


def test_export__of_all_needs_no_confirmation_and_asks_in_a_fixed_number_of_queries(
    half: EmbeddedS3, admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    make_images(*(f"more/{number}.jpg" for number in range(600)))

    with django_assert_max_num_queries(12):
        answer = act_on_all(admin_client, "export_json", "q=more/7.jpg")
        assert len(json.loads(body(answer))["records"]) == 1
    everything = act_on_all(admin_client, "export_csv")
    assert len(body(everything).splitlines()) == 607


# --- other people's models -----------------------------------------------------------------------------------


@pytest.fixture
def shop(s3: EmbeddedS3, settings: Any) -> EmbeddedS3:
    settings.ROOT_URLCONF = "tests.admin_urls"
    settings.IMAGESYNC = {
        **settings.IMAGESYNC,
        "FIELDS": {"testapp.Product.photo": {"policy": "clear", "age_field": "created_at"}},
    }
    long_ago = timezone.now() - timedelta(days=30)
    for number in range(4):
        Product.objects.create(name=f"p{number}", photo=f"products/{number}.jpg", created_at=long_ago)
    for number in (0, 2):
        s3.put(BUCKET, f"products/{number}.jpg")
    return s3


def test_other_models__are_looked_at_and_exported(shop: EmbeddedS3, admin_client: Client) -> None:
    answer = act(admin_client, "recheck", Product.objects.all(), path=PRODUCTS)

    assert "Looked: 2 present, 2 missing" in said(answer)
    rows = body(act(admin_client, "export_csv", Product.objects.all(), path=PRODUCTS, follow=False))
    assert [row["verdict"] for row in csv.DictReader(io.StringIO(rows))] == ["", "missing", "", "missing"]
    act(admin_client, "clear_mark", Product.objects.all(), path=PRODUCTS)
    assert not Finding.objects.open().exists()


def test_other_models__keep_their_own_actions(shop: EmbeddedS3, admin_client: Client) -> None:
    text = admin_client.get(PRODUCTS).content.decode()

    assert 'value="delete_selected"' in text
    assert 'value="purge_missing"' in text


def test_other_models__are_cleared_when_that_is_their_fields_policy(
    shop: EmbeddedS3, admin_client: Client
) -> None:
    run("check_s3_images")
    page = act(admin_client, "purge_missing", Product.objects.all(), path=PRODUCTS)
    address = page.redirect_chain[-1][0]
    assert address.startswith(f"{PRODUCTS}purge/")
    assert "Of 2 of them only the file field is emptied" in page.content.decode()

    done = admin_client.post(address, {"number": "2", "token": token_of(page)}, follow=True)

    assert "2 cleared, 0 kept" in said(done)
    assert sorted(Product.objects.values_list("photo", flat=True)) == [
        "",
        "",
        "products/0.jpg",
        "products/2.jpg",
    ]
    assert LogEntry.objects.filter(action_flag=2).count() == 2


def test_other_models__without_a_policy_are_not_offered_a_purge(
    shop: EmbeddedS3, admin_client: Client, settings: Any
) -> None:
    settings.IMAGESYNC = {}

    text = admin_client.get(PRODUCTS).content.decode()

    assert 'value="recheck"' in text
    assert 'value="purge_missing"' not in text


def test_other_models__a_plan_of_images_is_not_shown_there(shop: EmbeddedS3, admin_client: Client) -> None:
    make_images("gone.jpg")
    run("check_s3_images")
    page = act(admin_client, "purge_missing", Image.objects.all(), path="/shop/imagesync/image/")
    purge = Purge.objects.get()
    assert page.redirect_chain[-1][0] == f"/shop/imagesync/image/purge/{purge.pk}/"

    assert admin_client.get(f"{PRODUCTS}purge/{purge.pk}/").status_code == 404


# --- the same form, twice at the same moment ---------------------------------------------------------------


def test_execute__sent_twice_at_the_same_moment_is_done_and_logged_once(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    form = {"number": "3", "token": token_of(page)}
    answers = []

    def the_other_first(purge: Purge, source: Any) -> Any:
        monkeypatch.undo()
        answers.append(admin_client.post(address, form, follow=True))
        return execute_plan(purge, source)

    monkeypatch.setattr(confirm, "execute_plan", the_other_first)
    answers.append(admin_client.post(address, form, follow=True))

    assert "3 deleted, 0 kept" in said(answers[0])
    assert "a plan is executed once. Plan it anew. Nothing was done a second time" in said(answers[1])
    assert Tombstone.objects.count() == 3
    assert LogEntry.objects.filter(action_flag=3).count() == 3


def test_execute__a_store_that_fails_in_the_middle_tells_and_logs_what_went(
    half: EmbeddedS3, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("check_s3_images")
    address, page = plan(admin_client)
    monkeypatch.setattr("imagesync.purge.execute.BATCH", 1)
    looks = iter([True, True, False, False])
    whole = execute.preflight

    def failing(store: Any) -> Any:
        if not next(looks):
            half.denied[half.access_key] = {"s3:ListBucket"}
        return whole(store)

    monkeypatch.setattr(execute, "preflight", failing)
    answer = admin_client.post(address, {"number": "3", "token": token_of(page)}, follow=True)

    assert "Deleted so far: 1" in said(answer)
    assert "1 deleted" in said(answer)
    assert LogEntry.objects.filter(action_flag=3).count() == 1


def test_plan_csv__has_every_line_of_the_plan_and_is_sent_while_it_is_read(
    half: EmbeddedS3, admin_client: Client
) -> None:
    make_images("young.jpg", 'comma, "quote".jpg', created_at=timezone.now())
    run("check_s3_images")
    act(admin_client, "purge_missing", Image.objects.all())
    purge = Purge.objects.get()
    assert (purge.summary["delete"], purge.summary["keep"]) == (3, 2)

    answer = admin_client.get(f"{LIST}purge/{purge.pk}/plan.csv")

    assert isinstance(answer, StreamingHttpResponse)
    whole = io.StringIO()
    write_purge(whole, "csv", purge_document(purge, dry_run=False))
    assert answer.getvalue().decode() == whole.getvalue()


def test_plan_page__reads_figures_and_not_the_plan(half: EmbeddedS3, admin_client: Client) -> None:
    run("check_s3_images")
    act(admin_client, "purge_missing", Image.objects.all())
    address = f"{LIST}purge/{Purge.objects.get().pk}/"

    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(address).content.decode()

    assert "3 records would be deleted" in page
    assert not [one["sql"] for one in queries if '"imagesync_purge"."plan"' in one["sql"]]
    Purge.objects.update(summary={})  # from before there were any
    assert "3 records would be deleted" in admin_client.get(address).content.decode()
