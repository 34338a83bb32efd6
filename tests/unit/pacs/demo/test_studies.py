import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from pacs.codes.rules import CodeRule
from pacs.codes.tables import load_table
from pacs.codes.tagging import load_tagger
from pacs.demo import orders
from pacs.demo.modules import demo_uid
from pacs.demo.orders import Order
from tests.unit.pacs.demo.made import STUDIES, first, first_of_each_series, make_again

SHAPES = {
    orders.CT_CHEST: (512, 512),
    orders.CT_CHEST_PRIOR: (512, 512),
    orders.MR_BRAIN: (256, 256),
    orders.MR_BRAIN_AGED: (256, 256),
    orders.DX_CHEST: (2400, 2000),
    orders.DX_CHEST_PRIOR: (2400, 2000),
    orders.CR_BEDSIDE: (2400, 2000),
    orders.CR_HAND: (2048, 1536),
    orders.US_HEART: (30, 480, 640, 3),
    orders.US_ABDOMEN: (480, 640, 3),
}
ORDERS = list(SHAPES)


def text_of(dataset):
    """Every piece of text in the data set, also inside of sequences."""
    for element in dataset.iterall():
        if element.VR in ("PN", "LO", "SH", "ST", "LT"):
            values = element.value if element.VM > 1 else [element.value]
            yield from map(str, values)


def hounsfield(instance):
    return instance.pixel_array * float(instance.RescaleSlope) + float(instance.RescaleIntercept)


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.accession_number)
def test_pixels_have_the_size_that_the_header_says(order):
    instance = first(order.accession_number)
    assert instance.pixel_array.shape == SHAPES[order]
    assert int(np.ptp(instance.pixel_array)) > 100


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.accession_number)
def test_text_is_composed_unicode(order):
    for instance in first_of_each_series(order.accession_number).values():
        assert instance.SpecificCharacterSet == "ISO_IR 192"
        pieces = list(text_of(instance))
        assert order.patient.name in pieces
        assert [text for text in pieces if not unicodedata.is_normalized("NFC", text)] == []


@pytest.mark.parametrize(
    "order",
    [orders.CT_CHEST, orders.MR_BRAIN_AGED, orders.CR_HAND, orders.DX_CHEST, orders.US_ABDOMEN],
    ids=lambda order: order.accession_number,
)
def test_a_second_run_makes_the_same_bytes(order):
    (again,) = make_again(order.accession_number, 1)
    assert again == first(order.accession_number)
    assert again.file_meta == first(order.accession_number).file_meta


def test_a_compressed_clip_is_the_same_again():
    (again,) = make_again(orders.US_HEART.accession_number, 1)
    assert again.PixelData == first(orders.US_HEART.accession_number).PixelData


def test_uids_stay_what_they_were():
    # Archives hold studies under these names: see EDITION before changing one.
    assert demo_uid("CT261120001") == "2.25.141178657065262090509694233504403231094"


@pytest.mark.parametrize("order", [orders.MR_BRAIN_AGED, orders.US_ABDOMEN], ids=lambda o: o.accession_number)
def test_as_many_instances_are_made_as_were_announced(order):
    study = STUDIES[order.accession_number]
    numbers = [int(instance.InstanceNumber) for instance in study.instances()]
    assert numbers == list(range(1, study.number_of_instances + 1))


def test_slices_lie_where_their_spacing_says():
    upper, lower = make_again(orders.CT_CHEST.accession_number, 2)
    assert upper.ImagePositionPatient[2] - lower.ImagePositionPatient[2] == upper.SliceThickness == 5
    assert upper.FrameOfReferenceUID == lower.FrameOfReferenceUID


def test_both_weightings_of_the_brain_lie_in_one_space():
    t1, t2 = first_of_each_series(orders.MR_BRAIN.accession_number).values()
    assert t1.FrameOfReferenceUID == t2.FrameOfReferenceUID
    assert t1.ImagePositionPatient == t2.ImagePositionPatient
    assert t1.EchoTime < t2.EchoTime


def test_air_is_air_in_hounsfield_units():
    for order in (orders.CT_CHEST, orders.CT_CHEST_PRIOR):
        corner = hounsfield(first(order.accession_number))[:60, :60]
        assert abs(corner.mean() + 1000) < 10
        assert 2 < corner.std() < 15


def test_signed_and_unsigned_scans_are_both_there():
    signs = {first(o.accession_number).PixelRepresentation for o in (orders.CT_CHEST, orders.CT_CHEST_PRIOR)}
    assert signs == {0, 1}


def test_air_is_black_whichever_way_the_picture_is_stored():
    def air(order):
        return float(first(order.accession_number).pixel_array[20:120, 20:120].mean()) / (2**14 - 1)

    assert first(orders.DX_CHEST.accession_number).PhotometricInterpretation == "MONOCHROME1"
    assert air(orders.DX_CHEST) > 0.85
    assert first(orders.DX_CHEST_PRIOR.accession_number).PhotometricInterpretation == "MONOCHROME2"
    assert air(orders.DX_CHEST_PRIOR) < 0.15


def test_the_heart_beats():
    frames = first(orders.US_HEART.accession_number).pixel_array[:, 100:300, 250:420].astype(int)
    change = [int(np.abs(after - before).sum()) for before, after in pairwise(frames)]
    assert min(change) > 0


def test_one_patient_has_priors():
    patients = Counter(study.order.patient.patient_id for study in STUDIES.values())
    assert patients["BN0001234"] == 3


def test_every_code_is_one_of_the_national_table():
    table = load_table()
    codes = {study.order.code.value for study in STUDIES.values() if study.order.code}
    assert len(codes) >= 4
    assert codes <= table.entries.keys()


@pytest.mark.parametrize("order", [o for o in ORDERS if o.code], ids=lambda o: o.accession_number)
def test_a_code_lies_where_modalities_put_it(order: Order):
    instance = first(order.accession_number)
    (request,) = instance.RequestAttributesSequence
    holder = instance.get("ProcedureCodeSequence") or request.RequestedProcedureCodeSequence
    (item,) = holder
    assert (item.CodeValue, item.CodingSchemeDesignator) == (order.code.value, "99BYT")


def test_an_exam_without_a_code_gets_one_by_a_rule_of_the_site():
    order = orders.CR_BEDSIDE
    instance = first(order.accession_number)
    assert order.code is None
    assert "ProcedureCodeSequence" not in instance
    tagger = load_tagger([CodeRule(code="18.0119.0028", modality="CR", description="xq nguc thang*")])
    (code,) = tagger.tag([], modality=instance.Modality, study_description=instance.StudyDescription)
    assert (code.value, code.origin) == ("18.0119.0028", "rule")
