// The selected campaign: its facts, the buttons to change it, and what each of its contacts got.

import {get, send} from "./api.js";
import {nameOf, showStatus} from "./campaigns.js";
import {makeContacts, showContacts} from "./contacts.js";
import {attr, byId, count, el, keyed, plural, text} from "./dom.js";
import {openEditor} from "./editor.js";
import {pager} from "./pager.js";
import {makePhone, showPhone} from "./phone.js";
import {copy} from "./status.js";
import {long, stamp} from "./times.js";

const PREVIEW = "preview";
const wanted = {run: "", search: "", page: 1, message: ""};
let uuid = null;
let seen = "";
let asked = 0;
let view = null;
let parts = null;

export function wireMessages(refresh, pin, act) {
  // Looking into a campaign selects it.
  const change = (changes) => {
    Object.assign(wanted, changes);
    seen = "";
    asked += 1; // the reply to an earlier request is not wanted any more
    if (uuid) pin(uuid);
    refresh();
  };
  parts = build(change, act);
  byId("detail").append(...parts.all);
  byId("detail").hidden = true;
}

// Fetches the campaign only if it has changed.
export async function showMessages(row, chosen) {
  byId("follow").hidden = !chosen;
  byId("following").hidden = chosen || row === null;
  if (row === null) return showNone(chosen);
  if (row.uuid !== uuid) {
    Object.assign(wanted, {run: "", search: "", page: 1, message: ""});
    [uuid, parts.search.value, seen] = [row.uuid, "", ""];
  }
  const now = JSON.stringify(row);
  if (now === seen) return;
  const number = ++asked;
  let found;
  try {
    found = await get("page/campaign", {uuid, ...wanted});
  } catch (error) {
    // Deleted meanwhile: the next overview does not have it.
    if (error.status !== 404) throw error;
  }
  if (number !== asked) return;
  if (!found) return showNone(chosen);
  seen = now;
  view = found;
  wanted.page = found.page;
  byId("no-detail").hidden = true;
  byId("detail").hidden = false;
  show();
}

function showNone(chosen) {
  [uuid, seen] = [null, ""];
  asked += 1;
  const words = chosen
    ? "This campaign does not exist any more."
    : "No campaign yet. What your DAG sends shows up here.";
  text(byId("no-detail"), words);
  byId("no-detail").hidden = false;
  byId("detail").hidden = true;
  text(byId("messages-title"), "Messages");
  attr(byId("messages-title"), "title", null);
}

// Deleting takes two clicks.
function makeActions(act) {
  const button = (label, done, call) =>
    el("button", {type: "button", onclick: (event) => call(event.target, done)}, label);
  const post = (name) => (_, done) => act(() => send("POST", name, {uuid}), done);
  const remove = (node, done) => {
    if (node.dataset.sure) return post("delete_campaign")(node, done);
    node.dataset.sure = "yes";
    text(node, "Really delete?");
    setTimeout(() => {
      delete node.dataset.sure;
      text(node, "Delete");
    }, 4000);
  };
  return {
    start: button("Start", "Started.", post("start_campaign")),
    stop: button("Stop", "Stopped.", post("stop_campaign")),
    edit: button("Edit", "", () => act(() => openEditor(uuid))),
    remove: button("Delete", "Deleted.", remove),
  };
}

function build(change, act) {
  const actions = makeActions(act);
  const code = el("code");
  const id = el(
    "span",
    {},
    code,
    " ",
    el("button", {type: "button", class: "small", "aria-label": "Copy: UUID", onclick: () => copy(code)}, "Copy"),
  );
  const facts = el("dl", {class: "facts"});
  const status = el("span", {class: "badge"});
  const runs = el("select", {
    id: "run",
    "aria-label": "Execution",
    onchange: (event) => change({page: 1, run: event.target.value}),
  });
  const search = el("input", {
    type: "search",
    "aria-label": "Search messages by contact or text",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: "200",
    placeholder: "Search",
    oninput: (event) => change({page: 1, search: event.target.value.trim()}),
  });
  const turn = (step) => {
    const page = wanted.page + step;
    if (view && page >= 1 && page <= view.pages) change({page});
  };
  const note = el("p", {class: "note"});
  const list = makeContacts((message) => change({message}));
  const none = el("p", {class: "empty"});
  const pages = el("div", {class: "pager"});
  const phone = makePhone();
  const showPager = pager(pages, "messages", turn);
  const source = el(
    "details",
    {class: "source"},
    el("summary", {}, "As it was submitted"),
    el("dl", {class: "facts"}),
  );
  const all = [
    el("div", {class: "buttons", role: "group", "aria-label": "Campaign"}, ...Object.values(actions)),
    facts,
    el("div", {class: "head"}, runs, search),
    note,
    el("div", {class: "both"}, el("div", {class: "who"}, list, none, pages), phone),
    source,
  ];
  return {all, actions, code, id, facts, status, runs, search, note, list, none, phone, showPager, source: source.lastChild};
}

