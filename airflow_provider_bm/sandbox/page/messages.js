// The campaign that is looked at: what it is, and what each of its contacts got.

import {get} from "./api.js";
import {showStatus} from "./campaigns.js";
import {arrows, attr, byId, count, el, keyed, pager, plural, text} from "./dom.js";
import {clockTime, long, stamp} from "./times.js";

const PREVIEW = "preview";
const wanted = {run: "", search: "", page: 1};
let uuid = null;
let seen = "";
let chosen = null;
let onPhone = "";
let view = null;
let parts = null;
// While nobody has chosen a campaign the page follows the latest one; who looks into it wants it to stay.
let pin = null;

export function wireMessages(refresh, pinCampaign) {
  pin = () => uuid && pinCampaign(uuid);
  const change = (changes) => {
    Object.assign(wanted, {page: 1}, changes);
    seen = "";
    pin();
    refresh();
  };
  parts = build(change);
  byId("detail").append(...parts.all);
  byId("detail").hidden = true;
  arrows(parts.list, "button");
}

// Fetch anew only if the campaign has changed since.
export async function showMessages(row, gone) {
  byId("no-detail").hidden = row !== null;
  text(
    byId("no-detail"),
    gone ? "This campaign is not there any more." : "No campaign yet. What your DAG sends shows up here.",
  );
  byId("detail").hidden = row === null;
  if (row === null) {
    [uuid, seen] = [null, ""];
    text(byId("messages-title"), "Messages");
    return;
  }
  if (row.uuid !== uuid) {
    Object.assign(wanted, {run: "", search: "", page: 1});
    [uuid, chosen, parts.search.value] = [row.uuid, null, ""];
    seen = "";
  }
  const now = JSON.stringify(row);
  if (now === seen) return;
  const asked = {uuid, ...wanted};
  const found = JSON.parse(await get("page/campaign", asked));
  if (
    asked.uuid !== uuid ||
    asked.run !== wanted.run ||
    asked.search !== wanted.search ||
    asked.page !== wanted.page
  )
    return;
  seen = now;
  view = found;
  wanted.page = found.page;
  show();
}

function build(change) {
  const facts = el("dl", {class: "facts"});
  const status = el("span", {class: "badge"});
  const runs = el("select", {
    id: "run",
    "aria-label": "Execution",
    onchange: (event) => change({run: event.target.value}),
  });
  const search = el("input", {
    type: "search",
    "aria-label": "Search messages by contact or text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "Search",
    oninput: (event) => change({search: event.target.value.trim()}),
  });
  const note = el("p", {class: "note"});
  const list = el("ol", {class: "contacts", "aria-label": "Contacts"});
  const none = el("p", {class: "empty"});
  const pages = el("div", {class: "pager"});
  const phone = el("article", {class: "phone", "aria-label": "The message as a phone shows it"});
  const showPager = pager(pages, "messages", (step) => {
    const page = wanted.page + step;
    if (view && page >= 1 && page <= view.pages) change({page});
  });
  const source = el(
    "details",
    {class: "source"},
    el("summary", {}, "As it was submitted"),
    el("dl", {class: "facts"}),
  );
  const all = [
    facts,
    el("div", {class: "head"}, runs, search),
    note,
    el("div", {class: "both"}, el("div", {class: "who"}, list, none, pages), phone),
    source,
  ];
  return {all, facts, status, runs, search, note, list, none, phone, showPager, source: source.lastChild};
}

