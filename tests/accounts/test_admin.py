from __future__ import annotations

import html

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from tests.admin_data import (
    DIGEST,
    OLD_HASH,
    PASSWORD,
    RESET_TOKEN,
    SALT,
    admin_url,
    client_of,
    form_data,
    make_staff,
    make_superuser,
    store_hash,
    stored_hash,
)
from tests.factories import make_user

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "Newer password 2?"
REFUSED_PASSWORDS = [
    ("Short pass1", "at least 12 characters"),
    ("UPPER CASE 12345!", "a lower-case letter"),
    ("lower case 12345!", "an upper-case letter"),
    ("Without any digit!", "a digit"),
    ("WithoutAnySymbol12", "neither a letter nor a digit"),
    ("Longer than bcrypt reads 1! " * 3, "at most 72 bytes"),
]
UPDATE_USERS = ["view_user", "add_user", "change_user", "delete_user"]


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


def add(client: Client, email: str, password: str, again: str) -> list[str]:
    """Send the form for a new user; return what it was refused for."""
    path = admin_url("add", User)
    form = form_data(client, path)
    typed = {"email": email, "password1": password, "password2": again}
    response = client.post(path, {**form, **typed})
    if response.status_code == 302:
        return []
    return [
        message
        for messages in response.context["adminform"].form.errors.values()
        for message in messages
    ]


def edit(client: Client, user: User, **values: str) -> dict[str, list[str]]:
    """Open the form of a user, type these values and save; return the errors."""
    path = admin_url("change", user)
    form = form_data(client, path)
    response = client.post(path, {**form, **values})
    if response.status_code == 302:
        return {}
    errors: dict[str, list[str]] = response.context["adminform"].form.errors
    return errors


# --- Adding -----------------------------------------------------------------------


@pytest.mark.alike
def test_user_added_can_log_in_and_has_a_raw_hash(superuser: Client) -> None:
    assert add(superuser, "New@EXAMPLE.com", NEW_PASSWORD, NEW_PASSWORD) == []

    user = User.objects.get(email="New@example.com")
    assert user.is_active is True
    assert user.is_staff is False
    assert user.check_password(NEW_PASSWORD)
    assert stored_hash(user).startswith("$2b$")


@pytest.mark.alike
def test_user_added_is_offered_for_further_editing(superuser: Client) -> None:
    typed = {
        "email": "new@example.com",
        "password1": NEW_PASSWORD,
        "password2": NEW_PASSWORD,
    }

    response = superuser.post(admin_url("add", User), typed)

    user = User.objects.get(email="new@example.com")
    assert response["Location"] == admin_url("change", user)


@pytest.mark.alike
@pytest.mark.parametrize(("password", "reason"), REFUSED_PASSWORDS)
def test_user_added_with_a_password_against_the_policy_is_refused(
    superuser: Client, password: str, reason: str
) -> None:
    (message,) = add(superuser, "new@example.com", password, password)

    assert reason in message
    assert not User.objects.filter(email="new@example.com").exists()


@pytest.mark.alike
def test_user_added_with_two_different_passwords_is_refused(
    superuser: Client,
) -> None:
    errors = add(superuser, "new@example.com", NEW_PASSWORD, PASSWORD)

    assert errors == ["The two password fields didn’t match."]


@pytest.mark.alike
def test_user_added_without_password_is_refused(superuser: Client) -> None:
    assert add(superuser, "new@example.com", "", "") == ["This field is required."] * 2


@pytest.mark.alike
@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("OWNER@example.com", "A user with this e-mail address exists."),
        ("owner@EXAMPLE.com", "A user with this e-mail address exists."),
        ("x@localhost", "Enter a valid e-mail address, such as name@example.com."),
        ("no address", "Enter a valid e-mail address, such as name@example.com."),
        ("", "This field is required."),
    ],
)
def test_user_added_with_a_taken_or_wrong_address_is_refused(
    superuser: Client, email: str, reason: str
) -> None:
    make_user("owner@example.com")

    assert add(superuser, email, NEW_PASSWORD, NEW_PASSWORD) == [reason]
    assert User.objects.count() == 2


# --- Changing ---------------------------------------------------------------------


@pytest.mark.alike
def test_form_says_that_there_is_a_password_and_nothing_of_it(
    superuser: Client,
) -> None:
    user = make_user()
    store_hash(user, OLD_HASH)

    text = superuser.get(admin_url("change", user)).content.decode()

    assert "A password is set." in text
    assert "../password/" in text
    for part in ("bcrypt", "$2b$", SALT[:6], DIGEST[:6]):
        assert part not in text


@pytest.mark.alike
def test_form_of_a_user_without_password_says_so(superuser: Client) -> None:
    text = superuser.get(admin_url("change", make_user())).content.decode()

    assert "No password is set." in text


