"""The Turkish catalogue: brought up to date with the code, without GNU gettext.

    python -m tests.messages

New texts are added to the catalogue without a translation, those that are gone leave
it, and it is compiled. Prints what is left to do; exit code 1 while there is something.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import django
import polib
from django.core.validators import ProhibitNullCharactersValidator
from rest_framework import serializers

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tradebot", "accounts", "apikeys", "bots", "trading", "backtests")
CATALOGUE = ROOT / "tradebot/locale/tr/LC_MESSAGES/django.po"
COMPILED = CATALOGUE.with_suffix(".mo")

# How many texts these take: one, or a singular and a plural.
_FUNCTIONS = {"gettext": 1, "gettext_lazy": 1, "ngettext": 2, "ngettext_lazy": 2}
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+(?::\w+)?\}")
_METADATA = {
    "Project-Id-Version": "TradeBot",
    "Language": "tr",
    "MIME-Version": "1.0",
    "Content-Type": "text/plain; charset=UTF-8",
    "Content-Transfer-Encoding": "8bit",
    # As in Django's own, or there would be two catalogues to look through.
    "Plural-Forms": "nplurals=2; plural=(n > 1);",
}


@dataclass(slots=True)
class Message:
    """A text that a client of the API can get, and where it is written."""

    text: str
    plural: str = ""
    places: list[str] = field(default_factory=list)


def extract() -> dict[str, Message]:
    """Return the texts that are marked in the code, and those that are borrowed.

    Raises ValueError where one is not written out.
    """
    found: dict[str, Message] = {}
    for message in _borrowed():
        found.setdefault(message.text, message)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source, place = path.read_text(), str(path.relative_to(ROOT))
            if "gettext" not in source:  # parsing them all takes a while
                continue
            for message in marked(ast.parse(source), place):
                places = found.setdefault(message.text, message).places
                if place not in places:
                    places.append(place)
    return found


def _borrowed() -> Iterator[Message]:
    """Yield the texts of REST framework and Django that reach clients.

    Both have Turkish ones, which say less well what is meant: ours come first.
    """
    for owner, names in (
        (serializers.Field, ("required", "null")),
        (serializers.BooleanField, ("invalid",)),
        (serializers.CharField, ("blank", "max_length", "min_length")),
        (serializers.IntegerField, ("max_value", "min_value")),
        (serializers.Serializer, ("invalid",)),
    ):
        for name in names:
            text = str(owner.default_error_messages[name])
            yield Message(text, places=[owner.__module__])
    null = ProhibitNullCharactersValidator
    yield Message(str(null.message), places=[null.__module__])


def marked(tree: ast.Module, place: str) -> Iterator[Message]:
    """Yield the texts that are marked in a module, at ``place``.

    Raises ValueError where one is not written out.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        count = _FUNCTIONS.get(called(node))
        if count is None:
            continue
        texts = [
            argument.value
            for argument in node.args[:count]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if len(texts) != count:
            raise ValueError(
                f"{place}, line {node.lineno}: {called(node)}() needs the text itself, "
                "without a variable in it. Write %(name)s, and fill it in afterwards."
            )
        yield Message(texts[0], plural="".join(texts[1:]))


def called(node: ast.Call) -> str:
    """Return the name of what is called, without that of its module or object."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def update(messages: dict[str, Message], before: polib.POFile) -> polib.POFile:
    """Return the catalogue of these messages, with the translations from before."""
    known = {entry.msgid: entry for entry in before}
    after = polib.POFile(wrapwidth=88)
    after.header = "Written by python -m tests.messages; the translations are yours."
    after.metadata = _METADATA
    for text, message in messages.items():
        entry = polib.POEntry(
            msgid=text,
            msgid_plural=message.plural,
            occurrences=[(place, "") for place in message.places],
            flags=_flags(text),
        )
        old = known.get(text)
        if old is not None and bool(old.msgid_plural) == bool(message.plural):
            entry.msgstr, entry.msgstr_plural = old.msgstr, old.msgstr_plural
        elif message.plural:
            entry.msgstr_plural = {0: "", 1: ""}
        after.append(entry)
    return after


def _flags(text: str) -> list[str]:
    kinds = {found[0] for found in _PLACEHOLDER.findall(text)}
    names = {"%": "python-format", "{": "python-brace-format"}
    return [names[kind] for kind in sorted(kinds)]


def faults(messages: dict[str, Message], catalogue: polib.POFile) -> list[str]:
    """Return what is wrong with a catalogue of these messages, a line each."""
    known = {entry.msgid: entry for entry in catalogue}
    return [
        *(f"not in the catalogue: {text!r}" for text in messages.keys() - known.keys()),
        *(f"in no use: {text!r}" for text in known.keys() - messages.keys()),
        *(
            f"{fault}: {text!r}"
            for text, entry in known.items()
            for fault in _faults_of(entry)
        ),
    ]


def _faults_of(entry: polib.POEntry) -> Iterator[str]:
    originals = [entry.msgid, entry.msgid_plural or entry.msgid]
    translations = [*entry.msgstr_plural.values()] or [entry.msgstr]
    if not all(translations):
        yield "without a translation"
        return  # and so without placeholders
    if entry.fuzzy:
        yield "fuzzy"
    for original, translation in zip(originals, translations, strict=False):
        if _placeholders(original) != _placeholders(translation):
            yield "with other placeholders"


def _placeholders(text: str) -> Counter[str]:
    return Counter(_PLACEHOLDER.findall(text))


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    messages = extract()
    catalogue = update(messages, polib.pofile(str(CATALOGUE)))
    catalogue.save(str(CATALOGUE))
    catalogue.save_as_mofile(str(COMPILED))
    left = faults(messages, catalogue)
    for fault in left:
        sys.stdout.write(f"{fault}\n")
    sys.stdout.write(f"{len(messages)} messages, {len(left)} to do in {CATALOGUE}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
