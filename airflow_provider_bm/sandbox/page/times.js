// Times of the sandbox, in UTC as everywhere in the API.

const format = (options) => new Intl.DateTimeFormat("en-GB", {timeZone: "UTC", hourCycle: "h23", ...options});
const full = format({
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = format({day: "numeric", month: "short"});
const year = format({year: "numeric"});
const minute = format({hour: "2-digit", minute: "2-digit"});
const second = format({hour: "2-digit", minute: "2-digit", second: "2-digit"});

export const long = (dt) => full.format(new Date(dt));
// For lists of executions, which may be years apart.
export const stamp = (dt) => `${day.format(new Date(dt))} ${year.format(new Date(dt))}, ${clockTime(dt)}`;
export const clockTime = (dt) => second.format(new Date(dt));

// As short as possible: "06:00", "28 Nov 06:00", "28 Nov 2012 06:00".
export function short(dt, now) {
  const [then, here] = [new Date(dt), new Date(now)];
  if (year.format(then) !== year.format(here))
    return `${day.format(then)} ${year.format(then)} ${minute.format(then)}`;
  if (day.format(then) !== day.format(here)) return `${day.format(then)} ${minute.format(then)}`;
  return then.getUTCSeconds() ? second.format(then) : minute.format(then);
}

export function setTime(node, dt, now) {
  const shown = dt ? short(dt, now) : "–";
  if (node.textContent !== shown) node.textContent = shown;
  const title = dt ? `${long(dt)} UTC` : "";
  if (node.title !== title) node.title = title;
}
