"""Create, list, get, stop and delete with the client that openapi-python-client generates."""

import os
from uuid import UUID

from bm_attrs import AuthenticatedClient
from bm_attrs.api.campaigns import (
    change_campaign_status,
    create_campaign,
    delete_campaign,
    get_campaign,
    list_campaigns,
)
from bm_attrs.models import (
    CampaignClone,
    CampaignCollection,
    CampaignCreate,
    CampaignResponse,
    CampaignStatus,
    CampaignStatusStatus,
    CreateStatus,
    Filters,
    ScheduleType,
    SendingType,
    Status,
)

service = UUID(os.environ["SERVICE_UUID"])
client = AuthenticatedClient(base_url=os.environ["API_URL"], token=os.environ["TOKEN"])
campaign = CampaignCreate(
    name="Storm",
    status=CreateStatus.ACTIVE,
    sending_type=SendingType.SMS,
    schedule_type=ScheduleType.SCHEDULED,
    schedule_rrule="FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
    template="Hello {first_name}",
    sender="+41587000000",
    recipient_lists=os.environ["RECIPIENT_LIST"],
)
created = create_campaign.sync(service, client=client, body=campaign)
assert isinstance(created, CampaignResponse), created
assert isinstance(created.uuid, UUID)
filters = Filters.from_dict({"startswith(name)": "Sto"})
listed = list_campaigns.sync(service, client=client, filters=filters)
assert isinstance(listed, CampaignCollection), listed
assert [found.uuid for found in listed.data] == [created.uuid]
stopped = change_campaign_status.sync(
    service, created.uuid, client=client, body=CampaignStatus(CampaignStatusStatus.STOPPED)
)
assert isinstance(stopped, CampaignResponse), stopped
read = get_campaign.sync(service, created.uuid, client=client)
assert isinstance(read, CampaignResponse), read
assert read.status is Status.STOPPED
clone = create_campaign.sync(
    service, client=client, body=CampaignClone(clone_uuid=created.uuid, status=CreateStatus.DRAFT)
)
assert isinstance(clone, CampaignResponse), clone
assert isinstance(clone.uuid, UUID)
for uuid in (clone.uuid, created.uuid):
    assert delete_campaign.sync_detailed(service, uuid, client=client).status_code == 204
