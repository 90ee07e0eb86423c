"""Every file that pydicom brings, and the real sample sets, end in the right place: bronze, the index, or quarantine with why."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pydicom
import pytest
from tests.shared import shared_samples

from medlake.sources.dicom import objects_of_file
from medlake.sources.dicom_directory import references_json

BUNDLED = Path(pydicom.__file__).parent / "data"
# what is there (a pattern of paths) | how many files it names | where they end: modality of an object that is kept,
# `index` of a DICOMDIR with the objects it names, or the reason | why that is right
EXPECTED = """
    test_files/693_J2KI.dcm                              | 1  | CT                    | JPEG 2000
    test_files/CT_small.dcm                              | 1  | CT                    | explicit little endian
    test_files/ExplVR_BigEnd.dcm                         | 1  | dicom_patient_missing | PatientID is empty
    test_files/ExplVR_*NoMeta.dcm                        | 2  | dicom_not_part10      | a bare data set
    test_files/GDCMJ2K_TextGBR.dcm                       | 1  | dicom_patient_missing | no PatientID
    test_files/J2K_pixelrep_mismatch.dcm                 | 1  | CT                    | what the codestream says is the decoder's matter
    test_files/JPEG-lossy.dcm                            | 1  | NM                    | 12 bits
    test_files/JPEG2000*.dcm                             | 2  | NM                    | one holds a delimiter inside its codestream
    test_files/JPEGLSNearLossless_*.dcm                  | 2  | dicom_uid_missing     | no study
    test_files/JPGExtended.dcm                           | 1  | NM                    | JPEG extended
    test_files/MR_truncated.dcm                          | 1  | dicom_truncated       | 62 bytes are missing
    test_files/MR_small*.dcm                             | 8  | MR                    | RLE, big endian, implicit, JPEG, padded …
    test_files/SC_jpeg_no_color_transform*.dcm           | 2  | dicom_patient_missing | PatientID is empty
    test_files/SC_rgb_jls_lossy_*.dcm                    | 2  | dicom_uid_missing     | no study
    test_files/SC_rgb_jpeg.dcm                           | 1  | dicom_patient_missing | PatientID is empty
    test_files/SC_rgb_jpeg_app14_dcmd.dcm                | 1  | dicom_patient_missing | PatientID is empty
    test_files/SC_rgb_jpeg_dcmd.dcm                      | 1  | dicom_patient_missing | PatientID is empty
    test_files/SC_rgb_*.dcm                              | 19 | OT                    | colour in many syntaxes
    test_files/SC_ybr_full_422_uncompressed.dcm          | 1  | OT                    | two pixels share their colour
    test_files/UN_sequence.dcm                           | 1  | dicom_uid_missing     | a fragment of a header
    test_files/badVR.dcm                                 | 1  | RTDOSE                | values that their representation cannot express
    test_files/empty_charset_LEI.dcm                     | 1  | dicom_uid_missing     | a fragment of a header
    test_files/examples_overlay.dcm                      | 1  | MR                    | with an overlay plane
    test_files/examples_*.dcm                            | 4  | US                    | palette, RGB, YBR, JPEG 2000
    test_files/image_dfl.dcm                             | 1  | dicom_patient_missing | deflated; PatientID is empty
    test_files/liver*.dcm                                | 2  | SEG                   | one bit a pixel
    test_files/meta_missing_tsyntax.dcm                  | 1  | dicom_not_part10      | the meta group names no syntax
    test_files/no_meta.dcm                               | 1  | dicom_not_part10      | a bare data set
    test_files/no_meta_group_length.dcm                  | 1  | dicom_uid_missing     | a fragment of a header
    test_files/*priv_SQ.dcm                              | 2  | dicom_uid_missing     | fragments of headers
    test_files/reportsi*.dcm                             | 2  | dicom_patient_missing | a report of nobody
    test_files/rtdose*.dcm                               | 6  | RTDOSE                | 32 bits, RLE, big endian
    test_files/rtplan.dcm                                | 1  | RTPLAN                | no pixels, and none are due
    test_files/rtplan_truncated.dcm                      | 1  | dicom_truncated       | cut within a sequence
    test_files/rtstruct.dcm                              | 1  | dicom_not_part10      | no preamble
    test_files/test-SR.dcm                               | 1  | dicom_patient_missing | a report of nobody
    test_files/waveform_ecg.dcm                          | 1  | ECG                   | waveforms in place of pixels
    test_files/*.txt                                     | 1  | dicom_not_part10      | text
    test_files/*.dump                                    | 2  | dicom_not_part10      | text
    test_files/*.json                                    | 2  | dicom_not_part10      | text
    test_files/crayons.icc                               | 1  | dicom_not_part10      | a colour profile
    test_files/zipMR.gz                                  | 1  | dicom_not_part10      | gzip is no archive of DICOM (PS3.10 knows none)
    test_files/dicomdirtests/README.txt                  | 1  | dicom_not_part10      | text
    test_files/dicomdirtests/77654033/CR*/*              | 3  | CR                    | of a medium
    test_files/dicomdirtests/77654033/CT2/*              | 4  | CT                    | of a medium
    test_files/dicomdirtests/98892001/*/*                | 7  | CT                    | of a medium
    test_files/dicomdirtests/98892003/*/*                | 17 | MR                    | of a medium
    test_files/dicomdirtests/DICOMDIR                    | 1  | index of 31           | by DCMTK
    test_files/dicomdirtests/DICOMDIR-bigEnd             | 1  | index of 31           | big endian
    test_files/dicomdirtests/DICOMDIR-empty.dcm          | 1  | index of 0            | a medium with nothing on it
    test_files/dicomdirtests/DICOMDIR-implicit           | 1  | index of 31           | implicit
    test_files/dicomdirtests/DICOMDIR-nooffset           | 1  | dicom_truncated       | elements were cut out: an item claims 24 bytes too many
    test_files/dicomdirtests/DICOMDIR-nopatient          | 1  | index of 31           | no record says the patient
    test_files/dicomdirtests/DICOMDIR-reordered          | 1  | index of 31           | images before their series
    test_files/dicomdirtests/TINY_ALPHA/DICOMDIR         | 1  | index of 50           | another medium
    test_files/dicomdirtests/TINY_ALPHA/PT*/ST*/SE*/IM*  | 50 | dicom_pixels_missing  | images whose pixels were taken out
    test_files/dicomdirtests/TINY_ALPHA/README           | 1  | dicom_not_part10      | text
    charset_files/FileInfo.txt                           | 1  | dicom_not_part10      | text
    charset_files/chrJapMulti*.dcm                       | 2  | dicom_pixels_missing  | a secondary capture without its pixels
    charset_files/chrKoreanMulti.dcm                     | 1  | dicom_pixels_missing  | a secondary capture without its pixels
    charset_files/chrSQEncoding*.dcm                     | 2  | dicom_uid_missing     | fragments of headers
    charset_files/chr*.dcm                               | 12 | OT                    | names in twelve scripts
    palettes/README.md                                   | 1  | dicom_not_part10      | text
    palettes/*.dcm                                       | 8  | dicom_uid_missing     | palettes belong to no study
"""
SAMPLES = """
    tcia-ct100/*.dcm                    | 10 | CT                    | ten scanners
    dcm_qa_deident/*.dcm                | 10 | MR                    | with private sequences
    dicom-phi/ctbrain*.dcm              | 2  | CT                    | invented identities
    dicom-phi/GREYSCALE_IMAGE.dcm       | 1  | US                    | invented identities
    dicom-phi/image6.dcm                | 1  | dicom_modality_missing | it does not say how it was made
"""


def table(text: str) -> list[tuple[str, int, str]]:
    rows = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [(pattern, int(n), fate) for pattern, n, fate, _ in rows]


def fate(path: Path) -> str:
    """Where a file ends."""
    file: dict[str, Any] = {
        "source": "p", "source_table": "dicom", "file": path.name, "uri": str(path), "batch": 1,
        "size_bytes": path.stat().st_size, "file_sha256": None,
    }  # fmt: skip
    (row,) = objects_of_file(file)
    if row.get("reason_code"):
        assert row["detail"] and row["raw"] is not None
        return str(row["reason_code"])
    if row.get("references_json"):
        assert row.get("sop_instance_uid") is None
        return f"index of {row['references_json'].count('sop_instance_uid')}"
    assert row["header_json"] and row["sop_instance_uid"] and row["patient_key"]
    return str(row["modality"])


def fates(folder: Path, paths: list[Path], text: str) -> tuple[dict[str, str], dict[str, int]]:
    """Files that end elsewhere than the first pattern that fits them says; and how many each pattern names."""
    wrong, seen = {}, {pattern: 0 for pattern, _, _ in table(text)}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        fits = [(p, want) for p, _, want in table(text) if fnmatchcase(name, p) and p.count("/") == name.count("/")]
        if not fits:
            wrong[name] = "no line of the table names it"
            continue
        seen[fits[0][0]] += 1
        if (have := fate(path)) != fits[0][1]:
            wrong[name] = f"{have}, not {fits[0][1]}"
    return wrong, seen


def test_each_file_that_pydicom_brings_ends_where_it_must() -> None:
    paths = [p for part in ("test_files", "charset_files", "palettes") for p in sorted((BUNDLED / part).rglob("*")) if p.is_file()]
    wrong, seen = fates(BUNDLED, paths, EXPECTED)
    assert not wrong
    assert seen == {pattern: n for pattern, n, _ in table(EXPECTED)}
    print(f"{len(paths)} files")


def test_each_real_sample_ends_where_it_must() -> None:
    folder = shared_samples("tcia-ct100", "dcm_qa_deident", "dicom-phi")
    paths = [p for part in ("tcia-ct100", "dcm_qa_deident", "dicom-phi") for p in sorted((folder / part).glob("*.dcm"))]
    wrong, seen = fates(folder, paths, SAMPLES)
    assert not wrong
    assert seen == {pattern: n for pattern, n, _ in table(SAMPLES)}


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-reordered"])
def test_the_same_medium_is_understood_however_its_index_is_written(name: str) -> None:
    folder = BUNDLED / "test_files" / "dicomdirtests"

    def told(index: str) -> list[str]:
        with (folder / index).open("rb") as stream:
            rows = json.loads(references_json(stream, (folder / index).stat().st_size))
        return sorted(json.dumps(row, sort_keys=True) for row in rows)

    assert told(name) == told("DICOMDIR")
