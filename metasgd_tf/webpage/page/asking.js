// Sends requests to the server.

// Returns the server's answer; if it refuses or is gone, an object with a `sentence`.
export async function ask(name, request) {
  try {
    const reply = await fetch(`answer/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(request),
    });
    const answer = await reply.json();
    return reply.ok ? answer : { sentence: `The server refuses this: ${answer.error}.` };
  } catch {
    return { sentence: "The server does not answer; is it still running?" };
  }
}

// Returns a function that asks for the newest state. One request is under way at a time, and what
// changed meanwhile is asked when it is answered, so that drawing never queues up requests.
export function newest(name, request, use) {
  let busy = false;
  let changed = false;
  return async function changedNow() {
    changed = true;
    if (busy) return;
    busy = true;
    while (changed) {
      changed = false;
      use(await ask(name, request()));
    }
    busy = false;
  };
}
