"""One page of offline HTML: a headline, a summary and sections of tables and figures, written atomically."""

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from molgen.errors import InputError
from molgen.reports.canvas import Figure
from molgen.reports.tables import Table


@dataclass(frozen=True)
class Headline:
    """What a page says first: its ``word`` and ``meaning``; ``verdict`` (reliable, caution, refused) gives the sign."""

    verdict: str
    word: str
    meaning: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it; empty parts are left out, an empty section altogether."""

    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()


def render_page(
    *,
    kind: str,
    system: str,
    version: str,
    headline: Headline,
    reasons: Sequence[str],
    summary: str,
    sections: Iterable[Section],
    estimates: Sequence[tuple[str, str, list[str]]] = (),
) -> str:
    """The HTML text; equal arguments give equal text. ``kind`` says what it is a report of.

    ``estimates`` are names, marks and reasons of single doubted estimates; empty sections are left out.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("molgen.reports").joinpath("template.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        kind=kind,
        system=system,
        version=version,
        verdict=headline.verdict,
        word=headline.word,
        meaning=headline.meaning,
        reasons=list(reasons),
        estimates=list(estimates),
        summary=summary,
        sections=[section for section in sections if section.lead or section.tables or section.figures],
    )


def write_page(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` whole or not at all (temporary file, fsync, rename).

    ``InputError`` if it cannot be.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"The report {path} cannot be written.", f"{error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InputError(f"The report {path} cannot be written.", f"{error.strerror}.") from error
