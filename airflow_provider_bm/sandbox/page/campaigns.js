// The table of campaigns: one page of it, as the sandbox filters and sorts it.

import {arrows, attr, byId, count, el, keyed, pager, text} from "./dom.js";
import {setTime} from "./times.js";

const STATUSES = ["", "active", "draft", "stopped", "finished", "deleted"];

export const wanted = {status: "", search: "", sort: "newest", page: 1};

let showPager;
let pages = 1;

export function wireCampaigns(refresh) {
  const change = (changes) => {
    Object.assign(wanted, {page: 1}, changes);
    refresh();
  };
  byId("statuses").append(
    ...STATUSES.map((status) =>
      el(
        "button",
        {type: "button", "data-status": status, onclick: () => change({status})},
        status || "all",
        " ",
        el("span", {class: "muted"}),
      ),
    ),
  );
  byId("search").addEventListener("input", (event) => change({search: event.target.value.trim()}));
  byId("sort").addEventListener("change", (event) => change({sort: event.target.value}));
  showPager = pager(byId("rows-pager"), "campaigns", (step) => {
    const page = wanted.page + step;
    if (page >= 1 && page <= pages) change({page});
  });
  arrows(byId("rows"), "a");
}

export function showCampaigns(view) {
  pages = view.pages;
  wanted.page = view.page;
  for (const button of byId("statuses").children) {
    const status = button.dataset.status;
    const number = view.counts[status || "all"] ?? 0;
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
  text(
    byId("no-rows"),
    view.counts.all
      ? "No campaign fits."
      : "No campaign yet. Run a DAG, or put one in: POST /_sandbox/campaigns.",
  );
  showPager(view.first, view.rows.length, view.found, view.page, view.pages);
}

function make(row) {
  return el(
    "tr",
    {},
    el("th", {scope: "row"}, el("a", {href: `#${row.uuid}`}), el("span", {class: "channel"})),
    el("td", {}, el("span", {class: "badge"})),
    el("td", {class: "schedule"}),
    el("td", {class: "time"}),
    el("td", {class: "time"}),
    el("td", {class: "number"}, el("span"), el("progress", {"aria-label": "Messages sent"})),
  );
}

function update(node, row, view) {
  const [name, status, schedule, next, last, sent] = node.children;
  text(name.firstChild, row.name);
  attr(name.firstChild, "title", row.name);
  attr(name.firstChild, "aria-current", view.selected?.uuid === row.uuid && "true");
  text(name.lastChild, row.channel);
  showStatus(status.firstChild, row);
  text(schedule, row.schedule);
  attr(schedule, "title", row.schedule);
  setTime(next, row.next_dt, view.clock.now);
  setTime(last, row.last_dt, view.clock.now);
  text(sent.firstChild, row.total === null ? "–" : `${count(row.sent)} / ${count(row.total)}`);
  attr(sent, "title", row.runs > 1 ? `the last of ${count(row.runs)} executions` : null);
  const bar = sent.lastChild;
  bar.hidden = row.state !== "running" && row.state !== "paused";
  attr(bar, "max", row.total || 1);
  if (bar.value !== row.sent) bar.value = row.sent ?? 0;
}

export function showStatus(node, row) {
  const running = row.state === "running" && row.status === "active";
  text(node, running ? "sending" : row.status);
  attr(node, "data-state", running ? "sending" : row.status);
  attr(node, "title", running ? "active, sending messages" : null);
}
