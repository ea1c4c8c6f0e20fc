// Calls of the sandbox's own routes.

const ROOT = "/_sandbox/";

async function call(path, options) {
  const reply = await fetch(ROOT + path, {cache: "no-store", ...options});
  const body = await reply.text();
  if (reply.ok) return body;
  let message = `The sandbox answered ${reply.status}.`;
  try {
    message = JSON.parse(body).message ?? message;
  } catch {
    // no JSON: the status has to do
  }
  throw Object.assign(new Error(message), {status: reply.status});
}

export const get = (name, parameters = {}) => call(`${name}?${new URLSearchParams(parameters)}`);

export const send = (method, name, body = {}) =>
  call(name, {method, headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
