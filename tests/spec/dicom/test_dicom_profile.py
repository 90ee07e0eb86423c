"""PS3.15 annex E: 621 of 621 attributes, at the top level, in a kept sequence and inside private groups; every option."""

from __future__ import annotations

import io
import json
import tomllib
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID
from tests.rooms import dicom_table
from tests.shared import shared
from tests.spec.dicom.annex_e import OPTIONS, SECRET, SECRET_UID, SHIFT_DAYS, TABLE, Case, cases, fault, plant

from medlake.doors.settings import Conf
from medlake.grammar.errors import ConfigError
from medlake.privacy.dicom_object import deidentified, lenient, without_identity
from medlake.privacy.dicom_profile import OPTION_CODES, Profile, profile_of
from medlake.privacy.dicom_values import Person, capped_age, cleaned, shifted_value
from medlake.privacy.dicom_words import own_words
from medlake.privacy.pseudonym import pseudonym_for, uid_for

KEY = bytes(range(32))
PERSON = Person(4711, "event", SHIFT_DAYS, KEY, ("Homer", "Meyer"))
TABLES = Conf().toml("dicom_profile.toml"), Conf().toml("dicom.toml")
CT, MR, UNKNOWN = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
SHARED_GROUPS = 0x52009229  # a sequence that the table leaves alone


def profile(*options: str) -> Profile:
    return profile_of(TABLES[0], {**TABLES[1], "options": list(options)})


def judged(some: list[Case], options: list[str], place: str) -> list[str]:
    """Plant all, de-identify once, judge each."""
    dataset = Dataset()
    holder = dataset
    if place == "nested":
        holder = Dataset()
        dataset.add(DataElement(SHARED_GROUPS, "SQ", Sequence([holder])))
    if place == "private":
        holder = Dataset()
        dataset.add(DataElement(0x00110010, "LO", "ACME 2.0"))
        dataset.add(DataElement(0x00111001, "SQ", Sequence([holder])))
    plant(holder, some)
    with lenient():
        made = without_identity(dataset, profile(*options), PERSON)
    if place == "private":
        return ["the private sequence is still there"] if made.keys() else []
    after = made[SHARED_GROUPS].value[0] if place == "nested" else made
    uids = {SECRET_UID: uid_for(KEY, SECRET_UID), **({"kept": "yes"} if "retain_uids" in options else {})}
    found = [fault(c, holder, after, c.allowed(options, nested=place == "nested"), uids) for c in some]
    return [text for text in found if text]


@pytest.mark.parametrize("place", ["top", "nested", "private"])
@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_each_attribute_of_the_table_gets_its_action(option: str, place: str) -> None:
    every = cases()
    assert len(every) == 621
    groups = [c for c in every if c.tag not in {0x60024000}]  # comments of an overlay go with its data: planted alone
    faults = judged(groups, [option] if option else [], place)
    faults += judged([c for c in every if c.tag == 0x60024000], [option] if option else [], place)
    concerned = sum(OPTIONS[option] in c.row for c in every) if option else len(every)
    print(f"{option or 'basic profile'}, {place}: {621 - len(faults)} of 621 right, {concerned} of them by it")
    assert not faults, "\n".join(faults)


def test_two_options_at_once_take_the_more_careful_action() -> None:
    some = [c for c in cases() if "rtnDevIdOpt" in c.row and "rtnLongModifDatesOpt" in c.row]
    assert len(some) == 11
    assert judged(some, ["retain_device", "retain_modified_dates"], "top") == []


def test_all_options_together_leave_what_any_of_them_keeps() -> None:
    options = [o for o in OPTIONS if o != "retain_full_dates"]
    every = [c for c in cases() if c.tag != 0x60024000]
    assert judged(every, options, "top") == []


def test_a_private_attribute_goes_whatever_it_is_called() -> None:
    dataset = Dataset()
    block = dataset.private_block(0x0043, "ACME 3.0", create=True)
    for number, case in enumerate(cases()[:200]):
        block.add_new(number, "LO", f"{SECRET} {case.name}"[:64])
    assert list(without_identity(dataset, profile(), PERSON).keys()) == []


def test_of_private_attributes_only_listed_ones_in_their_creators_block_stay() -> None:
    dataset = Dataset()
    for creator in ("SIEMENS MR HEADER", "ACME 1.0"):
        block = dataset.private_block(0x0019, creator, create=True)
        block.add_new(0x0C, "IS", 1000)
        block.add_new(0x0D, "LO", SECRET)
    made = without_identity(dataset, profile("retain_safe_private"), PERSON)
    assert [(f"{e.tag:08X}".upper(), e.value) for e in made] == [("00190010", "SIEMENS MR HEADER"), ("0019100C", 1000)]


def test_a_safe_private_attribute_of_another_representation_goes() -> None:
    dataset = Dataset()
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "LO", SECRET)
    assert list(without_identity(dataset, profile("retain_safe_private"), PERSON).keys()) == []


