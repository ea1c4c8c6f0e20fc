// While there is nothing to show: how to connect, and something to try.

import {get} from "./api.js";
import {byId} from "./dom.js";
import {announce} from "./status.js";

const COMMANDS = ["connection", "example"];
let wanted = false;

export async function showConnection({counts}) {
  const empty = !counts.all && !counts.deleted;
  byId("connect").hidden = !empty;
  if (!empty || wanted) return;
  wanted = true;
  try {
    const found = await get("page/connection");
    for (const name of COMMANDS) {
      // However the page was reached, its address leads to the sandbox.
      byId(name).textContent = found[name].replaceAll(found.url, location.origin);
    }
  } catch (error) {
    wanted = false;
    throw error;
  }
}

for (const name of COMMANDS) {
  byId(`copy-${name}`).addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId(name).textContent);
      announce("Copied.");
    } catch {
      // Not every browser lets a page do it, and none on http beyond this machine.
      getSelection().selectAllChildren(byId(name));
      announce("Selected: copy it with the keyboard.");
    }
  });
}
