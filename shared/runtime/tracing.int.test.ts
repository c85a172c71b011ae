import { execFile } from 'node:child_process';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import type { FinishedSpan } from '#shared/adapters/tracing/spans.ts';
import { openOtlpExporter, type SpanExporter } from './otlp.ts';

const run = promisify(execFile);
let server: Server | undefined;
let exporter: SpanExporter | undefined;

afterEach(async () => {
  await exporter?.close();
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
});

type Received = { headers: IncomingHttpHeaders; url: string | undefined; body: string };

/** A collector that answers with these statuses in turn, the last one for ever; 0 does not answer. */
async function startCollector(...statuses: number[]): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, url: request.url, body: Buffer.concat(chunks).toString() });
      const status = statuses[Math.min(received.length, statuses.length) - 1] ?? 200;
      if (status !== 0) response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server = collector;
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`, received };
}

const span: FinishedSpan = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: '00f067aa0ba902b7',
  traceFlags: '01',
  parentSpanId: 'b7ad6b7169203331',
  name: 'act scale-down',
  kind: 'client',
  startMs: 1_700_000_000_000.25,
  endMs: 1_700_000_000_010.5,
  attributes: { 'fleet.operation_kind': 'stop', 'http.response.status_code': 409 },
  failure: 'conflict',
  links: [{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: '01' }],
};

const open = async (url: string, { headers, timeoutMs = 10_000 }: { headers?: string; timeoutMs?: number } = {}) => {
  exporter = await openOtlpExporter({
    url,
    timeoutMs,
    serviceName: 'stop',
    ...(headers === undefined ? {} : { headers }),
  });
  return exporter;
};

it('tells a collector all of a span, as OpenTelemetry says it', async () => {
  const { url, received } = await startCollector(200);
  await (await open(url, { headers: 'api-key=a%20secret, x-scope=fleet' })).send([span]);
  const [{ headers, url: path, body } = { headers: {}, url: '', body: '' }] = received;
  expect(path).toBe('/v1/traces');
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'api-key': 'a secret', 'x-scope': 'fleet' });
  expect(JSON.parse(body)).toMatchObject({
    resourceSpans: [
      {
        resource: {
          attributes: expect.arrayContaining([{ key: 'service.name', value: { stringValue: 'stop' } }]) as unknown,
        },
        scopeSpans: [
          {
            spans: [
              {
                traceId: span.traceId,
                spanId: span.spanId,
                parentSpanId: span.parentSpanId,
                name: span.name,
                kind: 3,
                startTimeUnixNano: '1700000000000250000',
                endTimeUnixNano: '1700000000010500000',
                status: { code: 2, message: 'conflict' },
                links: [{ traceId: '4bf92f3577b34da6a3ce929d0e0e4736' }],
              },
            ],
          },
        ],
      },
    ],
  });
});

it.each([
  ['that refuses', 400],
  ['that is overloaded', 503],
  ['that does not answer', 0],
])('says that a collector %s did not take them, in time, and asks it again the next time', async (_, status) => {
  const { url, received } = await startCollector(status);
  // less than the exporter waits between two tries, and enough for a request to arrive
  const opened = await open(url, { timeoutMs: 700 });
  const began = performance.now();
  await expect(opened.send([span])).rejects.toThrow();
  expect(performance.now() - began).toBeLessThan(10_000);
  const after = received.length;
  await expect(opened.send([span])).rejects.toThrow();
  expect(received.length - after).toBeGreaterThan(0);
});

it('loads nothing of OpenTelemetry in a function without a collector', async () => {
  const platform = fileURLToPath(new URL('platform.ts', import.meta.url));
  const otlp = fileURLToPath(new URL('otlp.ts', import.meta.url));
  const script = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    // prom-client takes the types of OpenTelemetry's API with it, which is small
    const isTold = (url) => /@opentelemetry\\/(?!api\\/)/.test(url);
    registerHooks({ load: (url, context, next) => { if (isTold(url)) loaded.push(url); return next(url, context); } });
    await import(${JSON.stringify(platform)});
    const before = loaded.length;
    const { openOtlpExporter } = await import(${JSON.stringify(otlp)});
    await openOtlpExporter({ url: 'http://127.0.0.1:9/', timeoutMs: 1, serviceName: 'x' });
    console.log(JSON.stringify([before, loaded.length > 0]));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  expect(JSON.parse(stdout)).toEqual([0, true]);
});
