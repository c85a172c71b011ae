import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { contextOf, currentContext, runInContext, sampleBy } from '#shared/adapters/tracing/request-context.ts';
import { type FinishedSpan, flushSpans, inSpan, recordSpansTo } from '#shared/adapters/tracing/spans.ts';
import { Failure } from '#shared/domain/failure.ts';
import { knownSecrets } from './known-secrets.ts';
import type { SpanExporter } from './otlp.ts';
import { samplerOf, spanRecorder } from './tracing.ts';

afterEach(() => {
  vi.useRealTimers();
  recordSpansTo(undefined);
  sampleBy(() => true);
});

function world(send: (spans: readonly FinishedSpan[]) => Promise<void>, { timeoutMs = 250 } = {}) {
  const registry = new Registry();
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  let now = 0;
  const exporter: SpanExporter = { send, close: async () => undefined };
  recordSpansTo(spanRecorder(Promise.resolve(exporter), { log, registry, timeoutMs, clock: () => now }));
  return {
    lines,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    dropped: async () => Number(/dropped_total (\d+)/.exec(await registry.metrics())?.[1]),
  };
}

/** A request that does one thing. */
const handle = (traceparent?: string) =>
  runInContext(contextOf(traceparent === undefined ? {} : { traceparent }), async () => {
    await inSpan({ name: 'a step', attributes: { a: 1 } }, async (note) => note({ b: 2 }));
    await flushSpans();
  });

describe('spans', () => {
  test('are below what called them, and what is called is below them', async () => {
    const taken: FinishedSpan[] = [];
    world(async (spans) => void taken.push(...spans));
    const root = contextOf({});
    const seen = await runInContext(root, async () => {
      const inner = await inSpan({ name: 'outer' }, () =>
        inSpan({ name: 'inner' }, async () => currentContext()?.spanId),
      );
      await flushSpans();
      return inner;
    });
    expect(taken.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['inner', taken[1]?.spanId],
      ['outer', root.spanId],
    ]);
    expect(seen).toBe(taken[0]?.spanId);
    expect(new Set(taken.map(({ traceId }) => traceId))).toEqual(new Set([root.traceId]));
  });

  test('go to the trace the work belongs to, where that is another one, and link the request', async () => {
    const taken: FinishedSpan[] = [];
    world(async (spans) => void taken.push(...spans));
    const own = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: '01' };
    const tick = contextOf({});
    await runInContext(tick, async () => {
      await inSpan({ name: 'publish', under: own }, async () => {
        expect(currentContext()).toMatchObject({ traceId: own.traceId, requestId: tick.requestId });
      });
      await inSpan({ name: 'unrecorded', under: { ...own, traceFlags: '00' } }, async () => undefined);
      await flushSpans();
    });
    expect(taken).toMatchObject([
      { traceId: own.traceId, parentSpanId: own.spanId, links: [{ traceId: tick.traceId }] },
    ]);
  });

  test('say by which failure they ended, and no more of it', async () => {
    const taken: FinishedSpan[] = [];
    world(async (spans) => void taken.push(...spans));
    const work = inSpan.bind(undefined, { name: 'x' }, () =>
      Promise.reject(new Failure('timeout', 'owner@acme.example')),
    );
    await runInContext(contextOf({}), async () => {
      await expect(work()).rejects.toThrow('owner@acme.example');
      await flushSpans();
    });
    expect(taken[0]?.failure).toBe('timeout');
    expect(JSON.stringify(taken)).not.toContain('@');
  });

  test('blank a secret that got into an attribute', async () => {
    knownSecrets.add('a-very-secret-value-1');
    const taken: FinishedSpan[] = [];
    world(async (spans) => void taken.push(...spans));
    await runInContext(contextOf({}), async () => {
      await inSpan({ name: 'x', attributes: { object: 'a-very-secret-value-1' } }, async () => undefined);
      await flushSpans();
    });
    expect(JSON.stringify(taken)).not.toContain('a-very-secret-value-1');
  });

  test('are not made in a trace that is not recorded, nor without a recorder', async () => {
    const taken: FinishedSpan[] = [];
    world(async (spans) => void taken.push(...spans));
    await handle('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00');
    sampleBy(samplerOf({ tracesSampler: 'parentbased_always_off', tracesSamplerArg: 1 }));
    await handle();
    expect(taken).toEqual([]);
    await handle('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
    expect(taken).toHaveLength(1);
    recordSpansTo(undefined);
    await handle();
    expect(taken).toHaveLength(1);
  });
});

describe('a collector', () => {
  test('that never answers delays one event by a quarter of a second, and the next ones not at all', async () => {
    let calls = 0;
    const { dropped, lines, pass } = world(() => {
      calls += 1;
      return new Promise(() => undefined);
    });
    const began = performance.now();
    await handle();
    expect(performance.now() - began).toBeGreaterThan(200);
    expect(performance.now() - began).toBeLessThan(10_000);
    const again = performance.now();
    for (let n = 0; n < 50; n += 1) await handle();
    // a quarter of a second for each would be twelve
    expect(performance.now() - again).toBeLessThan(6_000);
    expect([calls, lines.length, await dropped()]).toEqual([1, 1, 51]);
    pass(10_001);
    await handle();
    expect(calls).toBe(2);
  });

  test('is waited for as long as it is given, and no longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { dropped } = world(() => new Promise(() => undefined), { timeoutMs: 5_000 });
    const handled = handle();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(await dropped()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await handled;
    expect(await dropped()).toBe(1);
  });

  test('that refuses fails no event and is tried again after a rest', async () => {
    let isUp = false;
    const taken: FinishedSpan[] = [];
    const { dropped, pass } = world(async (spans) => {
      if (!isUp) throw new Error('connection refused');
      taken.push(...spans);
    });
    await handle();
    isUp = true;
    await handle();
    expect([taken.length, await dropped()]).toEqual([0, 2]);
    pass(10_001);
    await handle();
    expect([taken.length, await dropped()]).toEqual([1, 2]);
  });

  test('gets all that has ended in one go', async () => {
    const batches: number[] = [];
    world(async (spans) => void batches.push(spans.length));
    await runInContext(contextOf({}), async () => {
      for (let n = 0; n < 3; n += 1) await inSpan({ name: 'x' }, async () => undefined);
      await flushSpans();
      await flushSpans();
    });
    expect(batches).toEqual([3]);
  });
});

test('a share of the traces is recorded, and the same ones by everybody', () => {
  const isRecorded = samplerOf({ tracesSampler: 'parentbased_traceidratio', tracesSamplerArg: 0.25 });
  const traces = Array.from({ length: 256 }, (_, n) => `${n.toString(16).padStart(2, '0')}${'0'.repeat(30)}`);
  expect(traces.filter(isRecorded)).toHaveLength(64);
  expect(samplerOf({ tracesSampler: 'parentbased_always_on', tracesSamplerArg: 0 })(traces[255] ?? '')).toBe(true);
});
