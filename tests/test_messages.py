"""The Turkish catalogue is that of the code, and complete."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import polib
import pytest
from django.utils.translation import ngettext, override

from tests import messages
from tests.messages import CATALOGUE, COMPILED, PACKAGES, ROOT, Message

pytestmark = pytest.mark.sqlite
TO_DO = "Run make messages, and write what it asks for"


@pytest.fixture
def catalogue() -> polib.POFile:
    return polib.pofile(str(CATALOGUE))


def test_every_message_has_a_translation_and_no_other_has(
    catalogue: polib.POFile,
) -> None:
    assert not messages.faults(messages.extract(), catalogue), TO_DO


def test_catalogue_is_the_one_that_make_messages_writes(
    catalogue: polib.POFile,
) -> None:
    written = messages.update(messages.extract(), catalogue)

    assert CATALOGUE.read_text() == str(written), TO_DO
    assert COMPILED.read_bytes() == written.to_binary(), TO_DO


def forget(entry: polib.POEntry) -> None:
    entry.msgstr = ""


def doubt(entry: polib.POEntry) -> None:
    entry.flags.append("fuzzy")


def rename(entry: polib.POEntry) -> None:
    entry.msgstr = entry.msgstr.replace("choices", "seçenekler")


def replace(entry: polib.POEntry) -> None:
    entry.msgid = "Another text: {choices}."


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (forget, {"without a translation"}),
        (doubt, {"fuzzy"}),
        (rename, {"with other placeholders"}),
        (replace, {"not in the catalogue", "in no use"}),
    ],
)
def test_fault_of_a_catalogue_is_told(
    catalogue: polib.POFile, change: Callable[[polib.POEntry], None], kinds: set[str]
) -> None:
    change(catalogue.find("Choose one of: {choices}."))

    found = messages.faults(messages.extract(), catalogue)

    assert {fault.split(":")[0] for fault in found} == kinds


def test_update_keeps_translations_and_drops_what_is_gone(
    catalogue: polib.POFile,
) -> None:
    old = catalogue.find("Choose one of: {choices}.")
    wanted = [Message(old.msgid, places=["a.py"]), Message("New.", places=["b.py"])]

    updated = messages.update({one.text: one for one in wanted}, catalogue)

    texts = {entry.msgid: entry.msgstr for entry in updated}
    assert texts == {old.msgid: old.msgstr, "New.": ""}


@pytest.mark.parametrize("argument", ['f"No {thing}."', "text", '"No " + thing'])
def test_marked_text_that_is_not_written_out_is_refused(argument: str) -> None:
    tree = ast.parse(f"\nraise ConflictError(gettext({argument}))")

    with pytest.raises(ValueError, match=r"^some\.py, line 2: gettext\(\) needs"):
        list(messages.marked(tree, "some.py"))


@pytest.mark.parametrize(("count", "english"), [(1, "1 second."), (2, "2 seconds.")])
def test_number_in_turkish_has_no_plural(count: int, english: str) -> None:
    one = "Too many attempts. Try again in %(seconds)s second."
    more = "Too many attempts. Try again in %(seconds)s seconds."

    assert (ngettext(one, more, count) % {"seconds": count}).endswith(english)
    with override("tr"):
        turkish = ngettext(one, more, count) % {"seconds": count}
    assert f" {count} saniye sonra " in turkish


# What clients read of these: the first argument, or the value that is assigned.
ERRORS = {
    "AuthenticationFailed",
    "ConflictError",
    "ErrorDetail",
    "NotFound",
    "ValidationError",
}
NAMES = {"default_detail", "default_error_messages", "message", "missing"}


def texts_for_clients(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[text, *_]) if messages.called(node) in ERRORS:
                yield text
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=texts)):
                yield from texts if name in NAMES else ()
            case ast.Assign(targets=[ast.Name(id=name)], value=text) if name in NAMES:
                yield text
            case ast.Dict(keys=keys, values=texts):
                for key, text in zip(keys, texts, strict=True):
                    if isinstance(key, ast.Constant) and key.value in NAMES:
                        yield text


def unmarked(path: Path) -> list[int]:
    """Return the lines in which a client is told something in English only."""
    return [
        text.lineno
        for text in texts_for_clients(ast.parse(path.read_text()))
        if isinstance(text, ast.JoinedStr)
        or (isinstance(text, ast.Constant) and isinstance(text.value, str))
    ]


def test_text_for_clients_is_marked() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for package in PACKAGES
        for pattern in ("api/*.py", "services.py")
        for path in (ROOT / package).glob(pattern)
        if (lines := unmarked(path))
    }

    assert not found, "Write gettext() or gettext_lazy() around these texts"


def test_text_for_clients_that_is_not_marked_is_found(tmp_path: Path) -> None:
    path = tmp_path / "views.py"
    path.write_text(
        'raise ConflictError("Taken.")\n'
        'raise NotFound(f"No {thing}.")\n'
        'default_detail = "Wrong."\n'
        'default_error_messages = {"invalid": "Wrong."}\n'
        'Response({"message": "Done."})\n'
        'raise ConflictError(gettext("Taken."))\n'
        'default_error_messages = {"invalid": gettext_lazy("Wrong.")}\n'
    )

    assert sorted(unmarked(path)) == [1, 2, 3, 4, 5]
