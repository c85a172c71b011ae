import { ask } from './client.js';

const ends = ['succeeded', 'failed', 'cancelled'];
const pollMs = 3_000;
/** Looks by polling before the stream is tried again. */
const polls = 5;

/**
 * Tells `onProgress` of an operation until it ends: by server-sent events, and by polling where they do not get through.
 * `onTrouble` is given why it knows nothing new just now; the next `onProgress` means that this is over. Ends at once, without an error, when `signal` is aborted. @throws Error where it may not be read.
 */
export async function follow(id, { onProgress, onTrouble, signal }) {
  const state = { lastId: undefined, isOver: false };
  const tell = (operation) => {
    state.isOver = ends.includes(operation.state);
    onProgress(operation);
  };
  while (!state.isOver && !signal.aborted) {
    try {
      await stream(id, { state, tell, signal });
      if (!state.isOver) await pause(1_000, signal);
    } catch (error) {
      if (signal.aborted) return;
      if ([401, 403, 404].includes(error.status)) throw error;
      onTrouble(error);
      await poll(id, { state, tell, onTrouble, signal, firstMs: error.retryAfterMs });
    }
  }
}

async function stream(id, { state, tell, signal }) {
  const headers = { accept: 'text/event-stream', ...(state.lastId ? { 'last-event-id': state.lastId } : {}) };
  const answer = await ask('GET', `v1/operations/${id}/events`, { signal, headers });
  if (answer.status === 204) {
    tell(await (await ask('GET', `v1/operations/${id}`, { signal })).json());
    return;
  }
  let text = '';
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += piece.value;
    const events = text.split('\n\n');
    text = events.pop();
    for (const event of events) take(event, { state, tell });
  }
}

function take(event, { state, tell }) {
  const fields = Object.fromEntries(
    event.split('\n').flatMap((line) => {
      const at = line.indexOf(': ');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 2)]] : [];
    }),
  );
  if (fields.data === undefined) return;
  state.lastId = fields.id;
  tell(JSON.parse(fields.data));
}

async function poll(id, { state, tell, onTrouble, signal, firstMs }) {
  let etag;
  for (let look = 0; look < polls && !state.isOver && !signal.aborted; look += 1) {
    await pause(look === 0 && firstMs > 0 ? firstMs : pollMs, signal);
    if (signal.aborted) return;
    try {
      const headers = etag === undefined ? {} : { 'if-none-match': etag };
      const answer = await ask('GET', `v1/operations/${id}`, { signal, headers });
      if (answer.status === 304) continue;
      etag = answer.headers.get('etag') ?? undefined;
      tell(await answer.json());
    } catch (error) {
      if (signal.aborted) return;
      // whatever else it is, it may be over at the next look
      if ([401, 403, 404].includes(error.status)) throw error;
      onTrouble(error);
    }
  }
}

export function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
