// The form in which people write and edit campaigns, as in a vendor's console.

import {get, send} from "./api.js";
import {byId, el, text} from "./dom.js";

const form = byId("editor-form");
const RULES = {once: "2026-12-31 18:00:00", scheduled: "FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0"};

// The campaign that is edited; without one, a new campaign is written.
let edited = null;
let original = {};

// Calls done(campaign, words) after saving.
export function wireEditor(done) {
  form.addEventListener("change", arrange);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const campaign = await save(event.submitter.value);
      byId("editor").close();
      done(campaign, campaign.status === "active" ? "Saved and started." : "Saved.");
    } catch (error) {
      complain(error.message);
    }
  });
  byId("editor-cancel").addEventListener("click", () => byId("editor").close());
  byId("new-campaign").addEventListener("click", () => openEditor());
}

export async function openEditor(uuid = null) {
  const {channels, lists, fields, now} = await get("page/form", uuid ? {uuid} : {});
  [edited, original] = [uuid, fields];
  form.reset();
  complain("");
  form.elements.sending_type.replaceChildren(...channels.map((channel) => el("option", {}, channel)));
  const chosen = (fields.recipient_lists ?? "").toLowerCase().split(/\s*,\s*/);
  const legend = byId("editor-lists").firstElementChild;
  byId("editor-lists").replaceChildren(legend, ...Object.entries(lists).map((list) => box(list, chosen)));
  for (const [name, value] of Object.entries(fields)) {
    const field = form.elements[name];
    if (field && name !== "recipient_lists") field.value = value;
  }
  form.querySelector("details").open = Boolean(fields.query);
  RULES.once = `${now.slice(0, 10)} 18:00:00`;
  const active = fields.status === "active";
  text(byId("editor-title"), uuid ? "Edit the campaign" : "New campaign");
  text(byId("editor-save"), uuid ? "Save" : "Save as draft");
  text(byId("editor-start"), uuid ? "Save and start" : "Start");
  byId("editor-start").hidden = active;
  if (active) complain("It is active. With the schedule “at once”, saving sends it again.");
  arrange();
  byId("editor").showModal();
}

function box([name, uuid], chosen) {
  const input = el("input", {type: "checkbox", name: "list", value: uuid});
  input.checked = chosen.includes(uuid);
  return el("label", {}, input, " ", name);
}

// Shows the fields that the channel and the schedule need.
function arrange() {
  const {sending_type: channel, schedule_type: schedule, schedule_rrule: rule} = form.elements;
  byId("editor-webpush").hidden = channel.value !== "webpush";
  byId("editor-rule").hidden = schedule.value === "now";
  rule.required = schedule.value !== "now";
  rule.placeholder = RULES[schedule.value] ?? "";
}

function save(status) {
  const data = new FormData(form);
  const fields = Object.fromEntries(data);
  delete fields.list;
  fields.recipient_lists = data.getAll("list").join(",");
  if (fields.schedule_type === "now") fields.schedule_rrule = "";
  if (fields.query !== (original.query ?? "")) fields.query_type = fields.query ? "segmentation" : "";
  // An empty field is unset, unless it is required: then the sandbox says so.
  for (const [name, value] of Object.entries(fields)) {
    if (value === "" && !form.elements[name]?.required && name !== "recipient_lists") fields[name] = null;
  }
  if (status) fields.status = status;
  if (edited) return send("POST", "update_campaign", {uuid: edited, ...fields});
  return send("POST", "campaigns", Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)));
}

function complain(words) {
  text(byId("editor-problem"), words);
  byId("editor-problem").hidden = words === "";
}
