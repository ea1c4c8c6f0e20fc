// The clock, and the buttons that move it.

import {send} from "./api.js";
import {attr, byId, count, el, text} from "./dom.js";
import {long, short} from "./times.js";

let frozen = false;

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
    frozen
      ? act(() => send("POST", "clock", {resume: true}), "The clock runs again.")
      : act(() => send("POST", "clock", {freeze: true}), "The clock stands still."),
  );
  byId("speed").addEventListener("change", (event) => {
    const speed = Number(event.target.value);
    act(() => send("POST", "clock", {speed}), `The clock runs at ${speed} seconds a second.`);
  });
}

export function showClock({clock, next_dt: next}) {
  frozen = clock.frozen;
  text(byId("now"), long(clock.now));
  attr(byId("now"), "datetime", clock.now);
  text(byId("pace"), frozen ? "frozen" : `running ×${count(clock.speed)}`);
  attr(byId("pace"), "data-state", frozen ? "frozen" : "running");
  text(byId("freeze"), frozen ? "Resume" : "Freeze");
  text(byId("next"), next ? `To next, ${short(next, clock.now)}` : "To next");
  attr(byId("next"), "aria-disabled", next ? null : "true");
  const speed = byId("speed");
  const value = String(clock.speed);
  if (![...speed.options].some((option) => option.value === value)) {
    speed.append(el("option", {value}, `×${count(clock.speed)}`));
  }
  if (document.activeElement !== speed) speed.value = value;
}
