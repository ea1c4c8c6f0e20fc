// The last requests. The content of one is fetched when it is opened.

import {Away, get} from "./api.js";
import {attr, byId, count, el, keyed, text} from "./dom.js";
import {clockTime, long} from "./times.js";

let newest = 0;
// While a request is open, newer ones than this are not shown, so that nothing moves.
let until = "";
// The state of which the content of an open request is.
const inside = new WeakMap();

export const wantedRequests = () => ({failed: byId("failed").checked ? "yes" : "", until});

export function wireRequests(refresh) {
  const list = byId("request-rows");
  byId("failed").addEventListener("change", () => {
    closeAll();
    refresh();
  });
  byId("newer").addEventListener("click", async () => {
    closeAll();
    await refresh();
    list.querySelector("summary")?.focus();
  });
  // The event does not bubble.
  list.addEventListener(
    "toggle",
    (event) => {
      const open = list.querySelector("details[open]");
      until = open ? until || String(newest) : "";
      if (event.target.open) load(event.target);
      refresh();
    },
    true,
  );
}

function closeAll() {
  until = "";
  for (const open of byId("request-rows").querySelectorAll("details[open]")) open.open = false;
}

export function showRequests({requests, request_count: all, newer_requests: newer}) {
  newest = requests[0]?.number ?? 0;
  keyed(byId("request-rows"), requests, (request) => request.number, make, update);
  if (!byId("request-rows").querySelector("details[open]")) until = "";
  const failed = byId("failed").checked;
  byId("no-requests").hidden = requests.length > 0;
  text(byId("no-requests"), failed && all ? "No request has failed." : "No request yet.");
  text(
    byId("request-count"),
    !failed && all > requests.length ? `${count(requests.length)} of ${count(all)}` : "",
  );
  byId("newer").hidden = newer === 0;
  text(byId("newer"), `Show ${count(newer)} newer`);
}

function make(request) {
  const node = el(
    "details",
    {},
    el(
      "summary",
      {},
      el("span", {class: "time"}),
      el("span", {class: "method"}),
      el("span", {class: "path"}),
      el("span", {class: "code"}),
    ),
    el("div", {class: "inside"}),
  );
  node.dataset.number = request.number;
  return el("li", {}, node);
}

function update(row, request) {
  const node = row.firstChild;
  const [time, method, path, code] = node.firstChild.children;
  text(time, clockTime(request.dt));
  attr(time, "title", `${long(request.dt)} UTC`);
  text(method, request.method);
  attr(method, "title", request.method);
  text(path, request.path.replace(/^\/news\/v1\/services\/[^/]+/, "…"));
  attr(path, "title", request.path);
  const [words, kind, title] = outcome(request);
  text(code, words);
  attr(code, "data-kind", kind);
  attr(code, "title", title);
  node.dataset.state = words;
  if (node.open) load(node);
}

function outcome({status, finished}) {
  if (status !== null) return [String(status), `${Math.floor(status / 100)}xx`, null];
  return finished ? ["no reply", "none", null] : ["…", "pending", "being served"];
}

// Again when the request has finished: then there may be an error.
async function load(node) {
  const {number, state} = node.dataset;
  if (inside.get(node) === state) return;
  inside.set(node, state);
  try {
    fill(node.lastChild, await get("page/request", {number}));
  } catch (error) {
    inside.delete(node);
    if (!(error instanceof Away) && !error.status) throw error;
    text(node.lastChild, error.message);
  }
}

function fill(node, request) {
  const query = Object.entries(request.query).flatMap(([name, value]) =>
    [value].flat().map((each) => `${name} = ${each}`),
  );
  const parts = [["Path", request.path]];
  if (request.error) parts.push(["Error", request.error]);
  if (query.length) parts.push(["Query", query.join("\n")]);
  if (request.body !== null) parts.push(["Body", request.body]);
  node.replaceChildren(
    ...parts.map(([label, value]) =>
      el(
        "div",
        {},
        el("span", {class: "label"}, label),
        el("pre", {tabindex: "0", role: "group", "aria-label": label}, value),
      ),
    ),
  );
}
