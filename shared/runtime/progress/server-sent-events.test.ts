import { afterEach, describe, expect, test, vi } from 'vitest';
import { progressEvents, progressId } from './server-sent-events.ts';
import { openWatch, type Progress } from './watch.ts';

const queued: Progress = { id: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', state: 'queued' };
const owner = 'c-1';

afterEach(() => {
  vi.useRealTimers();
});

async function all(pieces: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const piece of pieces) found.push(piece);
  return found;
}

describe('a stream of progress', () => {
  test('sends something now and then while nothing changes, and is over when its time is', async () => {
    const watch = openWatch({ read: async () => [queued], pollMs: 1 });
    const options = { id: queued.id, owner, lastEventId: progressId(queued), signals: [], heartbeatMs: 5, maxMs: 50 };
    const pieces = await all(progressEvents(watch, options));
    expect(pieces[0]).toMatch(/^retry: /);
    expect(new Set(pieces.slice(1))).toEqual(new Set([': still here\n\n']));
  });

  test('is over at once when its reader is gone, and makes room for another', async () => {
    const gone = new AbortController();
    const watch = openWatch({ read: async () => [queued], pollMs: 1, maxWatchers: 1 });
    const pieces = progressEvents(watch, { id: queued.id, owner, lastEventId: undefined, signals: [gone.signal] });
    await pieces.next();
    expect((await pieces.next()).value).toMatch(/^event: progress\nid: \S{16}\ndata: \{/);
    gone.abort();
    expect((await pieces.next()).done).toBe(true);
    watch.watch(queued.id, owner, () => undefined)();
  });

  test('makes room when its reader goes away while nothing is read, or before it began', async () => {
    const gone = new AbortController();
    const watch = openWatch({ read: async () => [queued], pollMs: 1, maxWatchers: 1 });
    const options = { id: queued.id, owner, lastEventId: undefined, signals: [gone.signal] };
    await progressEvents(watch, options).next();
    expect(() => watch.watch(queued.id, owner, () => undefined)).toThrow(/Too many/);
    gone.abort();
    watch.watch(queued.id, owner, () => undefined)();
    await progressEvents(watch, options).next();
    watch.watch(queued.id, owner, () => undefined)();
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
    const pieces = await all(progressEvents(watch, { id: queued.id, owner, lastEventId: undefined, signals: [] }));
    expect(pieces.at(-1)).toMatch(/^event: end\n/);
  });
});

describe('watching', () => {
  test.each([{ maxWatchers: 1 }, { maxPerOwner: 1 }])('is refused to one too many (%o)', (limits) => {
    const watch = openWatch({ read: async () => [], ...limits });
    const stop = watch.watch(queued.id, owner, () => undefined);
    expect(() => watch.watch(queued.id, owner, () => undefined)).toThrow(/Too many follow operations/);
    stop();
    watch.watch(queued.id, owner, () => undefined)();
  });

  test('of many asks once for all of them', async () => {
    const asked: (readonly string[])[] = [];
    const watch = openWatch({ read: async (ids) => (asked.push(ids), [queued]), pollMs: 1 });
    await new Promise<void>((resolve) => {
      const stops = [1, 2, 3].map((n) =>
        watch.watch(queued.id, owner, () => n === 3 && (stops.forEach((stop) => stop()), resolve())),
      );
    });
    expect(asked).toEqual([[queued.id]]);
  });

  test('looks once at a time, however many leave and join during a look', async () => {
    vi.useFakeTimers();
    const looks: PromiseWithResolvers<Progress[]>[] = [];
    const read = (): Promise<Progress[]> => {
      const look = Promise.withResolvers<Progress[]>();
      looks.push(look);
      return look.promise;
    };
    const watch = openWatch({ read, pollMs: 10 });
    let stop = watch.watch(queued.id, owner, () => undefined);
    await vi.advanceTimersByTimeAsync(1);
    for (let time = 0; time < 5; time += 1) {
      stop();
      stop = watch.watch(queued.id, owner, () => undefined);
      await vi.advanceTimersByTimeAsync(1);
    }
    expect(looks).toHaveLength(1);
    looks[0]?.resolve([queued]);
    await vi.advanceTimersByTimeAsync(100);
    expect(looks).toHaveLength(2);
    stop();
    looks[1]?.resolve([queued]);
    await vi.advanceTimersByTimeAsync(100);
    expect(looks).toHaveLength(2);
  });
});
