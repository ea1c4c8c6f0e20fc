// The clock, and the buttons that move it.

import {send} from "./api.js";
import {attr, byId, count, el, text} from "./dom.js";
import {long, short} from "./times.js";

// Arrow keys step through the speeds: only the last one counts.
const PAUSE = 400;

let clock = null;
let picking = 0;

export function wireClock(act) {
  const advance = (id, seconds, words) =>
    byId(id).addEventListener("click", () =>
      act(() => send("POST", "clock", {advance: seconds}), `Clock moved on by ${words}.`),
    );
  advance("minute", 60, "1 minute");
  advance("hour", 3600, "1 hour");
  advance("day", 86400, "1 day");
  byId("next").addEventListener("click", () => {
    if (byId("next").getAttribute("aria-disabled") !== "true") {
      act(() => send("POST", "page/next"), "Clock moved on to the next execution.");
    }
  });
  byId("freeze").addEventListener("click", () =>
    clock?.frozen
      ? act(() => send("POST", "clock", {resume: true}), "The clock runs again.")
      : act(() => send("POST", "clock", {freeze: true}), "The clock is frozen."),
  );
  const pick = () => {
    clearTimeout(picking);
    picking = 0;
    const speed = Number(byId("speed").value);
    const seconds = speed === 1 ? "1 second" : `${count(speed)} seconds`;
    act(() => send("POST", "clock", {speed}), `Speed: ${seconds} a second.`);
  };
  byId("speed").addEventListener("change", () => {
    clearTimeout(picking);
    picking = setTimeout(pick, PAUSE);
  });
  byId("speed").addEventListener("blur", () => {
    if (picking) pick();
    else if (clock) showSpeed();
  });
}

export function showClock({clock: now, next_dt: next}) {
  clock = now;
  text(byId("now"), long(clock.now));
  attr(byId("now"), "datetime", clock.now);
  text(byId("pace"), clock.frozen ? "frozen" : `running ×${count(clock.speed)}`);
  attr(byId("pace"), "data-state", clock.frozen ? "frozen" : "running");
  text(byId("freeze"), clock.frozen ? "Resume" : "Freeze");
  text(byId("next"), next ? `To next, ${short(next, clock.now)}` : "To next");
  attr(byId("next"), "aria-disabled", next ? null : "true");
  // Not while somebody chooses one.
  if (!picking && document.activeElement !== byId("speed")) showSpeed();
}

function showSpeed() {
  const select = byId("speed");
  const value = String(clock.speed);
  for (const option of select.querySelectorAll("[data-other]")) if (option.value !== value) option.remove();
  if (![...select.options].some((option) => option.value === value)) {
    select.append(el("option", {value, "data-other": true}, `×${count(clock.speed)}`));
  }
  select.value = value;
}
