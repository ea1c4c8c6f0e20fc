// While there are no campaigns: how to connect, and an example.

import {get} from "./api.js";
import {byId} from "./dom.js";
import {copy} from "./status.js";

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
      // The page's own address certainly leads to the sandbox.
      byId(name).textContent = found[name].replaceAll(found.url, location.origin);
    }
  } catch (error) {
    wanted = false;
    throw error;
  }
}

for (const name of COMMANDS) byId(`copy-${name}`).addEventListener("click", () => copy(byId(name)));