@pytest.mark.alike
def test_form_sent_unedited_keeps_hash_and_token(superuser: Client) -> None:
    user = make_user(is_active=False)
    user.reset_token = RESET_TOKEN
    user.save()
    store_hash(user, OLD_HASH)

    assert edit(superuser, user, password="forged", reset_token="forged") == {}

    user.refresh_from_db()
    assert user.is_active is False
    assert user.reset_token == RESET_TOKEN
    assert stored_hash(user) == OLD_HASH


@pytest.mark.alike
def test_user_is_activated_and_deactivated(superuser: Client) -> None:
    user = make_user(is_active=False)

    edit(superuser, user, is_active="on")
    user.refresh_from_db()
    assert user.is_active is True

    path = admin_url("change", user)
    form = form_data(superuser, path)
    del form["is_active"]
    superuser.post(path, form)
    user.refresh_from_db()
    assert user.is_active is False


@pytest.mark.alike
def test_permissions_given_on_the_form_are_stored(superuser: Client) -> None:
    user = make_user()

    edit(superuser, user, is_staff="on", user_permissions="1")

    user.refresh_from_db()
    assert user.is_staff is True
    assert [permission.pk for permission in user.user_permissions.all()] == [1]


@pytest.mark.alike
def test_address_of_another_user_is_refused_whatever_its_case(
    superuser: Client,
) -> None:
    make_user("owner@example.com")
    user = make_user("other@example.com")

    errors = edit(superuser, user, email="Owner@example.com")

    assert errors == {"email": ["A user with this e-mail address exists."]}
    user.refresh_from_db()
    assert user.email == "other@example.com"


@pytest.mark.alike
def test_address_is_changed_in_its_case(superuser: Client) -> None:
    user = make_user("owner@example.com")

    assert edit(superuser, user, email="Owner@EXAMPLE.com") == {}

    user.refresh_from_db()
    assert user.email == "Owner@example.com"


@pytest.mark.alike
def test_address_that_changes_ends_what_was_mailed_to_the_former(
    superuser: Client,
) -> None:
    user = make_user()
    User.objects.update(reset_token="0" * 64, reset_token_expires=timezone.now())

    edit(superuser, user, email="other@example.com")

    user.refresh_from_db()
    assert user.email == "other@example.com"
    assert (user.reset_token, user.reset_token_expires) == (None, None)


# --- Passwords --------------------------------------------------------------------


@pytest.mark.alike
def test_password_set_by_a_superuser_is_stored_raw_and_logged(
    superuser: Client,
) -> None:
    user = make_user()
    path = reverse("admin:auth_user_password_change", args=[user.pk])
    assert superuser.get(path).status_code == 200

    response = superuser.post(
        path, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    )

    assert response["Location"] == admin_url("change", user)
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert stored_hash(user).startswith("$2b$")
    history = superuser.get(admin_url("history", user)).content.decode()
    assert "Changed password." in history
    assert stored_hash(user)[7:13] not in history


@pytest.mark.alike
@pytest.mark.parametrize(("password", "reason"), REFUSED_PASSWORDS)
def test_password_set_against_the_policy_is_refused(
    superuser: Client, password: str, reason: str
) -> None:
    user = make_user(password=PASSWORD)
    path = reverse("admin:auth_user_password_change", args=[user.pk])

    response = superuser.post(path, {"password1": password, "password2": password})

    assert reason in response.content.decode()
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


@pytest.mark.alike
def test_password_page_of_a_user_shows_nothing_of_the_hash(superuser: Client) -> None:
    user = make_user()
    store_hash(user, OLD_HASH)

    page = superuser.get(reverse("admin:auth_user_password_change", args=[user.pk]))

    for part in ("bcrypt", SALT[:6], DIGEST[:6]):
        assert part not in page.content.decode()


@pytest.mark.alike
def test_own_password_is_changed_with_the_old_one_and_the_session_goes_on(
    superuser: Client,
) -> None:
    path = reverse("admin:password_change")

    response = superuser.post(
        path,
        {
            "old_password": PASSWORD,
            "new_password1": NEW_PASSWORD,
            "new_password2": NEW_PASSWORD,
        },
        follow=True,
    )

    assert response.status_code == 200
    assert User.objects.get().check_password(NEW_PASSWORD)
    assert superuser.get(reverse("admin:index")).status_code == 200


# --- Listing ----------------------------------------------------------------------


@pytest.mark.alike
def test_filter_by_active_finds_users(superuser: Client) -> None:
    make_user("user@example.com", is_active=False)
    path = admin_url("changelist", User)

    def found(choice: str) -> set[str]:
        page = superuser.get(path, {"is_active__exact": choice})
        return {user.email for user in page.context["cl"].result_list}

    assert found("1") == {"admin@example.com"}
    assert found("0") == {"user@example.com"}


