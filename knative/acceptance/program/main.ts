import { createServer, type IncomingMessage, request as overHttp, type ServerResponse } from 'node:http';
import { request as overTls } from 'node:https';
import { buffer, text } from 'node:stream/consumers';

// The only program of the acceptance tests. It needs nothing but Node, so that its image is this folder.
//   /answer/<base64url of JSON>   notes the event and answers as told: a status with body and headers, "reset", "silence"
//   /note/<anything>              notes the event and answers 204
//   /records                      what was noted, as JSON
//   /relay                        makes the request that the body describes, from inside the cluster
//   anything else                 GET: 200; POST: 204, after the event was noted at NOTES when that is set

type Noted = { atMs: number; method: string; path: string; headers: Record<string, unknown>; body: string };
type Scripted = { status: number; body?: string; headers?: Record<string, string> } | 'reset' | 'silence';
type Relayed = { url: string; method: string; headers: Record<string, string>; body?: string; timeoutMs: number };

const noted: Noted[] = [];

const server = createServer((incoming, outgoing) => {
  handle(incoming, outgoing).catch((error: Error) => {
    process.stderr.write(`${error.message}\n`);
    outgoing.destroy();
  });
});

async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = 'GET', url: path = '/', headers } = incoming;
  const body = await text(incoming);
  const note = () => noted.push({ atMs: Date.now(), method, path, headers, body });
  const [, first, rest = ''] = path.split('/');
  if (first === 'records') {
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(noted));
    return;
  }
  if (first === 'relay') {
    const answer = await relay(JSON.parse(body) as Relayed);
    outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    return;
  }
  if (first === 'answer') {
    note();
    act(JSON.parse(Buffer.from(rest, 'base64url').toString()) as Scripted, outgoing);
    return;
  }
  if (first === 'note' || first === 'elsewhere') note();
  const notes = process.env['NOTES'];
  if (method === 'POST' && notes !== undefined) await passOn(notes, { headers, body });
  // A redirect leads to /elsewhere, where a body would be one that is no event.
  if (method === 'GET' && first !== 'elsewhere')
    outgoing.writeHead(200).end(`hello from ${process.env['K_REVISION'] ?? 'a pod'}\n`);
  else outgoing.writeHead(204).end();
}

function act(scripted: Scripted, outgoing: ServerResponse): void {
  if (scripted === 'silence') return;
  if (scripted === 'reset') outgoing.socket?.resetAndDestroy();
  else outgoing.writeHead(scripted.status, scripted.headers).end(scripted.body);
}

function passOn(
  url: string,
  { headers, body }: { headers: IncomingMessage['headers']; body: string },
): Promise<unknown> {
  const attributes = Object.entries(headers).filter(([name]) => name.startsWith('ce-'));
  const all = { ...Object.fromEntries(attributes), 'content-type': 'application/json' } as Record<string, string>;
  return relay({ url, method: 'POST', headers: all, body, timeoutMs: 5_000 });
}

/** The answer, or the code of what went wrong. */
function relay({ url, method, headers, body, timeoutMs }: Relayed): Promise<object> {
  return new Promise((resolve) => {
    const request = url.startsWith('https:') ? overTls : overHttp;
    const outgoing = request(url, { method, headers, signal: AbortSignal.timeout(timeoutMs) });
    outgoing.once('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }));
    outgoing.once('response', (answer) => {
      buffer(answer).then(
        (content) => resolve({ status: answer.statusCode, headers: answer.headers, body: content.toString() }),
        (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }),
      );
    });
    outgoing.end(body);
  });
}

server.listen(Number(process.env['PORT'] ?? 8080));
// Node is the pod's first process and would ignore SIGTERM.
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
