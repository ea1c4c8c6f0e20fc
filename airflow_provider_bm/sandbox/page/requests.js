// The last requests. What is in one is fetched when it is opened.

import {get} from "./api.js";
import {arrows, attr, byId, count, el, keyed, text} from "./dom.js";
import {clockTime, long} from "./times.js";

export function wireRequests() {
  arrows(byId("request-rows"), "summary");
}

export function showRequests(requests, all) {
  keyed(byId("request-rows"), requests, (request) => request.number, make, update);
  byId("no-requests").hidden = requests.length > 0;
  text(byId("request-count"), all > requests.length ? `${count(requests.length)} of ${count(all)}` : "");
}

function make(request) {
  const inside = el("div", {class: "inside"});
  const node = el(
    "details",
    {},
    el(
      "summary",
      {},
      el("span", {class: "time"}),
      el("span", {class: "method"}),
      el("span", {class: "path", title: request.path}),
      el("span", {class: "code"}),
    ),
    inside,
  );
  node.addEventListener("toggle", async () => {
    if (!node.open || inside.childElementCount) return;
    try {
      open(inside, JSON.parse(await get("page/request", {number: request.number})));
    } catch (error) {
      text(inside, error.message);
    }
  });
  return el("li", {}, node);
}

function update(node, request) {
  const [time, method, path, code] = node.querySelector("summary").children;
  text(time, clockTime(request.dt));
  attr(time, "title", `${long(request.dt)} UTC`);
  text(method, request.method);
  text(path, request.path.replace(/^\/news\/v1\/services\/[^/]+/, "…"));
  text(code, request.status === null ? "no reply" : String(request.status));
  attr(code, "data-kind", request.status === null ? "none" : `${Math.floor(request.status / 100)}xx`);
}

function open(inside, request) {
  const query = Object.entries(request.query).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name} = ${one}`),
  );
  const parts = [["Path", request.path]];
  if (request.error) parts.push(["Error", request.error]);
  if (query.length) parts.push(["Query", query.join("\n")]);
  if (request.body !== null) parts.push(["Body", request.body]);
  inside.replaceChildren(
    ...parts.map(([label, value]) =>
      el(
        "div",
        {},
        el("span", {class: "label"}, label),
        el("pre", {tabindex: "0", role: "region", "aria-label": label}, value),
      ),
    ),
  );
}
