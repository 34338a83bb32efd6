"""Which level of the information model an attribute belongs to that the index does not keep."""

from __future__ import annotations

from functools import cache
from typing import Final

from pydicom.datadict import tag_for_keyword

from pacs.dicom.attributes import BY_TAG, SEQUENCE_TAGS, Level

# Of the modules Patient, Clinical Trial Subject, General Study, Patient Study and Clinical Trial Study
# (PS3.3 C.7.1, C.7.2).
_OF_STUDIES: Final = """
    TypeOfPatientID IssuerOfPatientIDQualifiersSequence SourcePatientGroupIdentificationSequence
    GroupOfPatientsIdentificationSequence PatientBirthDateInAlternativeCalendar
    PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar ReferencedPatientPhotoSequence
    QualityControlSubject ReferencedPatientSequence OtherPatientIDsSequence PatientBirthName
    PatientMotherBirthName PatientInsurancePlanCodeSequence PatientPrimaryLanguageCodeSequence
    EthnicGroupCodeSequence PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence StrainDescription StrainNomenclature
    StrainCodeSequence GeneticModificationsSequence ResponsiblePerson ResponsiblePersonRole
    ResponsibleOrganization PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    PatientAddress PatientTelephoneNumbers PatientReligiousPreference CountryOfResidence RegionOfResidence
    MilitaryRank BranchOfService MedicalRecordLocator
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    ClinicalTrialProtocolEthicsCommitteeName ClinicalTrialProtocolEthicsCommitteeApprovalNumber
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription LongitudinalTemporalOffsetFromEvent
    LongitudinalTemporalEventType ConsentForClinicalTrialUseSequence
    ReferringPhysicianIdentificationSequence ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers
    ConsultingPhysicianName ConsultingPhysicianIdentificationSequence IssuerOfAccessionNumberSequence
    PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence
    PhysiciansReadingStudyIdentificationSequence RequestingService RequestingServiceCodeSequence
    RequestingPhysician RequestingPhysicianIdentificationSequence ReferencedStudySequence
    ReasonForPerformedProcedureCodeSequence RequestedProcedureDescription RequestedProcedureCodeSequence
    AdmittingDiagnosesCodeSequence PatientBodyMassIndex MeasuredAPDimension MeasuredLateralDimension
    PatientSizeCodeSequence MedicalAlerts Allergies SmokingStatus PregnancyStatus LastMenstrualDate
    PatientState ReasonForVisit ReasonForVisitCodeSequence AdmissionID IssuerOfAdmissionIDSequence
    RouteOfAdmissions AdmittingDate AdmittingTime ServiceEpisodeID IssuerOfServiceEpisodeIDSequence
    ServiceEpisodeDescription PatientSexNeutered SpecialNeeds CurrentPatientLocation
    PatientInstitutionResidence VisitComments InstitutionAddress InstitutionCodeSequence
    StudyVerifiedDate StudyVerifiedTime StudyReadDate StudyReadTime StudyStatusID StudyPriorityID
    StudyComments StudyArrivalDate StudyArrivalTime StudyCompletionDate StudyCompletionTime
"""

# Of the modules General Series, Clinical Trial Series, Frame of Reference and General Equipment
# (PS3.3 C.7.3, C.7.4, C.7.5).
_OF_SERIES: Final = """
    Laterality SeriesDescriptionCodeSequence PerformingPhysicianName
    PerformingPhysicianIdentificationSequence OperatorsName OperatorIdentificationSequence ProtocolName
    ReferencedPerformedProcedureStepSequence RelatedSeriesSequence PatientPosition
    SmallestPixelValueInSeries LargestPixelValueInSeries AnatomicalOrientationType TreatmentSessionUID
    PerformedProcedureStepID PerformedProcedureStepDescription PerformedProcedureStepEndDate
    PerformedProcedureStepEndTime PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep
    ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID ClinicalTrialSeriesDescription
    FrameOfReferenceUID PositionReferenceIndicator SynchronizationFrameOfReferenceUID
    Manufacturer InstitutionalDepartmentName InstitutionalDepartmentTypeCodeSequence ManufacturerModelName
    ManufacturerDeviceClassUID DeviceSerialNumber DeviceUID SoftwareVersions GantryID UDISequence
    SpatialResolution DateOfManufacture DateOfInstallation DateOfLastCalibration TimeOfLastCalibration
    PixelPaddingValue
"""


def level_of(tag: int) -> Level:
    """Tell the level of an attribute; what is not known to be of a study or a series is of an instance.

    References
    ----------
    PS3.18 10.6.3.3, PS3.4 C.6
    """
    if (attribute := BY_TAG.get(tag)) is not None:
        return attribute.level
    if tag in SEQUENCE_TAGS:
        return SEQUENCE_TAGS[tag]
    return _levels().get(tag, Level.INSTANCE)


@cache
def _levels() -> dict[int, Level]:
    of_level = {Level.STUDY: _OF_STUDIES, Level.SERIES: _OF_SERIES}
    return {
        tag: level
        for level, keywords in of_level.items()
        for keyword in keywords.split()
        if (tag := tag_for_keyword(keyword)) is not None
    }