@pytest.mark.parametrize(
    ("tag", "sop_class", "nested", "code"),
    [
        (0x00080012, CT, False, "X"),  # Instance Creation Date, X/D: optional for a CT image
        (0x00080023, CT, False, "Z"),  # Content Date, Z/D: type 2C
        (0x00080080, CT, False, "X"),  # Institution Name, X/Z/D: type 3
        (0x00080022, "1.2.840.10008.5.1.4.1.1.128", False, "Z"),  # Acquisition Date of a PET image: type 2
        (0x00081000 + 0x10, CT, False, "X"),  # Station Name
        (0x00100020, CT, False, "Z"),  # Patient ID, Z/D: type 2
        (0x00080012, UNKNOWN, False, "D"),
        (0x00080023, CT, True, "D"),
        (0x00081140, CT, False, "X"),
        (0x00081140, CT, True, "U"),
    ],
)
def test_where_the_table_leaves_it_open_the_kind_of_object_decides(
    tag: int, sop_class: str, nested: bool, code: str
) -> None:
    assert profile().action(tag, None if nested else sop_class).code == code


def test_our_table_is_made_from_the_published_one() -> None:
    path = shared("standards", TABLE)
    rows = json.loads(path.read_text(encoding="utf-8"))
    lines = dicom_table.CONF.read_text(encoding="utf-8").splitlines()
    ours = lines[lines.index("[attribute]") + 1 : lines.index("", lines.index("[attribute]"))]
    assert ours == dicom_table.profile(rows)
    assert len(tomllib.loads("\n".join(ours))) == 621


def whole(name: str = "CT_small.dcm") -> pydicom.FileDataset:
    return pydicom.dcmread(str(get_testdata_file(name)))


def written(dataset: pydicom.FileDataset) -> bytes:
    buffer = io.BytesIO()
    with lenient():
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def test_what_was_done_is_written_into_the_object() -> None:
    options = ["retain_modified_dates", "clean_descriptors"]
    made = pydicom.dcmread(io.BytesIO(written(deidentified(whole(), profile(*options), PERSON))))
    assert made.PatientIdentityRemoved == "YES"
    assert made.LongitudinalTemporalInformationModified == "MODIFIED"
    codes = [(i.CodeValue, i.CodingSchemeDesignator) for i in made.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113105", "DCM"), ("113107", "DCM")]
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID != whole().SOPInstanceUID
    assert made.preamble == bytes(128)
    assert "SourceApplicationEntityTitle" not in made.file_meta


@pytest.mark.parametrize(
    ("options", "said"), [([], "REMOVED"), (["retain_full_dates"], "UNMODIFIED"), (["retain_modified_dates"], "MODIFIED")]
)
def test_what_became_of_time_is_told(options: list[str], said: str) -> None:
    assert deidentified(whole(), profile(*options), PERSON).LongitudinalTemporalInformationModified == said


def test_names_dates_and_uids_are_those_of_the_tables() -> None:
    dataset = whole()
    dataset.AccessionNumber = "A-1"
    made = deidentified(dataset, profile("retain_modified_dates"), PERSON)
    assert (made.PatientID, str(made.PatientName)) == ("4711", "4711")
    assert made.AccessionNumber == pseudonym_for("event", "A-1")
    assert made.StudyDate == "20040109"  # 2004-01-19 and ten days back
    assert made.StudyInstanceUID == uid_for(KEY, dataset.StudyInstanceUID)


def test_references_go_where_their_objects_go() -> None:
    first, second = whole(), whole()
    second.SOPInstanceUID = "1.2.3.99"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = first.SOPClassUID, first.SOPInstanceUID
    second.ReferencedSeriesSequence = Sequence([Dataset()])
    second.ReferencedSeriesSequence[0].SeriesInstanceUID = first.SeriesInstanceUID
    second.ReferencedSeriesSequence[0].ReferencedInstanceSequence = Sequence([reference])
    made = [deidentified(d, profile(), PERSON) for d in (first, second)]
    told = made[1].ReferencedSeriesSequence[0]
    assert told.SeriesInstanceUID == made[0].SeriesInstanceUID
    assert told.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == made[0].SOPInstanceUID
    assert told.ReferencedInstanceSequence[0].ReferencedSOPClassUID == first.SOPClassUID


@pytest.mark.parametrize("place", ["CodeMeaning", "ManufacturerModelName", "SoftwareVersions"])
def test_the_persons_own_words_stay_nowhere(place: str) -> None:
    dataset = whole()
    dataset.PatientName, dataset.PatientID = "Quux^Zoe", "ID-123456"
    setattr(dataset, place, "quux ID-123456 Homer v7 19520304 03/04/1952")
    dataset.PatientBirthDate = "19520304"
    out = written(deidentified(dataset, profile(), PERSON)).lower()
    assert not [word for word in (b"quux", b"id-123456", b"homer", b"19520304", b"03/04/1952") if word in out]
    assert b"v7" in out


def test_an_attribute_that_the_standard_does_not_know_does_not_pass() -> None:
    dataset = Dataset()
    dataset.add(DataElement(0x00091234 + 0x10000, "LO", SECRET))
    dataset.add(DataElement(0x00180001, "LO", SECRET))
    dataset.add(DataElement(0x00180050, "DS", "1.5"))
    assert [e.keyword for e in without_identity(dataset, profile(), PERSON)] == ["SliceThickness"]


@pytest.mark.parametrize("name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "MR_small_RLE.dcm", "rtplan.dcm", "test-SR.dcm", "examples_overlay.dcm", "waveform_ecg.dcm", "JPEG2000.dcm"])
def test_every_encoding_is_written_back_and_read_again(name: str) -> None:
    dataset = whole(name)
    named = sorted({w.encode() for w in own_words(dataset) if len(w) > 3})
    out = written(deidentified(dataset, profile("retain_modified_dates", "clean_descriptors"), PERSON))
    made = pydicom.dcmread(io.BytesIO(out))
    assert made.file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID
    assert made.PatientID == "4711"
    assert not [word for word in named if word in out]
    assert UID(made.SOPInstanceUID).is_valid
    if "PixelData" in dataset:
        assert (made.pixel_array == dataset.pixel_array).all()


def test_a_value_that_cannot_be_read_does_not_pass() -> None:
    dataset = Dataset()
    for tag, vr in ((0x00180050, "DS"), (0x00200013, "IS"), (0x00080020, "DA")):
        dataset[tag] = RawDataElement(Tag(tag), vr, 6, b"Zq7Quu", 0, False, True)
    made = without_identity(dataset, profile("retain_modified_dates"), PERSON)
    assert [(e.keyword, e.value) for e in made] == [("StudyDate", None)]


@pytest.mark.parametrize(
    ("text", "vr", "want"),
    [
        ("20240310", "DA", "20240229"),
        ("2024.03.10", "DA", "20240229"),
        ("20240310112233.5+0100", "DT", "20240229112233.5+0100"),
        ("202403", "DT", "202403"),
        ("2024", "DT", "2024"),
        ("20240231", "DA", None),
        ("20240310 Meyer", "DT", None),
        ("Meyer", "DA", None),
        ("112233.123456", "TM", "112233.123456"),
        ("Meyer", "TM", None),
    ],
)
def test_dates_move_in_their_own_precision(text: str, vr: str, want: str | None) -> None:
    assert shifted_value(text, vr, -10) == want


@pytest.mark.parametrize(("age", "want"), [("089Y", "089Y"), ("090Y", "090Y"), ("104Y", "090Y"), ("006M", "006M")])
def test_nobody_looks_older_than_ninety(age: str, want: str) -> None:
    assert capped_age(age) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("CT BRAIN for Homer", "CT BRAIN for"),
        ("Chest (Meyer) 123456 axial", "Chest axial"),
        ("Zq7Quux", ""),
        ("T2_FLAIR-sag 4.8", "T2_FLAIR-sag 4.8"),
    ],
)
def test_descriptions_keep_harmless_words_only(text: str, want: str) -> None:
    assert cleaned(text, profile().words, frozenset({"homer", "meyer"})) == want


