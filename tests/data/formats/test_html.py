"""Label Studio's HTML tasks: the offsets count in the text of the HTML."""

import json

from tagbelt.data.formats.convert import SourceOptions, TargetOptions, convert
from tagbelt.data.formats.record import Format


def region(start, end, text, **more):
    offsets = {"globalOffsets": {"start": start, "end": end}} if start is not None else {}
    value = {"start": "/p[1]/text()[1]", "text": text, "hypertextlabels": ["PER"], **offsets}
    return {"type": "hypertextlabels", "value": {**value, **more}}


def rows(tmp_path, html, *regions):
    path = tmp_path / "a.json"
    task = {"data": {"text": html}, "annotations": [{"result": list(regions)}]}
    path.write_text(json.dumps([task]), encoding="utf-8")
    reading = SourceOptions(tokenizing="whitespace")
    done = convert(path, Format.labelstudio, Format.conll, reading, TargetOptions())
    return done.text.replace("\t", " "), done.losses


def test_offsets_count_in_the_text(tmp_path):
    html = "<style>p {}</style><p>A &amp; <b>Bo</b></p><p>Ada<br>slept</p>"
    text, losses = rows(tmp_path, html, region(4, 6, "Bo"), region(6, 9, "Ada"))
    assert text == "A O\n& O\nBo B-PER\n\nAda B-PER\n\nslept O\n\n"
    assert not losses.counts


def test_regions_without_offsets_or_with_other_text_are_told(tmp_path):
    text, losses = rows(tmp_path, "<p>Ada</p>", region(None, None, "Ada"), region(0, 2, "Bo"))
    assert text == "Ada O\n\n"
    assert losses.counts == {"no-offsets": 1, "other-text": 1}
    assert losses.lost == 2
