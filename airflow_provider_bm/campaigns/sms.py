"""Parts of an SMS: GSM 03.38 or UCS-2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: The basic character set of GSM 03.38; each character takes one unit.
_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: The extension table; each character takes two units of the same part.
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
#: Encoding, units of a single part, and units of each of several parts.
_GSM: Final = ("GSM 03.38", 160, 153)
_UCS2: Final = ("UCS-2", 70, 67)


@dataclass(frozen=True, kw_only=True)
class SMSParts:
    """How a text is sent as SMS.

    :ivar encoding: ``GSM 03.38`` or ``UCS-2``
    :ivar units: its length in units of the encoding
    :ivar parts: number of parts, which are charged separately; 0 if the text is empty
    :ivar units_left: units that fit into the last part
    :ivar not_gsm: characters that GSM 03.38 does not have, in order of appearance
    """

    encoding: str
    units: int
    parts: int
    units_left: int
    not_gsm: str

    def __str__(self) -> str:
        text = f"{self.parts} part{'s' * (self.parts != 1)}, {self.units} characters in {self.encoding}"
        return f"{text}, because of {self.not_gsm!r}" if self.not_gsm else text


def sms_parts(text: str) -> SMSParts:
    """Return how a text is sent as SMS.

    :param text: the text, with variables filled in
    """
    not_gsm = "".join(dict.fromkeys(char for char in text if char not in _BASIC | _EXTENSION))
    encoding, single, several = _UCS2 if not_gsm else _GSM
    # A pair of surrogates, like a character of the extension table, is not split across parts.
    sizes = [1 + (char > "\uffff" if not_gsm else char in _EXTENSION) for char in text]
    units = sum(sizes)
    if units <= single:
        return SMSParts(
            encoding=encoding, units=units, parts=bool(text) * 1, units_left=single - units, not_gsm=not_gsm
        )
    parts, used = 1, 0
    for size in sizes:
        if used + size > several:
            parts, used = parts + 1, 0
        used += size
    return SMSParts(encoding=encoding, units=units, parts=parts, units_left=several - used, not_gsm=not_gsm)
