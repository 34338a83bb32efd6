"""The transfer syntaxes of the Standard, and how each encodes a data set (PS3.5 Annex A, PS3.6 Annex A)."""

from __future__ import annotations

from dataclasses import dataclass

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax. ``media_type`` is that of a single frame (PS3.18 8.7.3)."""

    uid: str
    name: str
    implicit_vr: bool = False
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = True
    media_type: str = "application/octet-stream"
    video: bool = False


def _native(
    uid: str, name: str, *, implicit_vr: bool = False, big_endian: bool = False, deflated: bool = False
) -> TransferSyntax:
    return TransferSyntax(uid, name, implicit_vr, big_endian, deflated, encapsulated=False)


def _video(number: str, name: str, media_type: str) -> TransferSyntax:
    return TransferSyntax(f"1.2.840.10008.1.2.4.{number}", name, media_type=media_type, video=True)


def _image(number: str, name: str, media_type: str) -> TransferSyntax:
    return TransferSyntax(f"1.2.840.10008.1.2.4.{number}", name, media_type=media_type)


_ALL = (
    _native(IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", implicit_vr=True),
    _native(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian"),
    _native(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", big_endian=True),
    _native(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "Deflated Explicit VR Little Endian", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    TransferSyntax("1.2.840.10008.1.2.5", "RLE Lossless", media_type="image/dicom-rle"),
    TransferSyntax("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
    _image("50", "JPEG Baseline (Process 1)", "image/jpeg"),
    _image("51", "JPEG Extended (Processes 2 and 4)", "image/jpeg"),
    _image("52", "JPEG Extended (Processes 3 and 5), retired", "image/jpeg"),
    _image("53", "JPEG Spectral Selection (Processes 6 and 8), retired", "image/jpeg"),
    _image("54", "JPEG Spectral Selection (Processes 7 and 9), retired", "image/jpeg"),
    _image("55", "JPEG Full Progression (Processes 10 and 12), retired", "image/jpeg"),
    _image("56", "JPEG Full Progression (Processes 11 and 13), retired", "image/jpeg"),
    _image("57", "JPEG Lossless (Process 14)", "image/jpeg"),
    _image("58", "JPEG Lossless (Process 15), retired", "image/jpeg"),
    _image("59", "JPEG Extended, Hierarchical (Processes 16 and 18), retired", "image/jpeg"),
    _image("60", "JPEG Extended, Hierarchical (Processes 17 and 19), retired", "image/jpeg"),
    _image("61", "JPEG Spectral Selection, Hierarchical (Processes 20 and 22), retired", "image/jpeg"),
    _image("62", "JPEG Spectral Selection, Hierarchical (Processes 21 and 23), retired", "image/jpeg"),
    _image("63", "JPEG Full Progression, Hierarchical (Processes 24 and 26), retired", "image/jpeg"),
    _image("64", "JPEG Full Progression, Hierarchical (Processes 25 and 27), retired", "image/jpeg"),
    _image("65", "JPEG Lossless, Hierarchical (Process 28), retired", "image/jpeg"),
    _image("66", "JPEG Lossless, Hierarchical (Process 29), retired", "image/jpeg"),
    _image("70", "JPEG Lossless, First-Order Prediction (Process 14, Selection Value 1)", "image/jpeg"),
    _image("80", "JPEG-LS Lossless", "image/jls"),
    _image("81", "JPEG-LS Near-Lossless", "image/jls"),
    _image("90", "JPEG 2000 Lossless Only", "image/jp2"),
    _image("91", "JPEG 2000", "image/jp2"),
    _image("92", "JPEG 2000 Part 2 Multi-component Lossless Only", "image/jpx"),
    _image("93", "JPEG 2000 Part 2 Multi-component", "image/jpx"),
    # JPIP: the pixels are elsewhere, the data set has a URL in their place
    _native("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
    _native("1.2.840.10008.1.2.4.95", "JPIP Referenced Deflate", deflated=True),
    _video("100", "MPEG2 Main Profile / Main Level", "video/mpeg"),
    _video("100.1", "Fragmentable MPEG2 Main Profile / Main Level", "video/mpeg"),
    _video("101", "MPEG2 Main Profile / High Level", "video/mpeg"),
    _video("101.1", "Fragmentable MPEG2 Main Profile / High Level", "video/mpeg"),
    _video("102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", "video/mp4"),
    _video("102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", "video/mp4"),
    _video("103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "video/mp4"),
    _video("103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", "video/mp4"),
    _video("104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", "video/mp4"),
    _video("104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video", "video/mp4"),
    _video("105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", "video/mp4"),
    _video("105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video", "video/mp4"),
    _video("106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "video/mp4"),
    _video("106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", "video/mp4"),
    _video("107", "HEVC/H.265 Main Profile / Level 5.1", "video/H265"),
    _video("108", "HEVC/H.265 Main 10 Profile / Level 5.1", "video/H265"),
    _image("110", "JPEG XL Lossless", "image/jxl"),
    _image("111", "JPEG XL JPEG Recompression", "image/jxl"),
    _image("112", "JPEG XL", "image/jxl"),
    _image("201", "High-Throughput JPEG 2000 Lossless Only", "image/jphc"),
    _image("202", "High-Throughput JPEG 2000 with RPCL Options Lossless Only", "image/jphc"),
    _image("203", "High-Throughput JPEG 2000", "image/jphc"),
    _native("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
    _native("1.2.840.10008.1.2.4.205", "JPIP HTJ2K Referenced Deflate", deflated=True),
    TransferSyntax("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20 Uncompressed Progressive", video=True),
    TransferSyntax("1.2.840.10008.1.2.7.2", "SMPTE ST 2110-20 Uncompressed Interlaced", video=True),
    TransferSyntax("1.2.840.10008.1.2.7.3", "SMPTE ST 2110-30 PCM Digital Audio", video=True),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _ALL}
