// The table of campaigns: one page of it, as the sandbox filters and sorts it.

import {attr, byId, count, el, keyed, text} from "./dom.js";
import {pager} from "./pager.js";
import {setTime} from "./times.js";

const STATUSES = ["", "active", "draft", "stopped", "finished", "deleted"];

export const wanted = {status: "", search: "", sort: "newest", page: 1};

let showPager;
let pages = 1;

export const nameOf = (row) => row.name.trim() || row.uuid;

export function wireCampaigns(refresh, look) {
  const change = (changes) => {
    Object.assign(wanted, {page: 1}, changes);
    refresh();
  };
  const turn = (step) => {
    const page = wanted.page + step;
    if (page >= 1 && page <= pages) change({page});
  };
  byId("statuses").append(
    ...STATUSES.map((status) =>
      el(
        "button",
        {type: "button", "data-status": status, onclick: () => change({status})},
        el("span"),
        " ",
        el("span", {class: "muted"}),
      ),
    ),
  );
  byId("search").addEventListener("input", (event) => change({search: event.target.value.trim()}));
  byId("sort").addEventListener("change", (event) => change({sort: event.target.value}));
  showPager = pager(byId("rows-pager"), "campaigns", turn);
  byId("rows").addEventListener("click", (event) => {
    const link = event.target.closest("tr").querySelector("a");
    // Not after selecting text to copy it.
    if (!link.contains(event.target)) getSelection().isCollapsed && link.click();
    else if (link.hash === location.hash) look();
  });
}

export function showCampaigns(view) {
  pages = view.pages;
  wanted.page = view.page;
  for (const button of byId("statuses").children) {
    const status = button.dataset.status;
    const number = view.counts[status || "all"] ?? 0;
    text(button.firstChild, status || (view.counts.deleted ? "all but deleted" : "all"));
    text(button.lastChild, count(number));
    attr(button, "aria-pressed", String(wanted.status === status));
    button.hidden = status === "deleted" && number === 0 && wanted.status !== status;
  }
  keyed(
    byId("rows"),
    view.rows,
    (row) => row.uuid,
    make,
    (node, row) => update(node, row, view),
  );
  byId("no-rows").hidden = view.rows.length > 0;
  text(byId("no-rows"), none(view.counts));
  showPager(view.first, view.rows.length, view.found, view.page, view.pages);
}

function none({all, deleted}) {
  if (all || wanted.status || wanted.search) return "No campaign matches.";
  return deleted ? "All campaigns were deleted. Their messages are still there." : "No campaign yet.";
}

function make(row) {
  return el(
    "tr",
    {},
    el(
      "th",
      {scope: "row"},
      el("a", {href: `#${row.uuid}`}),
      el("span", {class: "channel"}),
    ),
    el("td", {}, el("span", {class: "badge"})),
    el("td", {class: "schedule"}, el("div")),
    el("td", {class: "time"}),
    el("td", {class: "time"}),
    el("td", {class: "number"}, el("span"), el("progress", {"aria-label": "Messages sent"})),
  );
}

function update(node, row, view) {
  const [name, status, schedule, next, last, sent] = node.children;
  const [link, channel] = name.children;
  const {now} = view.clock;
  text(link, nameOf(row));
  attr(link, "title", row.name);
  attr(link, "aria-current", view.selected?.uuid === row.uuid && "true");
  text(channel, row.channel);
  showStatus(status.firstChild, row);
  text(schedule.firstChild, row.schedule);
  attr(schedule, "title", row.schedule);
  setTime(next, row.next_dt, now);
  setTime(last, row.last_dt, now);
  const sentOf = row.total === null ? "–" : `${count(row.sent)} / ${count(row.total)}`;
  text(sent.firstChild, sentOf);
  attr(sent, "title", row.runs > 1 ? `the last of ${count(row.runs)} executions` : null);
  const bar = sent.lastChild;
  bar.hidden = row.state !== "sending" && row.state !== "paused";
  attr(bar, "max", row.total || 1);
  if (bar.value !== row.sent) bar.value = row.sent ?? 0;
}

export function showStatus(node, row) {
  const sending = row.state === "sending" && row.status === "active";
  text(node, sending ? "sending" : row.status);
  attr(node, "data-state", sending ? "sending" : row.status);
  attr(node, "title", sending ? "active, sending messages" : null);
}