# --- Staff who are no superusers --------------------------------------------------


@pytest.mark.alike
@pytest.mark.parametrize("target", ["superuser", "staff", "self"])
def test_staff_cannot_touch_staff(target: str) -> None:
    me = make_staff(*UPDATE_USERS)
    victim = {
        "superuser": make_superuser(),
        "staff": make_user("colleague@example.com", password=PASSWORD, is_staff=True),
        "self": me,
    }[target]
    client = client_of(me)
    data = {"email": "taken@example.com", "is_superuser": "on", "post": "yes"}
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    password_path = reverse("admin:auth_user_password_change", args=[victim.pk])
    action = {"action": "delete_selected", "_selected_action": [victim.pk]}

    assert client.get(admin_url("change", victim)).status_code == 200
    assert client.post(admin_url("change", victim), data).status_code == 403
    assert client.post(admin_url("delete", victim), data).status_code == 403
    assert client.post(password_path, passwords).status_code == 403
    client.post(admin_url("changelist", User), {**action, "post": "yes"})

    victim.refresh_from_db()
    assert victim.email != "taken@example.com"
    assert victim.check_password(PASSWORD)


@pytest.mark.alike
def test_staff_edits_users_but_gives_no_permissions() -> None:
    client = client_of(make_staff(*UPDATE_USERS))
    user = make_user()

    errors = edit(
        client,
        user,
        email="renamed@example.com",
        is_staff="on",
        is_superuser="on",
        user_permissions="1",
    )

    assert errors == {}
    user.refresh_from_db()
    assert user.email == "renamed@example.com"
    assert user.is_staff is False
    assert user.is_superuser is False
    assert not user.user_permissions.exists()


@pytest.mark.alike
def test_staff_adds_and_deletes_users() -> None:
    client = client_of(make_staff(*UPDATE_USERS))

    assert add(client, "new@example.com", NEW_PASSWORD, NEW_PASSWORD) == []
    user = User.objects.get(email="new@example.com")
    client.post(admin_url("delete", user), {"post": "yes"})

    assert not User.objects.filter(email="new@example.com").exists()


@pytest.mark.alike
def test_user_whose_address_is_not_ascii_can_be_deactivated(superuser: Client) -> None:
    user = make_user("jürgen@example.com")

    assert edit(superuser, user, is_active="") == {}

    user.refresh_from_db()
    assert user.is_active is False


@pytest.mark.alike
def test_groups_are_for_superusers_alone(superuser: Client) -> None:
    group = Group.objects.create(name="helpers")
    staff = client_of(make_staff("view_group", "change_group", "add_group"))

    for path in (admin_url("changelist", Group), admin_url("change", group)):
        assert staff.get(path).status_code == 403
        assert superuser.get(path).status_code == 200


# --- Actions ----------------------------------------------------------------------


def act(client: Client, action: str, *users: User, **data: str) -> str:
    """Run an action on users; return the page that follows."""
    response = client.post(
        admin_url("changelist", User),
        {"action": action, "_selected_action": [user.pk for user in users], **data},
        follow=True,
    )
    assert response.status_code == 200
    return html.unescape(response.content.decode())


@pytest.mark.alike
def test_users_are_deactivated_once_it_is_confirmed_and_activated_again(
    superuser: Client,
) -> None:
    user, other = make_user(), make_user("other@example.com", is_active=False)

    assert "Deactivate these users?" in act(superuser, "deactivate", user, other)
    user.refresh_from_db()
    assert user.is_active is True

    assert "Deactivated: 1." in act(superuser, "deactivate", user, other, post="yes")
    user.refresh_from_db()
    assert user.is_active is False

    assert "Activated: 2." in act(superuser, "activate", user, other)
    assert User.objects.filter(is_active=True).count() == 3


@pytest.mark.alike
def test_nobody_deactivates_oneself_and_none_of_the_others_is_then(
    superuser: Client,
) -> None:
    me, user = User.objects.get(), make_user()

    text = act(superuser, "deactivate", me, user, post="yes")

    assert "You cannot change admin@example.com." in text
    assert User.objects.filter(is_active=True).count() == 2


@pytest.mark.alike
def test_staff_deactivates_users_but_no_staff() -> None:
    staff = client_of(make_staff(*UPDATE_USERS))
    admin, user = make_superuser(), make_user()

    assert "You cannot change" in act(staff, "deactivate", admin, post="yes")
    assert "Deactivated: 1." in act(staff, "deactivate", user, post="yes")

    assert User.objects.get(is_active=False) == user
