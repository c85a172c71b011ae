import { createServer } from 'node:http';

// The least a subscriber can do: it answers 204 and remembers when. `/received` tells.

const received: Record<string, number> = {};

const server = createServer((request, response) => {
  if (request.url === '/received') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(received));
    return;
  }
  request.resume().once('end', () => {
    const id = request.headers['ce-id'];
    if (typeof id === 'string') received[id] = performance.timeOrigin + performance.now();
    response.writeHead(204).end();
  });
});
// Above the 90 s for which Knative's proxies keep idle connections.
server.keepAliveTimeout = 95_000;
server.listen(Number(process.env['PORT'] ?? 8080));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
