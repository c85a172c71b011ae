import type { GenericSchema, InferOutput } from 'valibot';
import type { Principal, Scope } from '#shared/domain/access/principal.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a route is asked, parsed by its schemas. After this nothing validates again. */
export type Call<Params = unknown, Query = unknown, Body = unknown> = {
  /** Who asks. On a route for `anyone`: `nobody`, who owns nothing and may do nothing. */
  principal: Principal;
  params: Params;
  /** Without `fields`, which the frame takes care of. */
  query: Query;
  /** Undefined when the route has no body. */
  body: Body;
  /** By lower-case name; one value each. */
  headers: Readonly<Record<string, string | undefined>>;
  requestId: string;
  /** Aborted when the client is gone or the route's time is over. */
  signal: AbortSignal;
};

/** How true `X-Cache` is: what the cache says of this very answer. */
export type CacheWord = 'HIT' | 'MISS' | 'STALE' | 'BYPASS';

/** What a route answers. The frame makes headers, ETag, 304, `fields`, gzip and times of it. */
export type Reply = {
  status: number;
  /** Becomes JSON; dates become ISO 8601 text. */
  body?: unknown;
  /** By lower-case name, besides what the frame sets. */
  headers?: Readonly<Record<string, string>>;
  /** The version of the thing, without quotes, such as its generation; without it a GET gets a digest of its body. */
  etag?: string;
  cache?: CacheWord;
  /** Instead of `body`: something that is no JSON, such as a page. */
  content?: { type: string; text: string; headers?: Readonly<Record<string, string>> };
  /** Instead of `body`: sent piece by piece, never compressed. It must end by itself, and at once when `signal` is aborted. */
  stream?: { type: string; pieces: AsyncIterable<string> };
};

/** What stands in the OpenAPI document for a status. */
export type ResponseOf = {
  description: string;
  /** Of the body; without it there is none. */
  schema?: GenericSchema;
  /** Must pass the schema; a check sees to it. */
  example?: unknown;
  /** Other than application/json. */
  type?: string;
  /** Headers that are special to it: name and what it says. */
  headers?: Readonly<Record<string, string>>;
};

/** A route as the frame and the OpenAPI document see it. */
export type Route = {
  method: Method;
  /** Such as `/v1/instances/{id}`. Every name in braces is an entry of `params`. */
  path: string;
  /** camelCase, unique: clients are generated from it. */
  operationId: string;
  summary: string;
  /** `anyone`: no credentials are looked at. */
  scope: Scope | 'anyone';
  /** Which rate limit it counts against. On routes for anyone only: `attempt`, by the address, or `none`. */
  limit: 'read' | 'write' | 'export' | 'attempt' | 'none';
  /** It takes data or service away: refused to the role support. */
  destroys?: boolean;
  /** Object schemas; unknown names are refused. Of query and params all input is text. */
  params?: GenericSchema;
  query?: GenericSchema;
  body?: GenericSchema;
  /** Must pass `body`. */
  bodyExample?: unknown;
  /** Header parameters for the document: name and what it does. */
  takes?: Readonly<Record<string, string>>;
  /** What `fields=` may choose from: names of the body, or of each of its `items`. */
  fields?: { of: 'body' | 'items'; names: readonly string[] };
  responses: Readonly<Record<number, ResponseOf>>;
  /** Longer, and the caller gets 503. Default 10,000 ms. Does not limit a stream. */
  deadlineMs?: number;
  /** @throws Failure, which becomes problem details by `problem.ts`. */
  handle(call: Call): Promise<Reply>;
};

type Parsed<Schema> = Schema extends GenericSchema ? InferOutput<Schema> : undefined;

/** Gives `handle` the types of the route's own schemas. */
export function route<
  const Params extends GenericSchema | undefined = undefined,
  const Query extends GenericSchema | undefined = undefined,
  const Body extends GenericSchema | undefined = undefined,
>(
  definition: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    params?: Params;
    query?: Query;
    body?: Body;
    handle(call: Call<Parsed<Params>, Parsed<Query>, Parsed<Body>>): Promise<Reply>;
  },
): Route {
  // the frame parses with these very schemas before it calls
  return definition as unknown as Route;
}

/** Who asks on a route for anyone. */
export const nobody: Principal = { kind: 'user', id: 'nobody', role: 'customer', customerId: '', scopes: [] };
