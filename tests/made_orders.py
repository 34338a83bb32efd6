"""Orders made up for tests: one in full, and any number of random ones."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from pacs.dicom.orders import Code, Order, ScheduledStep
from tests.vietnamese_names import vietnamese_names

CHEST = Code("18.0119.0028", "99BYT", "Chụp X-quang ngực thẳng [số hóa 1 phim]")
STEP = ScheduledStep(
    modality="DX",
    start_date="20261123",
    start_time="083000",
    station_ae_titles=("XQ1", "XQ2"),
    station_name="XQUANG1",
    location="Phòng 12",
    performing_physician_name="KTV^Đỗ Văn Ưng",
    description="Ngực thẳng",
    protocol_codes=(Code("CHEST-PA", "99LOCAL", "Chest PA", "1"),),
    pre_medication="không",
    contrast_agent="không",
    comments="Xe lăn\r\nchờ ở cửa 3",
)
ORDER = Order(
    patient_id="BN0005678",
    patient_name="TRẦN^THỊ BÍCH NGỌC",
    accession_number="XQ261123042",
    steps=(STEP,),
    issuer_of_patient_id="BVMH",
    patient_birth_date="19920918",
    patient_sex="F",
    patient_size="1.56",
    patient_weight="50.5",
    medical_alerts=("Máy tạo nhịp",),
    allergies=("Iod", "Penicillin"),
    additional_patient_history="Hen phế quản",
    pregnancy_status=4,
    patient_comments="Nghe kém",
    special_needs="Xe lăn",
    patient_state="Tỉnh",
    confidentiality_constraint="Nhân viên",
    admission_id="NV2611-77",
    current_patient_location="Khoa Nội, giường 7",
    referring_physician_name="BS^NGÔ ĐÌNH KHÁNH",
    requesting_physician="BS^LÝ THANH SƠN",
    requesting_service="Khoa Nội",
    placer_order_number="HIS-2026-000042",
    filler_order_number="XQ-42",
    description="X-quang ngực thẳng",
    procedure_codes=(CHEST,),
    reason="Ho ra máu",
    priority="STAT",
    transport_arrangements="Cáng",
    procedure_location="Tầng 2",
    confidentiality_code="R",
    comments="Gọi trước",
)


def made_order(**changes: Any) -> Order:
    """Make an order of one step; what is named of a step is changed in it, the rest in the order."""
    of_step = {name: changes.pop(name) for name in list(changes) if name in _OF_STEP}
    return replace(ORDER, **{"steps": (replace(STEP, **of_step),), **changes})


_OF_STEP = {
    "modality", "start_date", "start_time", "step_id", "station_ae_titles", "station_name", "location",
    "performing_physician_name", "protocol_codes", "pre_medication", "contrast_agent",
}  # fmt: skip


def random_orders(count: int, seed: int = 1, *, days: int = 30) -> list[Order]:
    """Make orders of a hospital: Vietnamese names, several stations, over some days of November 2026."""
    chance = random.Random(seed)
    return [
        _random_order(chance, number, name, days) for number, name in enumerate(vietnamese_names(count, seed))
    ]


def _random_order(chance: random.Random, number: int, name: str, days: int) -> Order:
    modality = chance.choice(("CT", "MR", "DX", "US"))
    stations = tuple(f"{modality}{one}" for one in chance.sample((1, 2, 3), chance.choice((0, 1, 1, 2))))
    step = ScheduledStep(
        modality=modality,
        start_date=f"202611{1 + chance.randrange(days):02}",
        start_time=f"{chance.randrange(7, 18):02}{chance.randrange(60):02}00",
        station_ae_titles=stations,
        description=chance.choice(("Ngực thẳng", "Sọ não", "Ổ bụng", None)),
        performing_physician_name=chance.choice(("KTV^Đỗ Văn Ưng", "KTV^Lê Thị Hoà", None)),
    )
    return Order(
        patient_id=f"BN{number // 2:06}",
        patient_name=name,
        accession_number=f"A{number:07}",
        steps=(step,) if chance.random() < 0.8 else (step, replace(step, start_time="180000")),
        patient_birth_date=f"{chance.randrange(1930, 2025)}0{chance.randrange(1, 10)}15",
        patient_sex=chance.choice("MF"),
        priority=chance.choice(("STAT", "ROUTINE", None)),
        referring_physician_name=chance.choice(("BS^NGÔ ĐÌNH KHÁNH", "BS^LÝ THANH SƠN", None)),
        description=chance.choice(("Chụp ngực", "Siêu âm ổ bụng", None)),
        procedure_codes=(CHEST,) if modality == "DX" else (),
        current_patient_location=chance.choice(("Khoa Nội", "Khoa Ngoại", None)),
    )
