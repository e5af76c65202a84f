"""The text of a statement in a form that regular expressions can read.

Keywords and unquoted names in lower case, single spaces, no comments; the contents of
string literals left out. Quoted names are moved to a private range of Unicode, where
they are neither keywords nor punctuation, until ``name`` gives them back.
"""

from __future__ import annotations

import re

_PRIVATE = 0xF0000
_IDENTIFIER = r"(?>[\U000f0000-\U0010ffff]+|[a-z_][\w$]*)"
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<literal> \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
                 | \b[eE]'(?:[^'\\]|\\.|'')*'
                 | '(?:[^']|'')*' )
    | "(?P<quoted>(?:[^"]|"")*)"
    """,
    re.VERBOSE | re.DOTALL,
)
_INNERMOST = re.compile(r"\(([^()]*)\)")
_FOLDED = re.compile(r"\(#(\d+)\)")


def pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern in which ID and NAME stand for an identifier and a table."""
    name = rf"{_IDENTIFIER}(?: ?\. ?{_IDENTIFIER})*+"
    text = re.sub(r"\bNAMES\b", r"NAME(?:, ?NAME)*+", text)
    text = re.sub(r"\bNAME\b", lambda _: name, text)
    return re.compile(re.sub(r"\bID\b", lambda _: _IDENTIFIER, text), re.DOTALL)


def normalise(statement: str) -> str:
    """Return the statement in the form that this module's head describes."""

    def plain(token: re.Match[str]) -> str:
        if token["comment"]:
            return " "
        if token["quoted"] is None:
            return "''"
        quoted = token["quoted"].replace('""', '"')
        return "".join(chr(_PRIVATE + ord(each)) for each in quoted)

    text = _TOKEN.sub(plain, statement).lower()
    return " ".join(text.split()).strip("; ")


def name(text: str, schema: str = "public") -> str:
    """Return a name as the catalogue has it; that of ``schema`` is left out."""
    plain = "".join(
        chr(ord(each) - _PRIVATE) if ord(each) >= _PRIVATE else each
        for each in text.replace(" ", "")
    )
    return plain.removeprefix(f"{schema}.")


def fold(text: str) -> tuple[str, list[str]]:
    """Replace what is in parentheses by ``(#n)``, n its place in the list."""
    groups: list[str] = []

    def put_away(group: re.Match[str]) -> str:
        groups.append(group[1])
        return f"\x01#{len(groups) - 1}\x02"

    while _INNERMOST.search(text):
        text = _INNERMOST.sub(put_away, text)
    # Parentheses again, which while looking for the innermost they could not be.
    text, *groups = (
        each.replace("\x01", "(").replace("\x02", ")") for each in (text, *groups)
    )
    return text, groups


def unfold(text: str, groups: list[str]) -> str:
    """Put back what ``fold`` replaced."""
    return _FOLDED.sub(lambda each: f"({unfold(groups[int(each[1])], groups)})", text)


def split(text: str) -> list[str]:
    """Split at the commas that are in no parentheses."""
    flat, groups = fold(text)
    return [unfold(each.strip(), groups) for each in flat.split(",")]
