"""Addresses of what the archive holds. They come from the settings, never from what a request says."""

from __future__ import annotations

from dataclasses import dataclass

DICOM_WEB_PATH = "/dicom-web"


@dataclass(frozen=True, slots=True)
class DicomWebUrls:
    """Absolute URLs of the Studies Service (PS3.18 10.1.1); ``base`` has no slash at its end."""

    base: str

    def study(self, study_instance_uid: str) -> str:
        """Return the URL of a study."""
        return f"{self.base}/studies/{study_instance_uid}"

    def series(self, study_instance_uid: str, series_instance_uid: str) -> str:
        """Return the URL of a series."""
        return f"{self.study(study_instance_uid)}/series/{series_instance_uid}"

    def instance(self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> str:
        """Return the URL of an instance."""
        return f"{self.series(study_instance_uid, series_instance_uid)}/instances/{sop_instance_uid}"
