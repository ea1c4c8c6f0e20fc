// Calls of the sandbox's own routes.

const ROOT = "/_sandbox/";

// No reply, or not from the sandbox. Other errors are the sandbox's, with a status, or defects of the page.
export class Away extends Error {}

async function call(path, seconds, options) {
  let reply, body;
  try {
    // A hanging process would keep a request open indefinitely.
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
    // not JSON: the status is all there is
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

// A longer timeout: advancing by a day may execute many campaigns.
export async function send(method, name, body = {}) {
  const headers = {"Content-Type": "application/json"};
  const reply = await call(name, 60, {method, headers, body: JSON.stringify(body)});
  return reply && JSON.parse(reply);
}
