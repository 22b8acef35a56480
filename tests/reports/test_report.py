"""The page as a whole: offline, verdict first, readable by every reader, written whole or not at all."""

import base64
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.reports.data import ReportData
from molgen.reports.report import render_report, write_report


class Page(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html(report_data: ReportData) -> str:
    return render_report(report_data)


def test_page_loads_nothing_from_elsewhere(html: str) -> None:
    page = Page(html)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    without_images = re.sub(r'src="data:[^"]*"', "", html)
    assert not re.search(r"https?:|url\(|@import|//[a-z]", without_images)


def test_images_are_self_contained_and_described(html: str) -> None:
    images = [attributes for tag, attributes in Page(html).tags if tag == "img"]
    assert len(images) == 12  # populations, 2 surfaces, 2 profiles, energies, 3 of weights, 3 of training
    for image in images:
        assert len(image["alt"] or "") > 30
        svg = base64.b64decode((image["src"] or "").removeprefix("data:image/svg+xml;base64,"))
        for element in ElementTree.fromstring(svg).iter():
            assert element.tag.rpartition("}")[2] not in ("script", "foreignObject", "text", "a")
            for name, value in element.attrib.items():
                if name.endswith("href"):
                    assert value.startswith(("#", "data:"))


def test_verdict_comes_first_in_words_with_its_reasons(html: str) -> None:
    body = html[html.index("<body>") :]
    verdict = body.index(">Caution<")
    assert verdict < body.index("State alpha_l holds 246 effective samples") < body.index("<table")
    assert "population of alpha_l: △ caution. 246 effective samples in alpha_l." in body
    assert body.index("20\u202f000 configurations of alanine-dipeptide") < body.index("<table")


def test_each_verdict_has_its_own_word_and_shape() -> None:
    shapes = set()
    for verdict in ("reliable", "caution", "refused"):
        page = render_report(ReportData(result={"verdict": verdict}))
        assert f'<p class="word">{verdict.capitalize()}</p>' in page
        shapes.add(re.search(r'<svg viewBox[^>]*>\s*(<\w+ class="shape"[^>]*>)', page).group(1))  # type: ignore[union-attr]
    assert len(shapes) == 3


def test_empty_result_shows_no_empty_headings_and_says_coverage_is_untested() -> None:
    page = render_report(ReportData(result={"verdict": "refused", "reasons": ["Nothing was drawn."]}))
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == ["Weights"]
    assert "Coverage not tested" in page


def test_the_release_card_stands_before_the_provenance(html: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    assert headings[-2:] == ["Release card", "How to make this again"]


def test_null_and_missing_figures_are_dashes() -> None:
    nothing = {"value": None, "low": None, "high": None, "ess": None, "reference": None, "z": None}
    result = {
        "verdict": "refused", "n": 10, "ess_raw": None, "ess_raw_interval": [None, None], "pareto_k": float("nan"),
        "populations": {"a": nothing}, "delta_f": {"a->b": nothing}, "expectations": {"x": nothing}, "distances": None,
        "coverage": {"tested": True, "by": "reference", "missing": ["b"]}, "audit": None, "evaluations": None,
    }  # fmt: skip
    page = render_report(ReportData(result=result))
    body = re.sub(r'src="data:[^"]*"', "", page[page.index("<body>") :])
    assert not re.search(r"\b(nan|None|inf)\b", body)
    assert "the draws miss b." in page


def test_text_from_outside_is_escaped() -> None:
    page = render_report(ReportData(result={"verdict": "caution", "system": "<script>x</script>", "reasons": ["a<b"]}))
    assert "<script" not in page
    assert "a&lt;b" in page


def test_write_replaces_whole_and_leaves_no_other_file(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    data = ReportData(result={"verdict": "reliable"})
    write_report(data, target)
    write_report(replace(data, result={"verdict": "refused"}), target)
    assert ">Refused<" in target.read_text(encoding="utf-8")
    assert os.listdir(target.parent) == ["report.html"]


def test_failed_write_keeps_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.html"
    target.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot be written.*No space left"):
        write_report(ReportData(result={"verdict": "reliable"}), target)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_target_that_cannot_be_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(ReportData(result={"verdict": "reliable"}), tmp_path / "file" / "report.html")


def test_importing_the_report_loads_no_plotting_library() -> None:
    code = (
        "import sys, molgen.reports.report; print([m for m in ('matplotlib', 'jinja2', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_profile_without_any_value_is_named_and_not_drawn(report_data: ReportData) -> None:
    line = report_data.profiles_1d[0]
    nothing = np.full(line.free_energy.shape, np.nan)
    bare = replace(line, cv="hollow", free_energy=nothing, low=nothing, high=nothing, reference=None)
    text = render_report(replace(report_data, profiles_1d=(*report_data.profiles_1d, bare)))
    assert "Too few effective draws in every bin for a free energy along hollow." in text
    assert "Free energy along hollow" not in text
    assert f"Free energy along {line.cv}" in text
    assert "Too few effective draws" not in render_report(report_data)
