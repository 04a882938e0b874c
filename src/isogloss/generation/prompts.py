"""The one prompt of a query generator: training, development, scoring and generation all render it here.

Which language the prompt names decides the teacher's distribution, so it is always the language of the query, never
that of the passage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from isogloss.errors import Fault, UsageError, raise_faults
from isogloss.languages import language_name

DEFAULT_PROMPT = "Generate a {Language} question for this passage: {title} {passage}"
_FIELD = re.compile(r"\{(\w*)\}")
_TITLE_AND_PASSAGE = "{title} {passage}"
_ALLOWED = "{Language} (its English name), {language} (its tag), {title} {passage}, {passage}"


@dataclass(frozen=True)
class Prompt:
    """A template over the language of the query, and the title and text of the passage.

    `{title}` stands only right before `{passage}`: negative passages carry their title within their text, and all
    candidates of a query must be rendered alike.

    Attributes:
        template: Text with `{Language}` or `{language}`, and `{passage}`.

    Raises:
        UsageError: If a field is unknown, or the language or the passage is missing.

    Examples:
        >>> Prompt("Write in {Language}: {title} {passage}").render("A lamp.", "de", title="Tower")
        'Write in German: Tower A lamp.'
    """

    template: str = DEFAULT_PROMPT

    def __post_init__(self) -> None:
        fields = _FIELD.findall(self.template)
        faults = [
            Fault("prompt", f"'{{{name}}}' is no field", _ALLOWED)
            for name in fields
            if name not in ("Language", "language", "title", "passage")
        ]
        if fields.count("passage") != 1:
            faults.append(Fault("prompt", f"holds {{passage}} {fields.count('passage')} times", "once"))
        if not {"Language", "language"} & set(fields):
            faults.append(Fault("prompt", "names no language", _ALLOWED))
        if "title" in fields and (fields.count("title") > 1 or _TITLE_AND_PASSAGE not in self.template):
            faults.append(Fault("prompt", "{title} stands apart from {passage}", f"'{_TITLE_AND_PASSAGE}'"))
        raise_faults(UsageError, "prompt", faults, "Nothing was started.")

    def render(self, passage: str, language: str, *, title: str = "") -> str:
        """What the generator reads.

        Args:
            passage: Text of the passage.
            language: Tag of the query's language.
            title: Title of the passage, empty where it has none or its text begins with it.

        Raises:
            UnknownLanguageError: If the tag is in no known spelling.
        """
        template = self.template.replace(_TITLE_AND_PASSAGE, "{passage}")
        values = {
            "Language": language_name(language),
            "language": language,
            "passage": f"{title} {passage}".strip() if "{title}" in self.template else passage,
        }
        # In one pass, so that braces inside a passage stay what they are.
        return _FIELD.sub(lambda field: values[field[1]], template)
