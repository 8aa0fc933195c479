"""What a user of DigitalMicrograph has drawn over an image is in its preview, at its place and in its colour."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from Services.Builder.extraction.extractors import Axis, Signal
from Services.Builder.preview.annotations import annotations_of, drawn_into
from tests.services.instrument_files import DATA, MISSING

GREEN = (0, 255, 0)


def signal(*annotations: dict, sources: int = 1) -> Signal:
    tags = {
        "ImageSourceList": {f"TagGroup{number}": {"ImageRef": number + 1} for number in range(sources)},
        "DocumentObjectList": {
            "TagGroup0": {"AnnotationGroupList": {f"TagGroup{at}": tags for at, tags in enumerate(annotations)}}
        },
    }
    return Signal(np.zeros((100, 200)), (Axis(100, "y"), Axis(200, "x")), original_metadata=tags)


def shown(of: Signal) -> np.ndarray:
    return np.asarray(drawn_into(Image.new("L", (400, 200), 100), of, (100, 200)).convert("RGB"))


def region(*box: float, **more: object) -> dict:
    return {"AnnotationType": 23, "Rectangle": box, "Color": (0, -1, 0), **more}


class TestAnnotations:
    """Rectangles are given as top, left, bottom, right, in pixels of the image."""

    def test_a_region_is_outlined_at_its_place(self):
        rows, columns = np.nonzero((shown(signal(region(10.0, 20.0, 60.0, 180.0))) == GREEN).all(axis=-1))
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((20, 120, 40, 360), abs=1)

    def test_its_name_is_written(self):
        plain, named = (shown(signal(region(10.0, 20.0, 60.0, 180.0, **more))) for more in ({}, {"Label": "SI $_{"}))
        assert (plain != named).any()

    @pytest.mark.parametrize("kind", [2, 3, 4, 5, 6, 27])
    def test_lines_ovals_and_points_have_their_colour(self, kind):
        key = "Color" if kind == 27 else "ForegroundColor"
        tags = {"AnnotationType": kind, "Rectangle": (50.0, 50.0, 50.0 if kind == 27 else 90.0, 150.0), key: (-1, 0, 0)}
        assert (shown(signal(tags)) == (255, 0, 0)).all(axis=-1).any()

    def test_a_text_is_written_where_it_stands(self):
        tags = {
            "AnnotationType": 13,
            "Rectangle": (50.0, 100.0, 60.0, 150.0),
            "Text": "pore",
            "ForegroundColor": (-1, -1, -1),
        }
        rows, columns = np.nonzero((shown(signal(tags)) != 100).any(axis=-1))
        assert 95 < rows.min() < rows.max() < 130
        assert columns.min() > 195

    @pytest.mark.parametrize(
        "tags",
        [
            {"AnnotationType": 31, "Rectangle": (1.0, 1.0, 5.0, 5.0)},
            {"AnnotationType": 99, "Rectangle": (1.0, 1.0, 5.0, 5.0)},
            region(1.0, 1.0, 5.0, 5.0, IsVisible=0),
            region(1.0, 1.0, 1.0, 1.0),
            region(1.0, 1.0),
            region(float("nan"), 1.0, 5.0, 5.0),
            {"AnnotationType": 23},
            {"AnnotationType": 23, "Rectangle": "nowhere"},
            {"AnnotationType": [23], "Rectangle": (1.0, 1.0, 5.0, 5.0)},
        ],
    )
    def test_what_is_hidden_or_not_understood_is_left_out(self, tags):
        assert (shown(signal(tags)) == 100).all()

    def test_with_several_images_it_is_not_known_which_one_they_belong_to(self):
        assert (shown(signal(region(10.0, 20.0, 60.0, 180.0), sources=2)) == 100).all()

    def test_odd_places_and_colours_harm_nothing(self):
        shown(signal(region(-1e30, -1e30, 1e30, 1e30, Color="green", Label="x" * 5000)))

    def test_the_region_of_a_survey_image(self):
        path = DATA / "dm_nexus" / "Titan_survey_image_dataZeroed.dm3"
        if not path.is_file():
            pytest.skip(MISSING)
        from Services.Builder.extraction.extractors.rosettasciio.read import read

        (one,) = annotations_of(read(path).signals[0])
        assert one.text == "Spectrum Image"
        assert one.box == (513, 438, 876, 801)
        assert one.colour == GREEN
