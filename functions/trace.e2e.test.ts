import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fleetOfThisFile, instanceIdOf, provisionRequest, until } from '#shared/testing/fleet.ts';

// A whole fleet whose functions send their spans to a collector on this machine.

type Attribute = { key: string; value: { stringValue?: string; intValue?: number; boolValue?: boolean } };
type Span = {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: Attribute[];
  service: string;
};
type Export = {
  resourceSpans: { resource: { attributes: Attribute[] }; scopeSpans: { spans: Omit<Span, 'service'>[] }[] }[];
};

const spans: Span[] = [];
const bodies: string[] = [];
let isHanging = false;

/** Takes OTLP over HTTP as a collector does. */
async function startCollector(): Promise<Server> {
  const server = createServer((request, response) => {
    if (isHanging) return;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      bodies.push(text);
      const { resourceSpans } = JSON.parse(text) as Export;
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? '';
        spans.push(...scopeSpans.flatMap((scope) => scope.spans).map((span) => ({ ...span, service })));
      }
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  // longer than an exporter keeps a connection: none is closed while a request is on its way
  server.keepAliveTimeout = 95_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const collector = await startCollector();
afterAll(() => {
  collector.closeAllConnections();
  collector.close();
});
const { port } = collector.address() as AddressInfo;
const fleet = fleetOfThisFile({
  functionSettings: {
    LOG_LEVEL: 'debug',
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    // the collector is this process, and every span counts
    OTEL_EXPORTER_OTLP_TIMEOUT: '10000',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  },
});

const traceId = '0af7651916cd43dd8448eb211c80319c';
const sender = 'b7ad6b7169203331';
const tracedRequest = (name: string, id: string, data: Record<string, unknown> = {}) => ({
  ...provisionRequest(name, data),
  attributes: { traceparent: `00-${id}-${sender}-01` },
});
const ofTrace = (id: string) => spans.filter((span) => span.traceId === id);

describe('one provisioning', () => {
  // with a module there is no template: a Job makes the database, and its end is reported by the cluster
  const event = tracedRequest('traced', traceId, { modules: ['crm'] });

  it('is one trace from the request to the answer, over waits, events and functions', async () => {
    await fleet().publish(event);
    await fleet().operationIn('succeeded', instanceIdOf(event));
    const names = () => [...new Set(ofTrace(traceId).map(({ name }) => name))];
    // each function sends its own, before its answer
    await expect
      .poll(names, { timeout: 60_000 })
      .toEqual(
        expect.arrayContaining([
          'process dev.odoofleet.instance.provision.requested',
          'process dev.odoofleet.operation.advance',
          'publish dev.odoofleet.instance.provision.accepted',
          'publish dev.odoofleet.instance.provisioned',
          'kubernetes POST jobs',
          'kubernetes POST deployments',
          'odoo GET /web/login',
          'odoo server, control connection',
          'platform transaction',
        ]),
      );
    expect(names().filter((name) => /^(look|act) /.test(name)).length).toBeGreaterThan(8);
  });

  it('hangs together: each span is below one that is there, or below the sender', async () => {
    const orphans = () => {
      const ids = new Set(ofTrace(traceId).map(({ spanId }) => spanId));
      return ofTrace(traceId).filter(({ parentSpanId = '' }) => parentSpanId !== sender && !ids.has(parentSpanId));
    };
    // a request's own span comes last, with its answer
    await until('the spans of all requests', async () => orphans().length === 0);
    const all = ofTrace(traceId);
    expect(new Set(all.map(({ spanId }) => spanId)).size).toBe(all.length);
    const roots = all.filter(({ parentSpanId }) => parentSpanId === sender);
    expect(roots.map(({ name }) => name)).toContain('process dev.odoofleet.instance.provision.requested');
    for (const { startTimeUnixNano, endTimeUnixNano } of all) {
      expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
    }
    const service = new Map(all.map((span) => [span.name, span.service]));
    expect(service.get('process dev.odoofleet.instance.provision.requested')).toBe('provision');
  });

  it('is kept by what it wrote into the outbox, and found in the log by its trace and span ids', async () => {
    const rows = await fleet().rows<{ traceparent: string }>(
      `select extensions ->> 'traceparent' as traceparent from outbox where subject = $1`,
      [instanceIdOf(event)],
    );
    expect(rows.length).toBeGreaterThan(1);
    for (const { traceparent } of rows) expect(traceparent).toContain(traceId);
    expect((await loggedSpans()).length).toBeGreaterThan(1);
    const unknown = async () => {
      const logged = await loggedSpans();
      const ids = new Set(ofTrace(traceId).map(({ spanId }) => spanId));
      return logged.filter((id) => !ids.has(id));
    };
    // a line is written when it happens, its span is sent with the answer
    await expect.poll(unknown, { timeout: 60_000 }).toEqual([]);
  });

  async function loggedSpans(): Promise<string[]> {
    const folder = join(fleet().folder, 'functions');
    const files = (await readdir(folder)).filter((name) => name.startsWith('provision'));
    const logs = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    // what comes after the last line end is being written
    const lines = logs.flatMap((text) => text.split('\n').slice(0, -1)).filter((line) => line.includes(traceId));
    return lines.map((line) => (JSON.parse(line) as { spanId: string }).spanId);
  }

  it('tells the collector no secret, no address of a person and nothing a person has written', async () => {
    const all = bodies.join('\n');
    expect(all).not.toContain('@');
    expect(all).not.toContain('traced.example');
    const values = fleet().secretsSeen.values();
    expect(values.length).toBeGreaterThan(3);
    for (const { value } of values) expect(all.includes(value)).toBe(false);
  });
});

describe('a collector that hangs', () => {
  it('keeps no event from being done', async () => {
    isHanging = true;
    const event = tracedRequest('patient', '4bf92f3577b34da6a3ce929d0e0e4736');
    const began = performance.now();
    const { status } = await fleet().deliver('provision', event);
    expect(status).toBe(204);
    await fleet().operationIn('succeeded', instanceIdOf(event));
    expect(performance.now() - began).toBeLessThan(100_000);
    const metrics = await (await fetch(`${fleet().functions.url('provision')}/metrics`)).text();
    expect(metrics).toMatch(/fleet_trace_spans_dropped_total\{function="provision"\} [1-9]/);
  });
});
