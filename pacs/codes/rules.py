"""Site rules: which exams of this hospital mean which national code, where the modality sends none."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pacs.codes.tables import CODE_PATTERN
from pacs.text import fold

Condition = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class CodeRule(BaseModel):
    """One rule: exams that fulfil every condition given get the code.

    Text is compared blind to case, diacritics and the width of white space. Note that the code names a price,
    not a scanner: an exam done on a 128-row scanner may be billed as 1 to 32 rows. Rules are therefore the
    site's own, and a code that the modality sends always wins over them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    code: str = Field(pattern=CODE_PATTERN, description="The national code, e.g. 18.0119.0028.")
    modality: Condition | None = Field(default=None, description="Modality (0008,0060), e.g. DX.")
    station: Condition | None = Field(
        default=None, description="Station Name (0008,1010); * and ? stand for any text and any character."
    )
    description: Condition | None = Field(
        default=None,
        description="The whole of a description of the exam (study, series, requested procedure, protocol); "
        "* and ? stand for any text and any character.",
    )

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if self.modality is None and self.station is None and self.description is None:
            raise ValueError(
                "a rule needs a modality, a station or a description, or it would mark every exam"
            )
        return self


def compile_wildcard(pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern with ``*`` and ``?``, for ``fullmatch`` on folded text.

    Nothing else is special. Brackets are not, as they are in a shell: names of the Vietnamese tables hold
    them (``[số hóa 1 phim]``).

    What stands between two stars is looked for once, leftmost, in an atomic group that is never tried
    again; so the work is at most the length of the pattern times that of the text, whatever they are.
    """
    first, *rest = (_piece(piece) for piece in fold(pattern).split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    return re.compile(first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last, re.DOTALL)


def _piece(text: str) -> str:
    return ".".join(re.escape(part) for part in text.split("?"))
