"""The rules on images, in words: their conditions need a header's sequences or a whole stack of slices, not one row.

A test proves that each name stands in the module that is named here.
"""

from __future__ import annotations

from medlake.grammar.quality import Rule

INSTANCE = (
    Rule("modality_unknown", "the modality is no term of DICOM", False,
         "The standard has no such kind of image: the value is left out, and pixels count as risky.", "vocabulary"),
    Rule("burned_in_risk", "kind, class or header say that pixels may show writing or a face", False,
         "Pixels may show a name or a face: no thumbnail is made, and the image is not exported as it is.", "privacy"),
    Rule("spacing_missing", "a CT, MR, PET or NM image without pixel spacing", False,
         "Nothing can be measured in the image.", "completeness"),
    Rule("class_private", "the SOP class or transfer syntax is not the standard's", False,
         "A maker's own class: readers of the standard may not understand it.", "vocabulary"),
)  # fmt: skip
SERIES = (
    Rule("orientation_mixed", "slices lie in several directions", False, "It is no single stack.", "contradiction"),
    Rule("orientation_invalid", "direction cosines at no right angle", False, "How the slices lie is unknown.", "type"),
    Rule("size_mixed", "slices have several sizes", False, "The series is no single volume.", "contradiction"),
    Rule("position_missing", "some slices have a position and some have none", False,
         "It is not known where all slices belong.", "completeness"),
    Rule("localizer_in_series", "a localizer stands among the slices", False,
         "An overview image is no part of the volume.", "contradiction"),
    Rule("slices_doubled", "two slices at one place", False, "A place was taken, or sent, twice.", "duplicate"),
    Rule("slices_missing", "a gap of more than 1.5 times the usual distance", False,
         "A part of the body is not shown.", "completeness"),
    Rule("slices_uneven", "distances differ by more than 1 %", False,
         "Volumes measured by the number of slices would be wrong.", "range"),
    Rule("gantry_tilt", "slices drift sideways", False, "The scanner was tilted: the stack is sheared.", "range"),
)  # fmt: skip
STUDY = (
    Rule("visit_ambiguous", "several visits are equally likely", False,
         "It may belong to several visits, so it is linked to none.", "contradiction"),
    Rule("procedure_ambiguous", "several procedures are equally likely", False,
         "It may belong to several procedures, so it is linked to none.", "contradiction"),
    Rule("order_of_another_person", "an order names the study for somebody else", False,
         "The order or the image carries the wrong patient.", "contradiction"),
)  # fmt: skip
ANNOTATION = (
    Rule("nothing_referenced", "a mark names no image", False, "Where it lies is unknown.", "orphan reference"),
    Rule("item_twice", "two marks of one object have one number", False,
         "The number is made unique, in the order of the object.", "duplicate"),
)  # fmt: skip
WHERE = {  # module of clean/ → the rules it flags by
    "imaging_instance": INSTANCE, "series_geometry": SERIES, "imaging_link": STUDY, "image_annotation": ANNOTATION,
}  # fmt: skip
