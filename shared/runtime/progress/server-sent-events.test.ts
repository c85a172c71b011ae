import { describe, expect, test } from 'vitest';
import type { OperationProgress } from '#shared/adapters/postgres/operation-progress.ts';
import { progressEvents, progressId } from './server-sent-events.ts';
import { openWatch } from './watch.ts';

const queued: OperationProgress = {
  id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
  kind: 'stop',
  instance: 'k3n5q2x7a4bc',
  state: 'queued',
  step: null,
  attempt: 1,
  waitingFor: null,
  progress: null,
  error: null,
};

async function all(pieces: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const piece of pieces) found.push(piece);
  return found;
}

describe('a stream of progress', () => {
  test('sends something now and then while nothing changes, and is over when its time is', async () => {
    const watch = openWatch({ read: async () => [queued], pollMs: 1 });
    const options = { lastEventId: progressId(queued), signals: [], heartbeatMs: 5, maxMs: 50 };
    const pieces = await all(progressEvents(watch, queued.id, options));
    expect(pieces[0]).toMatch(/^retry: /);
    expect(new Set(pieces.slice(1))).toEqual(new Set([': still here\n\n']));
  });

  test('is over at once when its reader is gone, and makes room for another', async () => {
    const gone = new AbortController();
    const watch = openWatch({ read: async () => [queued], pollMs: 1, maxWatchers: 1 });
    const pieces = progressEvents(watch, queued.id, { lastEventId: undefined, signals: [gone.signal] });
    await pieces.next();
    expect((await pieces.next()).value).toMatch(/^event: progress\nid: \S{16}\ndata: \{/);
    gone.abort();
    expect((await pieces.next()).done).toBe(true);
    watch.watch(queued.id, () => undefined)();
  });

  test('goes on over a look that fails', async () => {
    let looks = 0;
    const watch = openWatch({
      async read() {
        looks += 1;
        if (looks === 1) throw new Error('away');
        return [{ ...queued, state: 'succeeded' }];
      },
      pollMs: 1,
    });
    const pieces = await all(progressEvents(watch, queued.id, { lastEventId: undefined, signals: [] }));
    expect(pieces.at(-1)).toMatch(/^event: end\n/);
  });
});

describe('watching', () => {
  test('is refused to one too many', () => {
    const watch = openWatch({ read: async () => [], maxWatchers: 1 });
    const stop = watch.watch(queued.id, () => undefined);
    expect(() => watch.watch(queued.id, () => undefined)).toThrow(/watch operations already/);
    stop();
    watch.watch(queued.id, () => undefined)();
  });

  test('of many asks once for all of them', async () => {
    const asked: (readonly string[])[] = [];
    const watch = openWatch({ read: async (ids) => (asked.push(ids), [queued]), pollMs: 1 });
    await new Promise<void>((resolve) => {
      const stops = [1, 2, 3].map((n) =>
        watch.watch(queued.id, () => n === 3 && (stops.forEach((stop) => stop()), resolve())),
      );
    });
    expect(asked).toEqual([[queued.id]]);
  });
});
