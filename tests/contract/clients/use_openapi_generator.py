"""Create, list, get, stop and delete with the client that openapi-generator generates."""

import os
from uuid import UUID

from bm_pydantic import ApiClient, CampaignsApi, Configuration
from bm_pydantic.models import (
    CampaignClone,
    CampaignCreate,
    CampaignStatus,
    CreateCampaignRequest,
    CreateStatus,
    ScheduleType,
    SendingType,
    Status,
)

service = UUID(os.environ["SERVICE_UUID"])
api = CampaignsApi(ApiClient(Configuration(host=os.environ["API_URL"], access_token=os.environ["TOKEN"])))
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
created = api.create_campaign(service, CreateCampaignRequest(campaign))
assert created.uuid is not None
listed = api.list_campaigns(service, status=Status.ACTIVE)
assert [found.uuid for found in listed.data] == [created.uuid]
api.change_campaign_status(service, created.uuid, CampaignStatus(status="stopped"))
assert api.get_campaign(service, created.uuid).status is Status.STOPPED
copy = CampaignClone(clone_uuid=created.uuid, status=CreateStatus.DRAFT)
clone = api.create_campaign(service, CreateCampaignRequest(copy))
assert clone.uuid is not None
for uuid in (clone.uuid, created.uuid):
    api.delete_campaign(service, uuid)
