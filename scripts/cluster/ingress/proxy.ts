import { lookup as resolve } from 'node:dns';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { LookupFunction } from 'node:net';
import { type Path, pickSplit, type Split, type Table } from './table.ts';

/** Answered without a look at the table: for the kubelet. */
const readyPath = '/-/ready';

/** A connection that is kept would stay with the activator, or with a pod that is going away. */
const agent = new Agent({ keepAlive: false });

/** Sends each request to a Service of the split that its host names. HTTP/1.1 without TLS, websockets and gRPC. */
export function openProxy({ table, port }: { table: Table; port: number }): Server {
  const lookup = rememberingLookup(3000);
  const server = createServer((incoming, outgoing) => {
    const path = table.find(incoming.headers.host ?? '', { url: incoming.url ?? '/', headers: incoming.headers });
    const split = path === undefined ? undefined : pickSplit(path.splits, Math.random());
    if (path === undefined || split === undefined) {
      outgoing.writeHead(incoming.url === readyPath ? 200 : 404).end();
      return;
    }
    forward(incoming, outgoing, { path, split, lookup });
  });
  // Knative's own timeouts decide.
  server.requestTimeout = 0;
  return server.listen(port);
}

function forward(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { path, split, lookup }: { path: Path; split: Split; lookup: LookupFunction },
): void {
  // With the dot at the end the search domains are not asked first.
  const host = `${split.serviceName}.${split.serviceNamespace}.svc.cluster.local.`;
  const upstream = request({
    agent,
    lookup,
    host,
    port: split.servicePort,
    ...(incoming.method === undefined ? {} : { method: incoming.method }),
    ...(incoming.url === undefined ? {} : { path: incoming.url }),
    headers: headersFor(incoming, { path, split }),
  });
  upstream.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
    // A half answer must not look like a whole one.
    answer.on('error', () => outgoing.destroy());
  });
  upstream.on('error', (error) => {
    console.error(`${host}: ${error.message}`);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(503).end();
  });
  outgoing.on('close', () => upstream.destroy());
  incoming.pipe(upstream);
}

function headersFor(incoming: IncomingMessage, { path, split }: { path: Path; split: Split }) {
  const added = Object.entries({ ...path.appendHeaders, ...split.appendHeaders });
  const before = incoming.headers['x-forwarded-for'];
  const client = incoming.socket.remoteAddress;
  return {
    ...incoming.headers,
    ...(path.rewriteHost === undefined ? {} : { host: path.rewriteHost }),
    'x-forwarded-for': [before, client].filter(Boolean).join(', '),
    ...Object.fromEntries(added.map(([name, value]) => [name.toLowerCase(), value])),
  };
}

/** A Service keeps its address while it lives, so a name need not be looked up for each request. */
function rememberingLookup(keptMs: number): LookupFunction {
  const known = new Map<string, { address: string; untilMs: number }>();
  return (name, { all }, callback) => {
    const answer = (address: string) => {
      if (all) callback(null, [{ address, family: 4 }]);
      else callback(null, address, 4);
    };
    const entry = known.get(name);
    if (entry !== undefined && entry.untilMs > performance.now()) {
      answer(entry.address);
      return;
    }
    resolve(name, { family: 4 }, (error, address) => {
      if (error !== null) {
        callback(error, '');
        return;
      }
      known.set(name, { address, untilMs: performance.now() + keptMs });
      answer(address);
    });
  };
}
