import { Failure } from '#shared/domain/failure.ts';
import { httpTimeoutMs, openAgent, whyNoAnswer } from './agent.ts';

export type Login = { login: string; password: string; database: string };

/**
 * The user's id when Odoo accepts login and password (JSON-RPC, service `common`), false when it does not.
 * The password is in no message and no error.
 * @throws Failure `unavailable` when Odoo does not answer or fails inside, `misconfigured` when something else answers there.
 */
export async function authenticate(baseUrl: string, { login, password, database }: Login): Promise<number | false> {
  const url = new URL('jsonrpc', baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`);
  const call = { service: 'common', method: 'authenticate', args: [database, login, password, {}] };
  const { status, text } = await post(url, { jsonrpc: '2.0', method: 'call', id: 1, params: call });
  if (status === 429 || status >= 500) throw new Failure('unavailable', `Odoo at ${url.origin} answers ${status}.`);
  if (status !== 200) throw notOdoo(url, `answers ${status}`);
  return outcomeOf(parse(text, url), url);
}

async function post(url: URL, body: unknown): Promise<{ status: number; text: string }> {
  const agent = openAgent();
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(httpTimeoutMs * 2),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  } catch (cause) {
    throw new Failure('unavailable', `Odoo at ${url.origin}: ${whyNoAnswer(cause)}.`, { cause });
  } finally {
    await agent.destroy();
  }
}

type Answer = { result?: unknown; error?: { data?: { name?: unknown } } };

function parse(text: string, url: URL): Answer {
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === 'object' && answer !== null) return answer;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw notOdoo(url, 'answers something that is not JSON-RPC');
}

/** Odoo answers 200 to everything: an id, `false`, or an error object whose `debug` holds a whole traceback. */
export function outcomeOf(answer: Answer, url: URL): number | false {
  if (typeof answer.result === 'number') return answer.result;
  if (answer.result === false) return false;
  if (answer.error === undefined) throw notOdoo(url, 'answers neither an id nor an error');
  const name = typeof answer.error.data?.name === 'string' ? answer.error.data.name : 'an unnamed error';
  if (name === 'odoo.exceptions.AccessDenied') return false;
  // A database that is missing or not let in comes as psycopg2.OperationalError; its text names hosts and users.
  throw new Failure('unavailable', `Odoo at ${url.origin} could not check the login: ${name.slice(0, 80)}.`);
}

function notOdoo(url: URL, what: string): Failure {
  return new Failure('misconfigured', `${url.origin} ${what}: is that the address of an Odoo?`);
}
