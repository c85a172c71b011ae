import { setTimeout as delay } from 'node:timers/promises';
import type { Webhook } from 'standardwebhooks';
import type { Database, Queryable } from '#shared/adapters/postgres/database.ts';
import { asFailure, type Failure, failureCodes } from '#shared/domain/failure.ts';
import type { Answer } from '#shared/runtime/answer.ts';
import type { RawRequest } from '#shared/runtime/http-function.ts';
import type { Log } from '#shared/runtime/log.ts';
import { acceptKillBill } from './kill-bill.ts';
import { showsToken } from './shown-secrets.ts';
import { acceptSigned, isSigned } from './signed.ts';

export type BillingWebhookParts = {
  database: Database;
  /** Publishes what was just written; never throws. */
  flush(): Promise<void>;
  eventSource: string;
  log: Pick<Log, 'warn' | 'error'>;
  /** What Kill Bill may show. None: its form is not offered. */
  killBillTokens: readonly string[];
  /** Of those that sign. None: their form is not offered. */
  verifiers: readonly Webhook[];
};

type Accept = (transaction: Queryable, request: RawRequest) => Promise<string>;
type Form = { name: string; isAllowed(request: RawRequest, query: URLSearchParams): boolean; accept: Accept };

/**
 * Takes what billing services tell: `POST /kill-bill` and `POST /events`. 202 says that it is kept; whatever is not kept
 * is never answered with success, so that its sender tells it again. Nothing of a body is logged.
 */
export function billingWebhookHandler(
  parts: BillingWebhookParts,
): (request: RawRequest) => Promise<Answer & { type?: string }> {
  const forms = formsOf(parts);
  return async (request) => {
    const [path = '', query = ''] = request.url.split('?', 2);
    const form = forms.get(path);
    if (form === undefined) return problem(404, 'not-found', 'There is nothing here.');
    const answer = await answerForm(parts, form, { request, query: new URLSearchParams(query) });
    return { ...answer, type: form.name };
  };
}

function formsOf({ killBillTokens, verifiers, eventSource }: BillingWebhookParts): Map<string, Form> {
  const forms = new Map<string, Form>();
  if (killBillTokens.length > 0) {
    forms.set('/kill-bill', {
      name: 'kill-bill',
      isAllowed: ({ headers }, query) => showsToken(killBillTokens, headers, query),
      accept: (transaction, { body }) => acceptKillBill(transaction, { body, eventSource }),
    });
  }
  if (verifiers.length > 0) {
    forms.set('/events', {
      name: 'signed',
      isAllowed: ({ headers, body }) => isSigned(verifiers, headers, body),
      accept: (transaction, { body, headers }) => acceptSigned(transaction, { body, headers, eventSource }),
    });
  }
  return forms;
}

async function answerForm(
  { database, flush, log }: BillingWebhookParts,
  form: Form,
  { request, query }: { request: RawRequest; query: URLSearchParams },
): Promise<Answer> {
  if (request.method !== 'POST') return problem(405, 'not-post', 'Only POST.', { headers: { allow: 'POST' } });
  if (request.isTooLarge) return problem(413, 'too-large', 'A notification has at most 1 MiB.');
  if (!form.isAllowed(request, query)) {
    log.warn({ form: form.name }, 'a notification of billing was refused: it does not show who sends it');
    const text = 'Show who you are: the token of the callback, or a signature that is less than five minutes old.';
    return problem(401, 'unauthenticated', text, { headers: { 'www-authenticate': 'Basic realm="billing"' } });
  }
  try {
    const outcome = await database.transaction((transaction) => form.accept(transaction, request));
    // it is kept: nobody waits long for a broker
    await Promise.race([flush(), delay(flushWaitMs, undefined, { ref: false })]);
    return { status: 202, outcome, headers: json, body: JSON.stringify({ status: outcome }) };
  } catch (caught) {
    return refusalOf(asFailure(caught), log);
  }
}

/** What is not sent by then is sent by the same run, by the next one, or by the tick. */
const flushWaitMs = 2;

const json = { 'content-type': 'application/json', 'cache-control': 'no-store' };

function refusalOf(failure: Failure, log: BillingWebhookParts['log']): Answer {
  const { code, message, facts } = failure;
  if (code === 'invalid-event') return problem(400, code, message, { field: facts['field'] });
  if (code === 'reused-event-id') return problem(422, code, message);
  if (code !== 'internal' && failureCodes[code] === 'transient') {
    log.warn({ code, reason: message }, 'a notification of billing was not kept');
    return problem(503, 'unavailable', 'It could not be kept. Send it again.', { headers: { 'retry-after': '10' } });
  }
  log.error({ err: failure }, 'a notification of billing ended with a bug');
  return problem(500, 'error', 'It could not be kept. Send it again later.');
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Problem details (RFC 9457). */
function problem(
  status: number,
  code: string,
  detail: string,
  more: { headers?: Record<string, string>; field?: string | number | boolean | undefined } = {},
): Answer {
  const field = more.field === undefined ? {} : { field: more.field };
  const body = JSON.stringify({ title: titles[status] ?? 'Error', status, detail, code, ...field });
  const headers = { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...more.headers };
  return { status, outcome: code, body, headers };
}
