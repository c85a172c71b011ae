import { setTimeout as delay } from 'node:timers/promises';
import { errors, Pool } from 'undici';
import * as v from 'valibot';
import { Failure } from '#shared/domain/failure.ts';
import type { KillBill } from '#shared/domain/kill-bill/account.ts';
import { inSpan } from '../tracing/spans.ts';
import { accountSchema, bundlesSchema, fieldsSchema, invoicesSchema, paymentsSchema } from './schemas.ts';

export type KillBillOptions = {
  /** Where Kill Bill answers, such as `http://kill-bill.billing.svc:8080`. */
  url: string;
  user: string;
  password: string;
  /** The tenant's. */
  apiKey: string;
  apiSecret: string;
  /** Default 5,000 ms. */
  connectTimeoutMs?: number;
  /** For one answer, its body included. Default 30,000 ms. */
  readTimeoutMs?: number;
  /** For one account, with all that is tried again. Default 45,000 ms: a broker waits 60 s for whoever looks. */
  budgetMs?: number;
};

const defaults = { connectTimeoutMs: 5_000, readTimeoutMs: 30_000, budgetMs: 45_000 };
/** After the first, each a little later. Only where no answer came: what Kill Bill answers, it would answer again. */
const retryAfterMs = [200, 1_000];
/** The invoices of some hundred years. */
const maxAnswerBytes = 8 * 1024 * 1024;

/** Kept connections to Kill Bill. Reads only: every call may be made twice. */
export function openKillBill(options: KillBillOptions): KillBill & { close(): Promise<void> } {
  const { url, connectTimeoutMs, readTimeoutMs, budgetMs } = { ...defaults, ...options };
  const base = new URL(url);
  const pool = new Pool(base.origin, {
    connections: 8,
    connect: { timeout: connectTimeoutMs },
    headersTimeout: readTimeoutMs,
    bodyTimeout: readTimeoutMs,
    maxResponseSize: maxAnswerBytes,
    allowH2: false,
  });
  const prefix = base.pathname.replace(/\/$/, '');
  const headers = {
    accept: 'application/json',
    authorization: `Basic ${Buffer.from(`${options.user}:${options.password}`).toString('base64')}`,
    'x-killbill-apikey': options.apiKey,
    'x-killbill-apisecret': options.apiSecret,
  };

  async function ask(path: string, signal: AbortSignal): Promise<unknown> {
    for (let run = 0; ; run += 1) {
      try {
        return await askOnce(path, signal);
      } catch (caught) {
        const wait = retryAfterMs[run];
        if (wait === undefined || signal.aborted || !isUnanswered(caught)) throw failureOf(caught);
        await delay(wait, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** The parsed answer; undefined for what Kill Bill itself says is not there. */
  async function askOnce(path: string, signal: AbortSignal): Promise<unknown> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(readTimeoutMs)]);
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path: `${prefix}${path}`,
      headers,
      signal: within,
    });
    if (statusCode === 200) return parse(await body.text());
    // a proxy in front of it answers 404, too, while Kill Bill starts
    if (statusCode === 404 && isKillBills(await body.text())) return undefined;
    await body.dump();
    // lists of an account that has none
    if (statusCode === 204) return [];
    throw refusal(statusCode);
  }

  async function readAccount(id: string): ReturnType<KillBill['read']> {
    const signal = AbortSignal.timeout(budgetMs);
    const account = `/1.0/kb/accounts/${encodeURIComponent(id)}`;
    const list = async <Schema extends v.GenericSchema>(schema: Schema, path: string) => {
      const answer = await ask(`${account}${path}`, signal);
      // taken for an empty list it would be a debt that is gone
      if (answer === undefined) throw refusal(404);
      return checked(schema, answer);
    };
    const found = await ask(account, signal);
    if (found === undefined) return undefined;
    const { accountId, externalKey } = checked(accountSchema, found);
    const [subscriptions, fields, invoices, payments] = await Promise.all([
      list(bundlesSchema, '/bundles'),
      list(fieldsSchema, '/allCustomFields?objectType=SUBSCRIPTION'),
      // Older releases know the first word, newer ones the second.
      list(invoicesSchema, '/invoices?withItems=true&includeInvoiceComponents=true'),
      list(paymentsSchema, '/invoicePayments'),
    ]);
    if (invoices.length > 0 && invoices.every(({ items }) => items.length === 0)) {
      // whoever believed it would take every debt for paid
      throw new Failure('damaged', 'Kill Bill gives invoices without items, and so without balances.');
    }
    return { id: accountId, externalKey, subscriptions, fields, invoices, payments };
  }

  return {
    read: (id) => inSpan({ name: 'kill-bill GET account', kind: 'client' }, () => readAccount(id)),
    close: () => pool.destroy(),
  };
}

/** Does a 404 have the body that Kill Bill's exceptions have (its `BillingExceptionJson`)? */
function isKillBills(text: string): boolean {
  try {
    return v.is(v.object({ className: v.string(), message: v.string() }), JSON.parse(text));
  } catch {
    return false;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Failure('damaged', 'Kill Bill answered something that is no JSON: is KILL_BILL_URL its address?', {
      cause,
    });
  }
}

function checked<Schema extends v.GenericSchema>(schema: Schema, answer: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, answer);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  // its own message repeats the value
  const place = v.getDotPath(issue) ?? 'the answer';
  throw new Failure('damaged', `Kill Bill answered what it does not document: ${place} is no ${issue.type}.`);
}

function refusal(status: number): Failure {
  if (status === 401 || status === 403) {
    const text = `Kill Bill refuses us (${status}): mend the user, or the tenant's key and secret, in the Secret kill-bill.`;
    return new Failure('misconfigured', text);
  }
  return new Failure('unavailable', `Kill Bill answered with status ${status}.`);
}

/** No connection, or no answer in time. */
function isUnanswered(caught: unknown): boolean {
  if (caught instanceof Failure) return false;
  if (caught instanceof errors.ResponseExceededMaxSizeError) return false;
  return caught instanceof Error;
}

function failureOf(caught: unknown): Failure {
  if (caught instanceof Failure) return caught;
  const name = caught instanceof Error ? caught.name : '';
  const isLate = /Timeout|Abort/.test(name);
  const code = caught instanceof Error && 'code' in caught ? ` (${String(caught.code)})` : '';
  // the error itself names addresses
  if (isLate) return new Failure('timeout', `Kill Bill did not answer in time${code}.`);
  return new Failure('unavailable', `Kill Bill cannot be reached${code}.`);
}
