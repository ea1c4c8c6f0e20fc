// Puts the page together, and keeps it up to date: it asks for the overview twice a second.

import {Away, get} from "./api.js";
import {showCampaigns, wanted, wireCampaigns} from "./campaigns.js";
import {showClock, wireClock} from "./clock.js";
import {showConnection} from "./connect.js";
import {byId, forget, plural, text} from "./dom.js";
import {showFaults, wireFaults} from "./faults.js";
import {showMessages, wireMessages} from "./messages.js";
import {showRequests, wantedRequests, wireRequests} from "./requests.js";
import {announce} from "./status.js";

const EVERY = 500;
const AT_MOST = 3000;
const UUID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

// The campaign that was chosen; without one the page follows what is executed.
let selected = inHash();
let asked = 0;
let last = null;
let timer = 0;
// What is wrong, in words, and how often in a row it was.
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

// The sandbox was started anew: it counts requests and faults from one again, and what was chosen may be gone.
function another(view) {
  for (const id of ["rows", "request-rows", "fault-rows"]) forget(byId(id));
  if (!view.selected) follow();
}

function inWords(error) {
  if (error instanceof Away) return `${error.message} What is shown is old. Trying again…`;
  if (error.status) return error.message;
  console.error(error);
  return `The page failed: ${error.message}`;
}

async function act(call, done) {
  try {
    await call();
    announce(done);
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

// On one column the requests come after the messages: they are less often what one looks for.
const narrow = matchMedia("(max-width: 1080px)");
function arrange() {
  if (narrow.matches) byId("messages").after(byId("requests"));
  else byId("campaigns").after(byId("requests"));
}

// Where the messages are below the campaigns, choosing one would seem to do nothing.
function look() {
  if (narrow.matches) goTo("messages");
}

function goTo(id) {
  byId(id).scrollIntoView();
  byId(id).focus({preventScroll: true});
}

arrange();
narrow.addEventListener("change", arrange);
wireClock(act);
wireCampaigns(refresh, look);
wireFaults(act);
wireRequests(refresh);
wireMessages(refresh, pin);
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
// Links to parts of the page would take the place of the chosen campaign in the address.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  if (event.target.hash) goTo(event.target.hash.slice(1));
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
refresh();
