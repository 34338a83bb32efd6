"""Vietnamese names, made by code: common family, middle and given names in the shares that they have."""

from __future__ import annotations

import random
from collections.abc import Iterator

FAMILIES = (
    ("Nguyễn", 38), ("Trần", 11), ("Lê", 10), ("Phạm", 7), ("Hoàng", 3), ("Huỳnh", 3), ("Phan", 5), ("Vũ", 3),
    ("Võ", 2), ("Đặng", 2), ("Bùi", 2), ("Đỗ", 2), ("Hồ", 1), ("Ngô", 1), ("Dương", 1), ("Lý", 1),
    ("Đinh", 1), ("Tạ", 1), ("Hà", 1), ("Mạc", 1),
)  # fmt: skip
MIDDLES = (
    ("Văn", 24), ("Thị", 28), ("Đức", 4), ("Minh", 5), ("Ngọc", 5), ("Thanh", 4), ("Hữu", 3), ("Quốc", 3),
    ("Thị Mỹ", 2), ("Thị Hồng", 3), ("Xuân", 2), ("Đình", 2), ("Kim", 2), ("Gia", 2), ("Bảo", 2), ("", 2),
)  # fmt: skip
GIVENS = (
    "An Anh Ánh Bình Bích Châu Chi Cường Dũng Duy Dương Đạt Đức Giang Hà Hạ Hải Hạnh Hiếu Hiền Hoa Hoà "
    "Hoá Hoài Hồng Hùng Huy Huyền Hương Khánh Khoa Khôi Khuê Kiên Lan Lâm Liên Linh Loan Long Ly Mai "
    "Mạnh Minh My Nam Nga Ngân Nghĩa Ngọc Nguyên Nhàn Nhi Nhung Oanh Phong Phú Phúc Phương Quân Quang "
    "Quý Quyên Quỳnh Sơn Sáng Tâm Tân Thái Thắng Thảo Thịnh Thu Thử Thuỷ Thúy Thư Tiến Toàn Trang Trâm "
    "Trí Trung Tú Tuấn Tuyết Uyên Ưng Vân Vinh Vy Xuân Yến Yên Ý "
)


def vietnamese_names(count: int, seed: int = 1) -> Iterator[str]:
    """Make names as DICOM writes them, ``Nguyễn^Văn Đức``; the same ones for the same seed."""
    chance = random.Random(seed)
    families, family_shares = zip(*FAMILIES, strict=True)
    givens = GIVENS.split()
    middles, middle_shares = zip(*MIDDLES, strict=True)
    for _ in range(count):
        family = chance.choices(families, family_shares)[0]
        middle = chance.choices(middles, middle_shares)[0]
        yield f"{family}^{middle} {chance.choice(givens)}".replace("^ ", "^")
