"""The shipped contacts and recipient lists."""

from __future__ import annotations

from airflow_provider_bm.campaigns.constants import CONTACT_FIELDS
from airflow_provider_bm.sandbox import Sandbox
from airflow_provider_bm.sandbox.contacts import COUNT, contacts, recipient_lists


def test_contacts_are_fixed_and_harmless():
    everybody = contacts()
    assert len(everybody) == COUNT == 2000
    assert len({contact["uuid"] for contact in everybody}) == len({c["mobile"] for c in everybody}) == 2000
    assert set().union(*everybody) == {"uuid", *CONTACT_FIELDS}
    assert all(contact["mobile"].startswith("+4155500") for contact in everybody)
    assert all(contact["email"].endswith("@example.com") for contact in everybody)
    assert all("" not in contact.values() for contact in everybody)
    # The same in every run and every version of Python: changing them breaks the tests of users.
    last = everybody[-1]
    assert (last["uuid"], last["first_name"], last["birthday"]) == LAST


LAST = ("ca307666-a0af-5c1f-918b-b09f86a17334", "Emil", "1942-06-20")


def test_recipient_lists():
    sizes = {name: len(recipient_lists()[uuid]) for name, uuid in Sandbox().recipient_lists.items()}
    assert sizes["customers"] == 1500
    assert sizes["staff"] == 40
    assert all(200 <= sizes[f"region-{region}"] <= 400 for region in ("north", "south", "east", "west"))
