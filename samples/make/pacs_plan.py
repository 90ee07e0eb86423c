"""Which real objects (pydicom's test files) become whose study in the picture archive."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Study:
    """One study to make: the modality decides whose it can be."""

    name: str
    modality: str
    description: str
    series: tuple[tuple[str, tuple[str, ...]], ...]  # (description, test files); no files: the MR volume
    in_zip: bool = False
    night: int = 1


def _many(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"dicomdirtests/{folder}/{name}" for name in names)


STUDIES = [
    Study("head_volume", "MR", "MR head", (("EPI axial", ()),)),
    Study(
        "mr_syntaxes",
        "MR",
        "MR head, series in several transfer syntaxes",
        (
            ("explicit little endian", ("MR_small.dcm",)),
            ("implicit little endian", ("MR_small_implicit.dcm",)),
            ("explicit big endian", ("MR_small_bigendian.dcm",)),
            ("RLE", ("MR_small_RLE.dcm",)),
            ("JPEG 2000 lossless", ("MR_small_jp2klossless.dcm",)),
            ("JPEG-LS lossless", ("MR_small_jpeg_ls_lossless.dcm",)),
        ),
    ),
    Study("mr_abdomen", "MR", "MR abdomen", (("MPR with overlay", ("examples_overlay.dcm",)),)),
    Study("mr_localizer", "MR", "MR brain", (("localizer", _many("98892003/MR1", "4919", "5641", "15820")),)),
    Study(
        "ct_body", "CT", "CT body", (("axial", ("CT_small.dcm",)), ("axial, JPEG 2000", ("693_J2KI.dcm",)))
    ),
    Study("ct_head", "CT", "CT head", (("axial, JPEG 2000 lossless", ("J2K_pixelrep_mismatch.dcm",)),)),
    Study(
        "ct_outside",
        "CT",
        "CT head and heart from another hospital",
        (
            ("routine brain", _many("77654033/CT2", "17106", "17136", "17166", "17196")),
            ("gated", _many("98892001/CT5N", "2062", "2392", "2693", "3023", "3353")),
        ),
        in_zip=True,
    ),
    Study(
        "cr_spine",
        "CR",
        "XR cervical spine",
        (
            ("lateral", _many("77654033/CR1", "6154")),
            ("oblique right", _many("77654033/CR2", "6247")),
            ("oblique left", _many("77654033/CR3", "6278")),
        ),
    ),
    Study("us_heart_rgb", "US", "US heart", (("four chambers", ("examples_rgb_color.dcm",)),)),
    Study("us_heart_palette", "US", "US heart", (("Doppler", ("examples_palette.dcm",)),)),
    Study("us_heart_loop", "US", "US heart", (("loop, JPEG", ("examples_ybr_color.dcm",)),)),
    Study("us_vessel", "US", "US vessel", (("still, JPEG 2000 lossless", ("examples_jpeg2k.dcm",)),)),
    Study(
        "nm_bone",
        "NM",
        "NM bone scan",
        (("whole body, JPEG", ("JPGExtended.dcm",)), ("whole body, JPEG 2000", ("JPEG2000.dcm",))),
    ),
    Study("rt_dose", "RTDOSE", "RT dose", (("dose grid", ("rtdose.dcm",)),)),
    Study("sr_report", "SR", "Structured report", (("report", ("reportsi.dcm",)),)),
    Study(
        "ot_capture",
        "OT",
        "Screen capture",
        (("capture, JPEG", ("SC_rgb_jpeg.dcm",)), ("capture, deflated", ("image_dfl.dcm",))),
    ),
    Study("ct_scout", "CT", "CT scout", (("scout", _many("98892001/CT2N", "6293", "6924")),), night=2),
]