function show() {
  const {row} = view;
  text(byId("messages-title"), nameOf(row));
  attr(byId("messages-title"), "title", row.name);
  showStatus(parts.status, row);
  text(parts.code, row.uuid);
  const {start, stop, edit, remove} = parts.actions;
  start.hidden = !["draft", "stopped", "finished"].includes(row.status);
  stop.hidden = row.status !== "active";
  edit.hidden = remove.hidden = row.status === "deleted";
  const lists = view.more_recipients ? ` and ${plural(view.more_recipients, "more list")}` : "";
  const query = view.fields.query ? ", by a query" : "";
  const out = view.opted_out ? `, ${count(view.opted_out)} opted out and get nothing` : "";
  describe(parts.facts, {
    UUID: parts.id,
    Status: parts.status,
    To: `${view.recipients.join(", ")}${lists}${query}: ${plural(view.total, "contact")}${out}`,
    From: `${view.sender} by ${row.channel}`,
    When: when(row),
  });
  showRuns();
  const preview = view.run === PREVIEW;
  text(parts.note, preview ? previewNote() : "");
  parts.note.hidden = !preview;
  showContacts(parts.list, view.messages, view.shown?.number, preview);
  parts.none.hidden = view.messages.length > 0;
  text(parts.none, noMessage());
  parts.showPager(view.first, view.messages.length, view.found, view.page, view.pages);
  showPhone(parts.phone, view.shown, preview);
  const service = view.service_uuid ? {service: view.service_uuid} : {};
  const fields = Object.entries({UUID: row.uuid, ...service, ...view.fields});
  describe(parts.source, Object.fromEntries(fields));
}

function noMessage() {
  if (wanted.search) return "Nothing found.";
  return view.total ? "Nothing sent yet." : "No contact matches: nobody gets it.";
}

function when(row) {
  const last = row.last_dt ? `; last ${long(row.last_dt)}` : "";
  const next = row.next_dt ? `; next ${long(row.next_dt)}` : "";
  return row.schedule + last + next;
}

function previewNote() {
  const at = view.row.next_dt ? `at the next execution, ${long(view.preview_dt)}` : "if it started now";
  return `Not sent. This is what would be sent ${at}: ${plural(view.total, "message")}.`;
}

function showRuns() {
  const options = view.runs.map((run) => {
    const state = run.state === "done" ? "" : `${run.state}, `;
    const sent = `${count(run.sent)} / ${count(run.total)}`;
    return {value: run.uuid, label: `${state}${sent}: ${stamp(run.started_dt)}`};
  });
  if (view.row.runs > view.runs.length) {
    const words = `(only the last ${count(view.runs.length)} of ${count(view.row.runs)})`;
    options.push({value: "more", label: words, disabled: true});
  }
  if (view.can_preview) options.push({value: PREVIEW, label: "preview, nothing sent"});
  keyed(
    parts.runs,
    options,
    (option) => option.value,
    ({value, disabled}) => el("option", {value, disabled}),
    (node, {label}) => text(node, label),
  );
  parts.runs.value = view.run;
}

function describe(node, facts) {
  keyed(
    node,
    Object.entries(facts),
    ([label]) => label,
    ([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value instanceof Node ? value : "")),
    (row, [, value]) => {
      if (!(value instanceof Node)) text(row.lastChild, value);
    },
  );
}