@pytest.mark.parametrize(
    ("options", "said"),
    [(["retain_everything"], "unknown options"), (["retain_full_dates", "retain_modified_dates"], "not both")],
)
def test_a_choice_that_makes_no_sense_is_refused(options: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        profile(*options)


def test_a_faulty_row_of_ones_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="00100010"):
        profile_of({"attribute": {"00100010": "X keep_it=K"}}, {})


def test_every_option_has_a_code_of_the_standard() -> None:
    assert set(OPTIONS) < set(OPTION_CODES)


@pytest.mark.parametrize("folder", ["dicom-phi", "dcm_qa_deident"])
def test_no_identity_of_the_shared_samples_is_left(folder: str) -> None:
    from tests.shared import shared_samples

    paths = sorted(Path(shared_samples(folder) / folder).glob("*.dcm"))
    assert paths
    for path in paths:
        with lenient():
            dataset = pydicom.dcmread(path)
            words = {w.lower().encode() for w in own_words(dataset)} | identities(dataset)
        made = deidentified(dataset, profile("retain_modified_dates", "clean_descriptors"), PERSON)
        del made.PixelData  # bytes of pixels may spell anything; writing in them is searched for elsewhere
        out = written(made).lower()
        left = [w for w in words if w in out and not any(w in b for b in HARMLESS)]
        assert not left, path.name


HARMLESS = (b"testis",)  # a patient is called Test


def identities(dataset: Dataset) -> set[bytes]:
    """Every text of the file that says who or where, whatever our own code thinks of it."""
    wanted = ("Patient", "Physician", "Institution", "Operator", "Station", "Serial", "Accession", "UID", "RequestingService", "StudyID", "ProcedureID")
    found = set()
    for element in dataset.iterall():
        named = any(part in element.keyword for part in wanted) and "Class" not in element.keyword
        if named and element.VR in ("PN", "LO", "SH", "UI", "ST", "DA") and element.keyword not in ("PatientOrientation",):
            found |= {str(v).lower().encode() for v in (element.value if element.VM > 1 else [element.value]) if len(str(v)) > 4}
    return found
