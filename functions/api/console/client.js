const place = 'odoo-fleet.token';

/** The token lies in this tab only, and is forgotten with it. It stands in no address. */
export const session = {
  token: () => sessionStorage.getItem(place),
  begin: (token) => sessionStorage.setItem(place, token),
  end: () => sessionStorage.removeItem(place),
};

/** A fresh key for one click: whatever is sent under it is done once. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Asks the API. With `key` it is asked once more when no answer came, which does nothing twice.
 * @throws Error with `status` (0: no answer) and the server's own sentence; for an abort, what the browser throws.
 */
export async function ask(method, path, { body, key, signal, headers = {} } = {}) {
  const request = {
    method,
    signal,
    credentials: 'omit',
    cache: 'no-store',
    headers: {
      authorization: `Bearer ${session.token() ?? ''}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
  const answer = await send(path, request).catch((error) => {
    if (key === undefined || signal?.aborted) throw error;
    return send(path, request);
  });
  if (answer.ok || answer.status === 304) return answer;
  throw await refusalOf(answer);
}

/** What was read for the page that is shown: paths with their validators. */
const seen = new Map();

export async function read(path, options) {
  const answer = await ask('GET', path, options);
  const tag = answer.headers.get('etag');
  if (tag !== null) seen.set(path, tag);
  return await answer.json().catch((error) => {
    if (options?.signal?.aborted) throw error;
    throw unreached('GET', error);
  });
}

/** From here on another page reads. */
export function forgetReads() {
  seen.clear();
}

/** Would the shown page read something else now? Where nothing has changed, no body is sent. */
export async function hasChanged({ signal }) {
  for (const [path, tag] of [...seen]) {
    const answer = await ask('GET', path, { signal, headers: { 'if-none-match': tag } });
    if (answer.status === 304) continue;
    await answer.body?.cancel();
    return true;
  }
  return false;
}

async function send(path, request) {
  try {
    return await fetch(path, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw unreached(request.method, error);
  }
}

function unreached(method, cause) {
  const text =
    method === 'GET'
      ? 'The server could not be reached. Try again.'
      : 'No answer came, and it may be at work all the same. Look at its state before you ask again.';
  return Object.assign(new Error(text, { cause }), { status: 0 });
}

async function refusalOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  const text = typeof problem.detail === 'string' ? problem.detail : `The server answered ${answer.status}.`;
  const seconds = Number(answer.headers.get('retry-after'));
  const later = seconds > 0 ? ` Try again in ${seconds} s.` : '';
  // the advice with its time stands for the one without
  const message = later === '' ? text : `${text.replace(/ Try again\.$/, '')}${later}`;
  const { errors } = problem;
  return Object.assign(new Error(message), { status: answer.status, errors, retryAfterMs: seconds * 1_000 });
}
