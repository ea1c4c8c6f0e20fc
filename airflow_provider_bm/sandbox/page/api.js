// Calls of the sandbox's own routes.

const ROOT = "/_sandbox/";

// Nobody answers, or somebody else does; all other errors are the sandbox's own, with a status, or defects.
export class Away extends Error {}

async function call(path, seconds, options) {
  let reply, body;
  try {
    // A process that hangs would keep a request open for ever.
    const signal = AbortSignal.timeout(seconds * 1000);
    reply = await fetch(ROOT + path, {cache: "no-store", signal, ...options});
    body = await reply.text();
  } catch (error) {
    throw new Away("The sandbox does not answer.", {cause: error});
  }
  if (reply.ok) return body;
  let message = `The sandbox answered ${reply.status}.`;
  try {
    message = JSON.parse(body).message ?? message;
  } catch {
    // no JSON: the status has to do
  }
  throw Object.assign(new Error(message), {status: reply.status});
}

export async function get(name, parameters = {}) {
  const body = await call(`${name}?${new URLSearchParams(parameters)}`, 5);
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new Away("What answers is not the sandbox.", {cause: error});
  }
}

// What is done may take its time: a day of many campaigns, for example.
export const send = (method, name, body = {}) =>
  call(name, 60, {method, headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