function show() {
  const {row} = view;
  text(byId("messages-title"), row.name);
  showStatus(parts.status, row);
  describe(parts.facts, {
    Status: parts.status,
    To: `${view.recipients.join(", ")}${view.fields.query ? ", by a query" : ""}: ${plural(view.total, "contact")}`,
    From: `${view.fields.sender ?? "–"} by ${row.channel}`,
    When: when(row),
  });
  showRuns();
  const preview = view.run === PREVIEW;
  text(parts.note, preview ? previewNote() : "");
  parts.note.hidden = !preview;
  if (!view.messages.some((message) => message.contact_uuid === chosen))
    chosen = view.messages[0]?.contact_uuid ?? null;
  keyed(parts.list, view.messages, (message) => message.contact_uuid, makeContact, updateContact);
  parts.none.hidden = view.messages.length > 0;
  text(
    parts.none,
    wanted.search ? "Nothing found." : view.total ? "Nothing sent yet." : "No contact fits: nobody gets it.",
  );
  parts.showPager(view.first, view.messages.length, view.found, view.page, view.pages);
  showPhone();
  describe(parts.source, {
    UUID: row.uuid,
    ...(view.service_uuid && {service: view.service_uuid}),
    ...view.fields,
  });
}

function when(row) {
  const words = [row.schedule];
  if (row.last_dt) words.push(`last ${long(row.last_dt)}`);
  if (row.next_dt) words.push(`next ${long(row.next_dt)}`);
  return words.join("; ");
}

function previewNote() {
  const when = view.row.next_dt ? `at the next execution, ${long(view.preview_dt)}` : "if it started now";
  return `Not sent. This is what would be sent ${when}: ${plural(view.total, "message")}.`;
}

function showRuns() {
  const options = view.runs.map((run) => ({
    value: run.uuid,
    label: `${stamp(run.started_dt)}: ${count(run.sent)} / ${count(run.total)}${run.state === "done" ? "" : `, ${run.state}`}`,
  }));
  if (view.can_preview) options.push({value: PREVIEW, label: "preview, nothing sent"});
  keyed(
    parts.runs,
    options,
    (option) => option.value,
    ({value}) => el("option", {value}),
    (node, {label}) => text(node, label),
  );
  parts.runs.value = view.run;
}

function describe(node, facts) {
  const entries = Object.entries(facts);
  keyed(
    node,
    entries,
    ([label]) => label,
    ([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value instanceof Node ? value : "")),
    (row, [, value]) => {
      if (!(value instanceof Node)) text(row.lastChild, value);
    },
  );
}

function makeContact(message) {
  const choose = () => {
    chosen = message.contact_uuid;
    pin();
    for (const row of parts.list.children)
      attr(row.firstChild, "aria-pressed", String(row.firstChild === button));
    showPhone();
  };
  const button = el(
    "button",
    {type: "button", onclick: choose, onfocus: choose},
    el("span", {class: "name"}),
    el("span", {class: "time"}),
    el("span", {class: "address muted"}),
  );
  return el("li", {}, button);
}

function updateContact(node, message) {
  const [name, time, address] = node.firstChild.children;
  text(name, message.contact || message.to);
  text(time, view.run === PREVIEW ? "" : clockTime(message.sent_dt));
  text(address, message.to);
  attr(node.firstChild, "aria-pressed", String(message.contact_uuid === chosen));
}

function showPhone() {
  const message = view.messages.find((one) => one.contact_uuid === chosen);
  parts.phone.hidden = !message;
  const preview = view.run === PREVIEW;
  const now = JSON.stringify([message, preview]);
  if (!message || now === onPhone) return;
  onPhone = now;
  parts.phone.replaceChildren(
    el("header", {}, el("strong", {}, message.sender), el("span", {class: "muted"}, message.channel)),
    el("p", {class: "muted when"}, preview ? "not sent" : `${long(message.sent_dt)} UTC`),
    el(
      "div",
      {class: "bubble"},
      message.title && el("strong", {}, ...filled(message.title)),
      message.text && el("p", {}, ...filled(message.text)),
      message.details.length > 0 &&
        el(
          "dl",
          {},
          ...message.details.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value))),
        ),
    ),
    el("footer", {class: "muted"}, `to ${message.contact || "a contact"}, ${message.to}`),
  );
}

// Marks variables that nothing was filled into: on a phone they would stand there just so.
function filled(value) {
  return value
    .split(/(\{[^{}\s"]+\})/)
    .map((piece, number) => (number % 2 ? el("mark", {title: "This variable has no value."}, piece) : piece));
}
