"""The contacts and recipient lists that the sandbox ships: invented, and the same in every run.

Phone numbers are in unassigned ranges, email addresses in domains reserved for examples: even if a message
were sent, nobody would receive it.
"""

from __future__ import annotations

import random
import uuid
from datetime import date, timedelta
from functools import cache
from typing import Final

from airflow_provider_bm.campaigns.constants import SENDING_TYPES

Contact = dict[str, str]

#: Of a contact (Contact Manager API, ``opt_status``). A contact without one has opted in.
OPT_STATUSES: Final = ("in", "out")

COUNT: Final = 2000
SEED: Final = 20240501
#: Fixed ids are derived in this namespace, so that they are the same everywhere.
NAMESPACE: Final = uuid.UUID("c0ffee00-b0b0-4000-8000-5a2db0c50000")
DEFAULT_SERVICE: Final = str(uuid.uuid5(NAMESPACE, "service"))
REGIONS: Final = ("north", "south", "east", "west")
STAFF: Final = 40
EXAMPLE: Final = 3
LIST_NAMES: Final = ("customers", "staff", *(f"region-{region}" for region in REGIONS))
#: The list in the examples of the API's documentation, which work here unchanged.
EXAMPLE_LIST: Final = "cf9eeb30-c1af-11ee-8073-bf4d6e8c1618"
RECIPIENT_LISTS: Final = {
    **{name: str(uuid.uuid5(NAMESPACE, f"list-{name}")) for name in LIST_NAMES},
    "example": EXAMPLE_LIST,
}


def _words(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(text.split(separator))


_FIRST = {
    "female": _words("Anna Bea Carla Dora Elin Fleur Greta Hanna Ines Jana Kira Lena Mara Nora Olga Petra"),
    "male": _words("Adam Ben Carl Dario Emil Felix Gian Hugo Ivan John Karim Luca Milo Noah Otto Paul"),
}
_LAST = _words(
    "Ammann Baker Costa Dubois Egger Fischer Garcia Huber Iseli Jansen Keller Lopez Meier Novak Olsen "
    "Peter Quinn Rossi Smith Tanner Urban Vogel Weber Young Zimmer"
)
_NICK = {"John": "Johnny", "Anna": "Annie", "Ben": "Benny", "Lena": "Leni", "Paul": "Pauli"}
_TITLES = ("", "", "", "", "Dr.", "Prof.")
_LANGUAGES = ("de", "fr", "it", "en")
_COUNTRIES = ("CH", "CH", "CH", "DE", "AT", "FR", "IT")
#: 15 % of the contacts for each region that has a list, the rest in the middle.
_SPREAD = (*REGIONS * 3, *("central",) * 8)
_ALL_REGIONS = (*REGIONS, "central")
_FIRST_DAY = date(1940, 1, 1)
_CITIES = {
    "north": ("Nordstadt", "Seebach", "Rheinau"),
    "south": ("Sudhofen", "Palmengrund", "Lagodorf"),
    "east": ("Osthausen", "Bergfeld", "Ahornwil"),
    "west": ("Westerau", "Weinfurt", "Jurahalde"),
    "central": ("Mittelburg", "Hauptort", "Kreuzplatz"),
}
_STREETS = _words("Birch Lane,Castle Road,Harbour Street,Mill Alley,Station Square", ",")
_COMPANIES = _words("Acme Example AG,Globex Example Ltd,Initech Example SA,Umbrella Example GmbH", ",")
_JOBS = _words("Analyst,Buyer,Clerk,Driver,Engineer,Manager", ",")
_DEPARTMENTS = _words("Finance,IT,Logistics,Marketing,Sales", ",")


class _Dice:
    """Random choices by ``random()`` only, since Python guarantees that its sequence never changes."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def pick(self, options: tuple[str, ...]) -> str:
        return options[int(self._random() * len(options))]

    def chance(self, probability: float) -> bool:
        return self._random() < probability


def _make(number: int, dice: _Dice) -> Contact:
    gender = dice.pick(("female", "male"))
    first, last = dice.pick(_FIRST[gender]), dice.pick(_LAST)
    region = dice.pick(_SPREAD)
    city, country = dice.pick(_CITIES[region]), dice.pick(_COUNTRIES)
    company = "Sandbox Example AG" if number < STAFF else dice.pick(_COMPANIES)
    business_region = dice.pick(_ALL_REGIONS)
    options = [channel for channel in SENDING_TYPES if dice.chance(0.6)]
    contact = {
        "uuid": str(uuid.uuid5(NAMESPACE, f"contact-{number}")),
        "first_name": first,
        "last_name": last,
        "second_name": dice.pick(_FIRST[gender]) if dice.chance(0.2) else "",
        "nick_name": _NICK.get(first, "") if dice.chance(0.5) else "",
        "gender": gender,
        "birthday": (_FIRST_DAY + timedelta(days=dice.below(25_000))).isoformat(),
        "salutation": "Ms" if gender == "female" else "Mr",
        "title": dice.pick(_TITLES),
        "language": dice.pick(_LANGUAGES),
        "nationality": dice.pick(_COUNTRIES),
        "mobile": f"+4155500{number:04d}",
        "email": f"{first}.{last}.{number}@example.com".lower(),
        "phone": f"+4155501{number:04d}" if dice.chance(0.5) else "",
        "address": f"{dice.pick(_STREETS)} {1 + dice.below(99)}",
        "zip": str(1000 + dice.below(9000)),
        "city": city,
        "region": region,
        "country": country,
        "b_company": company,
        "b_mobile": f"+4155502{number:04d}" if dice.chance(0.3) else "",
        "b_email": f"{first}.{last}.{number}@example.org".lower(),
        "b_phone": f"+4155503{number:04d}",
        "b_reception_code": str(100 + dice.below(900)),
        "b_address": f"{dice.pick(_STREETS)} {1 + dice.below(99)}",
        "b_zip": str(1000 + dice.below(9000)),
        "b_city": dice.pick(_CITIES[business_region]),
        "b_region": business_region,
        "b_country": dice.pick(_COUNTRIES),
        "b_job_title": dice.pick(_JOBS),
        "b_department": dice.pick(_DEPARTMENTS),
        "column_1": str(dice.below(1000)),
        "column_2": dice.pick(("bronze", "silver", "gold")),
        "subscription_options_in": ",".join(options),
        "subscription_options_out": ",".join(c for c in SENDING_TYPES if c not in options),
    }
    # A field without a value is absent: that is what isnull matches.
    return {field: value for field, value in contact.items() if value}


@cache
def contacts() -> tuple[Contact, ...]:
    """Return all contacts; created at the first use."""
    dice = _Dice(SEED)
    return tuple(_make(number, dice) for number in range(COUNT))


@cache
def recipient_lists() -> dict[str, tuple[Contact, ...]]:
    """Return the members of each recipient list, by the list's UUID."""
    everybody = contacts()
    members = {
        "customers": tuple(contact for number, contact in enumerate(everybody) if number % 4),
        "staff": everybody[:STAFF],
        "example": everybody[:EXAMPLE],
    }
    for region in REGIONS:
        members[f"region-{region}"] = tuple(c for c in everybody if c.get("region") == region)
    return {RECIPIENT_LISTS[name]: found for name, found in members.items()}
