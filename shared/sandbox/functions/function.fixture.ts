// A function for the tests of its host. What it does is in the path: it takes `ms`, or until the file `until` is there.
import { existsSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const { PORT, NEVER_READY, EXIT_AT_ONCE } = process.env;
if (EXIT_AT_ONCE !== undefined) {
  process.stderr.write('told to end at once\n');
  process.exit(3);
}

let isStopping = false;

const server = createServer((request, response) => void handle(request, response));

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/readyz') return void response.writeHead(NEVER_READY === undefined ? 200 : 503).end();
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  if (url.pathname === '/crash') process.exit(1);
  await sleep(Number(url.searchParams.get('ms') ?? 0));
  const until = url.searchParams.get('until');
  while (until !== null && !existsSync(until)) await sleep(10);
  const body = Buffer.concat(chunks).toString();
  const { method, headers } = request;
  if (isStopping) response.setHeader('connection', 'close');
  response.writeHead(url.pathname === '/refuse' ? 422 : 200, { 'x-outcome': 'shown' });
  response.end(JSON.stringify({ pid: process.pid, path: request.url, method, headers, body, env: process.env }));
}
server.listen(Number(PORT), '127.0.0.1');
process.on('SIGTERM', () => {
  isStopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
