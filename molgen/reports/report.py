"""The one-file report: composes words, tables and figures into offline HTML and writes it atomically."""

import os
import tempfile
from importlib.resources import files
from pathlib import Path

from molgen.errors import InputError
from molgen.reports.data import ReportData
from molgen.reports.wording import VERDICT_MEANING, summary


def write_report(data: ReportData, path: Path) -> None:
    """Write ``data`` as one offline HTML file at ``path``: no script, no external resource.

    The file appears whole or not at all (temporary file, fsync, rename). ``InputError`` if it cannot be written.
    """
    _write_atomically(path, render_report(data).encode("utf-8"))


def render_report(data: ReportData) -> str:
    """The report's HTML text; equal data give equal text."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("molgen.reports").joinpath("template.html.j2").read_text(encoding="utf-8")
    verdict = str(data.result["verdict"])
    return environment.from_string(source).render(
        system=str(data.result.get("system", "")),
        verdict=verdict,
        meaning=VERDICT_MEANING[verdict],
        reasons=[str(reason) for reason in data.result.get("reasons") or ()],
        summary=summary(data.result),
    )


def _write_atomically(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"The report {path} cannot be written.", f"{error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise InputError(f"The report {path} cannot be written.", f"{error.strerror}.") from error
