// The floor under a Kubernetes API: one Deployment and a list of them over TLS, ready as bytes. Counts its TLS connections.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { ensureIdentity } from '#shared/sandbox/kubernetes/certificates.ts';

const object = readFileSync(process.env['OBJECT_FILE'] ?? '');
const list = readFileSync(process.env['LIST_FILE'] ?? '');
const { key, certificate } = await ensureIdentity(process.env['IDENTITY_FOLDER'] ?? '');
let connections = 0;

createServer({ key, cert: certificate, keepAliveTimeout: 120_000 }, (request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'https://localhost');
  const body = pathname === '/connections' ? String(connections) : pathname.endsWith('/deployments') ? list : object;
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
})
  .on('secureConnection', () => {
    connections += 1;
  })
  .listen(Number(process.env['PORT']), '127.0.0.1');
