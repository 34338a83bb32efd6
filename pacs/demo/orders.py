"""Who is examined, when and why: invented patients of an invented hospital, and their orders.

Codes are real ones of the national table that ships with :mod:`pacs.codes`; some exams have none on purpose,
as half of the modalities of any hospital send none, and are left to the rules of the site.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

INSTITUTION_NAME = "Bệnh viện Minh Họa"
INSTITUTION_ADDRESS = "1 Đường Minh Họa, Việt Nam"
TIMEZONE_OFFSET = "+0700"


@dataclass(frozen=True)
class Patient:
    """An invented patient; dates are ``YYYYMMDD``."""

    patient_id: str
    name: str
    birth_date: str
    sex: str
    weight_kg: float


class CodePlace(Enum):
    """Where the modality writes the procedure's code, as worklists of different makers do."""

    STUDY = "Procedure Code Sequence"
    REQUEST = "Request Attributes Sequence"


@dataclass(frozen=True)
class ProcedureCode:
    """A national code with the table's name, shortened to 64 bytes.

    LO has 64 characters (PS3.5 6.2), but some validators count bytes.
    """

    value: str
    meaning: str
    place: CodePlace


@dataclass(frozen=True)
class Order:
    """What was asked for and done. Everything that is named after it hangs on the accession number."""

    accession_number: str
    patient: Patient
    date: str
    time: str
    description: str
    referring_physician: str
    reason: str
    code: ProcedureCode | None = None


_DUC = Patient("BN0001234", "NGUYỄN^VĂN ĐỨC", "19610307", "M", 62)
_NGOC = Patient("BN0005678", "TRẦN^THỊ BÍCH NGỌC", "19920918", "F", 50)
_HUONG = Patient("BN0002417", "PHẠM^THỊ THU HƯỜNG", "19780525", "F", 55)
_PHUC = Patient("BN0010086", "LÊ^HOÀNG PHÚC", "19991202", "M", 68)
_HOA = Patient("BN0000719", "BÙI^THỊ HOÀ", "19430211", "F", 44)
_LINH = Patient("BN0008123", "ĐẶNG^THỊ MỸ LINH", "19850730", "F", 53)
_BAO = Patient("BN0003350", "HUỲNH^QUỐC BẢO", "19701114", "M", 71)
_THUY = Patient("BN0004402", "VÕ^THỊ THÙY DƯƠNG", "19510405", "F", 49)

_CHEST_XRAY = "Chụp X-quang ngực thẳng"

CT_CHEST = Order(
    "CT261120001", _DUC, "20261120", "084152", "CLVT ngực có thuốc cản quang", "BSCKI^TRỊNH HẢI YẾN",
    "Nốt mờ thùy trên phổi phải trên X-quang",
    ProcedureCode("18.0192.0041", "CLVT ngực có thuốc cản quang", CodePlace.STUDY),
)  # fmt: skip
CT_CHEST_PRIOR = Order(
    "CT260514007", _DUC, "20260514", "101530", "CLVT lồng ngực không tiêm thuốc", "BSCKI^TRỊNH HẢI YẾN",
    "Ho kéo dài, hút thuốc 30 gói-năm",
)  # fmt: skip
DX_CHEST_PRIOR = Order(
    "XQ261112015", _DUC, "20261112", "143008", "X-quang ngực thẳng", "BS^LÝ THANH SƠN", "Ho ra máu lượng ít",
    ProcedureCode("18.0119.0028", _CHEST_XRAY, CodePlace.STUDY),
)  # fmt: skip
DX_CHEST = Order(
    "XQ261120042", _NGOC, "20261120", "092611", "X-quang ngực thẳng", "BS^NGÔ ĐÌNH KHÁNH", "Khám sức khỏe",
    ProcedureCode("18.0119.0028", _CHEST_XRAY, CodePlace.REQUEST),
)  # fmt: skip
CR_BEDSIDE = Order(
    "XQ261117088", _HOA, "20261117", "221940", "XQ ngực thẳng tại giường", "BSCKII^ĐỖ MẠNH CƯỜNG",
    "Viêm phổi, thở oxy",
)  # fmt: skip
CR_HAND = Order(
    "XQ261118031", _PHUC, "20261118", "160455", "X-quang bàn tay phải", "BS^MAI XUÂN TÙNG",
    "Đau bàn tay phải sau chơi bóng",
    ProcedureCode("18.0108.0028", "Chụp X-quang xương bàn ngón tay thẳng, nghiêng", CodePlace.STUDY),
)  # fmt: skip
MR_BRAIN = Order(
    "MR261119004", _HUONG, "20261119", "134722", "CHT sọ não không tiêm thuốc", "TS^VŨ NGỌC ÁNH",
    "Đau đầu, yếu nửa người phải",
)  # fmt: skip
MR_BRAIN_AGED = Order(
    "MR261116002", _THUY, "20261116", "083910", "CHT sọ não", "TS^VŨ NGỌC ÁNH", "Giảm trí nhớ",
)  # fmt: skip
US_HEART = Order(
    "SA261119027", _BAO, "20261119", "102233", "Siêu âm Doppler tim", "BSCKII^ĐỖ MẠNH CƯỜNG",
    "Khó thở khi gắng sức",
    ProcedureCode("18.0049.0004", "Siêu âm tim, màng tim qua thành ngực", CodePlace.REQUEST),
)  # fmt: skip
US_ABDOMEN = Order(
    "SA261120019", _LINH, "20261120", "101847", "Siêu âm ổ bụng tổng quát", "BS^NGÔ ĐÌNH KHÁNH",
    "Đau hạ sườn phải",
    ProcedureCode("18.0015.0001", "Siêu âm ổ bụng (gan mật, tụy, lách, thận)", CodePlace.STUDY),
)  # fmt: skip
