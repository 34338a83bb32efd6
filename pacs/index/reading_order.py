"""The order in which readers get the instances of a study."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select

from pacs.index.models import instance, series, study


def in_reading_order(wanted: Select[Any]) -> Select[Any]:
    """Take what is wanted from studies with their series and instances, each by its number.

    What has no number comes last, and those of one number as they arrived.
    """
    return (
        wanted.select_from(study)
        .join(series, series.c.study_ref == study.c.id)
        .join(instance, instance.c.series_ref == series.c.id)
        .order_by(
            series.c.series_number.nulls_last(),
            series.c.id,
            instance.c.instance_number.nulls_last(),
            instance.c.id,
        )
    )
