// Create, list, get, stop and delete with the client that @hey-api/openapi-ts generates.

import {
  changeCampaignStatus,
  createCampaign,
  deleteCampaign,
  getCampaign,
  listCampaigns,
} from "./bm_ts/index.js";
import {client} from "./bm_ts/client.gen.js";
import type {CampaignCreate} from "./bm_ts/index.js";

const environment = process.env as Record<string, string>;
client.setConfig({baseUrl: environment.API_URL, auth: environment.TOKEN, throwOnError: true});
const serviceUuid = environment.SERVICE_UUID;

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const body: CampaignCreate = {
  name: "Storm",
  status: "active",
  sending_type: "sms",
  schedule_type: "scheduled",
  schedule_rrule: "FREQ=DAILY;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
  template: "Hello {first_name}",
  sender: "+41587000000",
  recipient_lists: environment.RECIPIENT_LIST,
};
const created = await createCampaign({path: {serviceUuid}, body, throwOnError: true});
const campaignUuid = created.data.uuid ?? "";
const listed = await listCampaigns({
  path: {serviceUuid},
  query: {filters: {"startswith(name)": "Sto"}, sort: ["-created_dt"]},
  // For objects, the generator assumes deepObject, whatever the contract says.
  querySerializer: {array: {explode: false, style: "form"}, object: {explode: true, style: "form"}},
  throwOnError: true,
});
check(listed.data.data.map((found) => found.uuid).join() === campaignUuid, "list");
const path = {serviceUuid, campaignUuid};
await changeCampaignStatus({path, body: {status: "stopped"}, throwOnError: true});
const read = await getCampaign({path, query: {fields: ["tasks", "messages"]}, throwOnError: true});
check(read.data.status === "stopped", "get");
const clone = await createCampaign({
  path: {serviceUuid},
  body: {clone_uuid: campaignUuid, status: "draft"},
  throwOnError: true,
});
for (const uuid of [clone.data.uuid ?? "", campaignUuid]) {
  await deleteCampaign({path: {serviceUuid, campaignUuid: uuid}, throwOnError: true});
}
