// Puts the page together, and keeps it up to date: it asks for the overview twice a second.

import {get} from "./api.js";
import {showCampaigns, wanted, wireCampaigns} from "./campaigns.js";
import {showClock, wireClock} from "./clock.js";
import {byId, plural, text} from "./dom.js";
import {showFaults, wireFaults} from "./faults.js";
import {showMessages, wireMessages} from "./messages.js";
import {showRequests, wireRequests} from "./requests.js";

const EVERY = 500;
const UUID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

let selected = UUID.exec(location.hash)?.[1] ?? "";
let asked = 0;
let shown = "";
let timer = 0;
let trouble = false;

async function refresh() {
  clearTimeout(timer);
  const number = ++asked;
  try {
    const reply = await get("page/overview", {...wanted, selected});
    if (number !== asked) return;
    const view = JSON.parse(reply);
    const state = JSON.stringify([wanted, selected]) + reply;
    if (state !== shown) {
      showClock(view);
      showTotals(view);
      showCampaigns(view);
      showFaults(view.faults);
      showRequests(view.requests, view.request_count);
      shown = state;
    }
    await showMessages(view.selected, selected !== "");
    if (trouble) announce("The sandbox answers again.");
    trouble = false;
  } catch (error) {
    if (number !== asked) return;
    shown = "";
    if (!trouble)
      announce(
        error.status ? error.message : "The sandbox does not answer: what is shown is old. Trying again…",
      );
    trouble = true;
  }
  document.body.classList.toggle("stale", trouble);
  if (!document.hidden && number === asked) timer = setTimeout(refresh, EVERY);
}

async function act(call, done) {
  try {
    await call();
    announce(done);
  } catch (error) {
    announce(error.status ? error.message : "The sandbox does not answer.");
  }
  await refresh();
}

function announce(words) {
  text(byId("status"), words);
}

function showTotals({counts, messages, request_count: requests}) {
  text(
    byId("totals"),
    `${plural(counts.all, "campaign")}, ${plural(messages, "message")}, ${plural(requests, "request")}`,
  );
}

wireClock(act);
wireCampaigns(refresh);
wireFaults(act);
wireRequests();
wireMessages(refresh, (uuid) => {
  selected = uuid;
  history.replaceState(null, "", `#${uuid}`);
});
window.addEventListener("hashchange", () => {
  const wantedUuid = UUID.exec(location.hash)?.[1];
  if (wantedUuid) {
    selected = wantedUuid;
    // Where the messages are below the campaigns, choosing one would seem to do nothing.
    if (matchMedia("(max-width: 1080px)").matches) byId("messages").scrollIntoView();
    refresh();
  }
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
refresh();
