import type { IncomingHttpHeaders } from 'node:http';
import type { Principal } from '#shared/domain/access/principal.ts';
import { requireMayDestroy, requireScope } from '#shared/domain/access/principal.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { AccessPorts, LimitAnswer } from '../ports.ts';
import { invalidRequest } from '../problem.ts';
import { type Call, nobody, type Reply, type Route } from '../route.ts';
import { forCustomer } from '../views/for-customer.ts';
import { type Gone, inTime, type Timed } from './in-time.ts';
import { jsonOf, parsed, queryOf } from './parse.ts';
import { fieldsOf, pickFields } from './pick-fields.ts';

/** A request whose body was read, and whose route was found. */
export type RoutedRequest = {
  params: Readonly<Record<string, string>>;
  /** What stands behind the path, with `?`, or nothing. */
  search: string;
  headers: IncomingHttpHeaders;
  rawHeaders: readonly string[];
  body: Buffer;
  isTooLarge: boolean;
  requestId: string;
  /** Nobody reads a body. */
  isHead: boolean;
  /** Whoever asks has, by the first of the proxies before us; of IPv6 his network. Few ask for it, and it takes a while to tell. */
  address: () => string;
  /** Aborted when the client is gone. */
  signal: AbortSignal;
};

const mostHeaders = 100;

export type Responded = { reply: Reply; limited: LimitAnswer | undefined; principal: Principal | undefined };

/** Who asks, may he, how often, for what: then the route, all of it within the route's time. @throws Failure. */
export async function respond(route: Route, request: RoutedRequest, access: AccessPorts): Promise<Responded | Gone> {
  const headers = singleHeaders(request);
  return await inTime(route, request.signal, async (timed) => {
    const principal = route.scope === 'anyone' ? nobody : await access.authenticate(headers);
    if (route.scope !== 'anyone') requireScope(principal, route.scope);
    if (route.destroys === true) requireMayDestroy(principal);
    const turn = takeTurn(route, { principal, address: request.address }, access);
    const handle = () => handled(route, request, { principal, headers, timed });
    const early = mayBeginEarly(route, principal, access) ? handle() : undefined;
    // told below, unless the caller is refused
    early?.catch(() => undefined);
    const limited = await turn;
    if (limited?.isAllowed === false) throw tooMany(limited);
    const { reply, names } = await (early ?? handle());
    const picks = names !== undefined && route.fields !== undefined && reply.status < 300 && reply.body !== undefined;
    const isOfCustomer = principal.customerId !== null && route.scope !== 'anyone';
    const seen = isOfCustomer ? forCustomer(reply.body) : reply.body;
    const body = picks ? pickFields(seen, names, route.fields?.of ?? 'body') : seen;
    return { reply: { ...reply, body }, limited, principal };
  });
}

function tooMany({ limit, retryAfterMs }: LimitAnswer): Failure {
  return new Failure('too-many-requests', `More than ${limit} of such requests in a minute: slow down.`, {
    facts: { retryAfterMs, limit },
  });
}

/**
 * A read whose caller has most of his turns left is begun while this one is counted: what it found is given to nobody when he
 * turns out to have none. A stream is no such read, for somebody would have to end it.
 */
function mayBeginEarly({ method, limit, responses }: Route, principal: Principal, access: AccessPorts): boolean {
  if (method !== 'GET' || limit !== 'read' || responses[200]?.type === 'text/event-stream') return false;
  return access.hasRoom?.(principal, limit) === true;
}

/** What the route makes of a request, and which fields of it are wanted. */
async function handled(
  route: Route,
  request: RoutedRequest,
  { principal, headers, timed }: Pick<Call, 'principal' | 'headers'> & { timed: Timed },
): Promise<{ reply: Reply; names: readonly string[] | undefined }> {
  const { fields: wanted, ...query } = queryOf(request.search);
  const names = fieldsOf(wanted, route.fields);
  const call: Call = {
    principal,
    params: parsed('path', route.params, request.params),
    query: parsed('query', route.query, query),
    body: bodyOf(route, request),
    headers,
    requestId: request.requestId,
    signal: timed.signal,
  };
  timed.begin();
  return { reply: await route.handle(call), names };
}

function takeTurn(
  { limit }: Pick<Route, 'limit'>,
  { principal, address }: { principal: Principal; address: () => string },
  access: AccessPorts,
): Promise<LimitAnswer> | undefined {
  if (limit === 'none') return undefined;
  // nothing but his address is known of a stranger: that is who he is to the limit of changes
  if (limit === 'attempt') return access.limit({ ...nobody, id: address(), customerId: null }, 'write');
  return access.limit(principal, limit);
}

/** One value of each header; those that may not come twice and do are refused, for proxies differ in which they take. */
function singleHeaders({ headers, rawHeaders }: RoutedRequest): Record<string, string | undefined> {
  if (rawHeaders.length / 2 > mostHeaders)
    throw invalidRequest([{ field: 'header', detail: `There are more than ${mostHeaders}: send fewer.` }]);
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (seen.has(name) && onlyOnce.has(name))
      throw invalidRequest([{ field: `header.${name}`, detail: 'It is given twice: send it once.' }]);
    seen.add(name);
  }
  const single: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(headers)) single[name] = Array.isArray(value) ? value.join(', ') : value;
  return single;
}

const onlyOnce: ReadonlySet<string> = new Set([
  'authorization',
  'content-type',
  'content-length',
  'host',
  'idempotency-key',
  'last-event-id',
]);

function bodyOf(route: Route, request: RoutedRequest): unknown {
  if (route.method === 'GET' || route.body === undefined) {
    if (request.isTooLarge) throw new Failure('too-large', 'The body is larger than 1 MiB: nothing is wanted here.');
    return undefined;
  }
  const { 'content-type': type, 'content-encoding': coding = 'identity' } = request.headers;
  if (coding !== 'identity') {
    const field = 'header.content-encoding';
    throw new Failure('unsupported', 'Send the body as it is: packed ones are not taken.', { facts: { field } });
  }
  return parsed('body', route.body, jsonOf({ type, body: request.body, isTooLarge: request.isTooLarge }));
}
