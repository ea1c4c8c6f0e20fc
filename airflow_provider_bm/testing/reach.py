"""Whom a campaign reaches, and why it does not reach others: lists, channel, query or opt-outs."""

from __future__ import annotations

from airflow_provider_bm.sandbox.contacts import Contact
from airflow_provider_bm.sandbox.execution import Campaign
from airflow_provider_bm.sandbox.rendering import address_of
from airflow_provider_bm.sandbox.store import Store


def is_for(store: Store, campaign: Campaign, to: str) -> bool:
    """Whether an address is in the recipient lists of a campaign, or has received it."""
    contacts = [*_members(store, campaign), *(contact for run in campaign.runs for contact in run.contacts)]
    return any(address_of(campaign.fields["sending_type"], contact) == to for contact in contacts)


def why_nobody(store: Store, campaign: Campaign) -> str:
    """Explain why an execution had no contacts, by the current recipient lists."""
    members, channel = _members(store, campaign), campaign.fields["sending_type"]
    if not members:
        return "its recipient_lists are empty"
    if all(map(_has_opted_out, members)):
        return "everybody in its recipient_lists has opted out"
    reachable = sum(
        address_of(channel, contact) is not None and not _has_opted_out(contact) for contact in members
    )
    if not reachable:
        return f"none of the {_contacts(len(members))} in its recipient_lists can receive {channel}"
    return f"its query matches none of the {_contacts(reachable)} in its lists that can receive {channel}"


def why_not(store: Store, campaign: Campaign, to: str) -> str:
    """Explain why an address was not among the contacts of an execution."""
    members, channel = _members(store, campaign), campaign.fields["sending_type"]
    found = [each for each in members if to in (each["uuid"], each.get("mobile"), each.get("email"))]
    if not found:
        return f"{to!r} is not in its recipient_lists, which have {_contacts(len(members))}"
    if all(address_of(channel, contact) != to for contact in found):
        return f"{to!r} is in its recipient_lists, but {channel} does not go to it"
    if any(map(_has_opted_out, found)):
        return f"{to!r} is in its recipient_lists, but has opted out"
    if campaign.fields.get("query_type") == "segmentation":
        return f"{to!r} is in its recipient_lists, but its query does not match"
    return f"{to!r} was not in its recipient_lists then"


def _members(store: Store, campaign: Campaign) -> list[Contact]:
    names = [name.strip().lower() for name in campaign.fields["recipient_lists"].split(",")]
    contacts = (contact for name in names for contact in store.recipients.members(name))
    return list({contact["uuid"]: contact for contact in contacts}.values())


def _has_opted_out(contact: Contact) -> bool:
    return contact.get("opt_status") == "out"


def _contacts(count: int) -> str:
    return "1 contact" if count == 1 else f"{count} contacts"
