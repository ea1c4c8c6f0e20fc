// Connects the parts of the page, and requests the overview twice a second.

import {Away, get} from "./api.js";
import {showCampaigns, wanted, wireCampaigns} from "./campaigns.js";
import {showClock, wireClock} from "./clock.js";
import {showConnection} from "./connect.js";
import {byId, forget, plural, text} from "./dom.js";
import {wireEditor} from "./editor.js";
import {showFaults, wireFaults} from "./faults.js";
import {showMessages, wireMessages} from "./messages.js";
import {showRequests, wantedRequests, wireRequests} from "./requests.js";
import {announce} from "./status.js";

const EVERY = 500;
const AT_MOST = 3000;
const UUID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

// The selected campaign; without one the page follows the latest execution.
let selected = inHash();
let asked = 0;
let last = null;
let timer = 0;
// The current error, and the number of failures in a row.
let trouble = "";
let failures = 0;

async function refresh() {
  clearTimeout(timer);
  const number = ++asked;
  try {
    const view = await overview();
    if (number !== asked) return;
    show(view);
    await Promise.all([showConnection(view), showMessages(view.selected, selected !== "")]);
    if (trouble) announce("The sandbox answers again.");
    [trouble, failures] = ["", 0];
  } catch (error) {
    const words = inWords(error);
    if (number !== asked) return;
    if (words !== trouble) announce(words, true);
    trouble = words;
    failures += 1;
  }
  document.body.classList.toggle("stale", trouble !== "");
  const pause = Math.min(EVERY * 2 ** failures, AT_MOST);
  if (!document.hidden && number === asked) timer = setTimeout(refresh, pause);
}

async function overview() {
  const query = {...wanted, ...wantedRequests(), selected, seen: last?.tag ?? ""};
  const found = await get("page/overview", query);
  return found.unchanged ? {...last, clock: found.clock} : found;
}

function show(view) {
  if (last && view.sandbox !== last.sandbox) another(view);
  last = view;
  showClock(view);
  text(
    byId("totals"),
    [
      plural(view.counts.all, "campaign"),
      plural(view.messages, "message"),
      plural(view.request_count, "request"),
    ].join(", "),
  );
  showCampaigns(view);
  showFaults(view);
  showRequests(view);
}

// Another sandbox: it counts requests and faults from one again, and the selected campaign may not exist.
function another(view) {
  for (const id of ["rows", "request-rows", "fault-rows"]) forget(byId(id));
  if (!view.selected) follow();
}

function inWords(error) {
  if (error instanceof Away) return `${error.message} The page shows an earlier state. Trying again…`;
  if (error.status) return error.message;
  console.error(error);
  return `The page failed: ${error.message}`;
}

async function act(call, done) {
  try {
    await call();
    if (done) announce(done);
  } catch (error) {
    announce(error instanceof Away ? error.message : inWords(error));
  }
  await refresh();
}

function inHash() {
  return UUID.exec(location.hash)?.[1] ?? "";
}

function pin(uuid) {
  selected = uuid;
  history.replaceState(null, "", `#${uuid}`);
}

function follow() {
  selected = "";
  history.replaceState(null, "", location.pathname + location.search);
}

// In one column the messages are below the campaigns: selecting one would seem to do nothing.
const narrow = matchMedia("(max-width: 1080px)");
function look() {
  if (narrow.matches) goTo("messages");
}

function goTo(id) {
  byId(id).scrollIntoView();
  byId(id).focus({preventScroll: true});
}

wireClock(act);
wireCampaigns(refresh, look);
wireFaults(act);
wireRequests(refresh);
wireMessages(refresh, pin, act);
wireEditor((campaign, words) => {
  pin(campaign.uuid);
  act(async () => {}, words);
});
byId("follow").addEventListener("click", () => {
  follow();
  byId("messages").focus({preventScroll: true});
  refresh();
});
window.addEventListener("hashchange", () => {
  selected = inHash();
  if (selected) look();
  refresh();
});
// Links to parts of the page would replace the selected campaign in the address.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  if (event.target.hash) goTo(event.target.hash.slice(1));
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
refresh();
