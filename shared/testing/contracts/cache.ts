import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Cache, CacheResult } from '#shared/domain/cache/cache.ts';

export type OpenedCache = { cache: Cache; results: CacheResult[]; close(): void };

/** What every cache promises. `open` gives one process's view of the store; caches with one namespace share their entries. */
export function cacheContract(
  name: string,
  open: (options: { namespace: string; ttlMs: number; staleMs: number; localTtlMs: number }) => OpenedCache,
): void {
  describe(`${name} keeps the promises of a cache`, () => {
    let namespace: string;
    let opened: OpenedCache[];

    beforeEach(() => {
      namespace = randomBytes(6).toString('hex');
      opened = [];
    });
    afterEach(() => {
      for (const { close } of opened) close();
    });

    // Without copies of the process' own, unless a test is about those: what is shared shows only so.
    const start = (options: { ttlMs?: number; staleMs?: number; localTtlMs?: number } = {}) => {
      const cache = open({ namespace, ttlMs: 60_000, staleMs: 60_000, localTtlMs: 0, ...options });
      opened.push(cache);
      return cache;
    };

    it('loads once and gives the copy afterwards, in every process', async () => {
      const first = start();
      const second = start();
      const source = countingLoad({ name: 'shop' });
      expect(await first.cache.get('instance', 'a', source.load)).toEqual({ name: 'shop' });
      expect(await first.cache.get('instance', 'a', source.load)).toEqual({ name: 'shop' });
      expect(await second.cache.get('instance', 'a', source.load)).toEqual({ name: 'shop' });
      expect(source.loads).toBe(1);
      expect([...first.results, ...second.results]).toEqual(['miss', 'hit', 'hit']);
    });

    it('says of each read what became of it', async () => {
      const first = start({ localTtlMs: 60_000 });
      const read = () => first.cache.read('instance', 'a', async () => 'a value');
      expect([await read(), await read()]).toEqual([
        { value: 'a value', result: 'miss' },
        { value: 'a value', result: 'local' },
      ]);
      const second = start();
      expect((await second.cache.read('instance', 'a', async () => 'another')).result).toBe('hit');
    });

    it('keeps ids and kinds apart', async () => {
      const { cache } = start();
      await cache.get('instance', 'a', async () => 'an instance');
      expect(await cache.get('plan', 'a', async () => 'a plan')).toBe('a plan');
      expect(await cache.get('instance', 'a:b', async () => 'another')).toBe('another');
    });

    it('keeps nothing of what is not there', async () => {
      const { cache } = start();
      expect(await cache.get('instance', 'a', async () => undefined)).toBeUndefined();
      expect(await cache.get('instance', 'a', async () => 'now it is')).toBe('now it is');
    });

    it('passes on what the load throws, and loads anew', async () => {
      const { cache } = start();
      const broken = new Error('the source is down');
      await expect(cache.get('instance', 'a', () => Promise.reject(broken))).rejects.toBe(broken);
      expect(await cache.get('instance', 'a', async () => 'up again')).toBe('up again');
    });

    it('gives nobody an older value after an invalidation', async () => {
      const first = start();
      const second = start();
      await first.cache.get('instance', 'a', async () => 'old');
      await second.cache.invalidate('instance', 'a');
      expect(await first.cache.get('instance', 'a', async () => 'new')).toBe('new');
    });

    it('forgets one kind and leaves the others', async () => {
      const { cache } = start();
      await cache.get('plan', 'a', async () => 'old');
      await cache.get('plan', 'b', async () => 'old');
      await cache.get('image', 'a', async () => 'old');
      await cache.invalidateKind('plan');
      expect(await cache.get('plan', 'a', async () => 'new')).toBe('new');
      expect(await cache.get('plan', 'b', async () => 'new')).toBe('new');
      expect(await cache.get('image', 'a', async () => 'new')).toBe('old');
    });

    it.each(['invalidate', 'invalidateKind'] as const)(
      'does not keep a value that was loaded before the change and comes after %s',
      async (method) => {
        const reader = start();
        const writer = start();
        await writer.cache.get('instance', 'another', async () => 'so that the kind is known');
        const gate = openGate();
        const reading = reader.cache.get('instance', 'a', async () => {
          await gate.opened;
          return 'old';
        });
        await gate.waiting;
        await writer.cache[method]('instance', 'a');
        expect(await reader.cache.get('instance', 'a', async () => 'new')).toBe('new');
        gate.open();
        expect(await reading).toBe('old');
        expect(await reader.cache.get('instance', 'a', async () => 'never asked')).toBe('new');
      },
    );

    it('loads once for a hundred callers at a time', async () => {
      const { cache } = start();
      const source = countingLoad('value', () => passed(50));
      const all = Array.from({ length: 100 }, () => cache.get('instance', 'a', source.load));
      expect(new Set(await Promise.all(all))).toEqual(new Set(['value']));
      expect(source.loads).toBe(1);
    });

    it('loads once for many processes at a time', async () => {
      const caches = Array.from({ length: 5 }, () => start());
      const source = countingLoad('value', () => passed(100));
      const all = caches.flatMap(({ cache }) => [1, 2, 3].map(() => cache.get('instance', 'a', source.load)));
      expect(new Set(await Promise.all(all))).toEqual(new Set(['value']));
      expect(source.loads).toBe(1);
    });

    it('does not wait for ever for a process that died while it loaded', async () => {
      const dead = start();
      const alive = start();
      const gate = openGate();
      const never = dead.cache.get('instance', 'a', () => gate.opened.then(() => 'late'));
      await gate.waiting;
      expect(await alive.cache.get('instance', 'a', async () => 'value')).toBe('value');
      gate.open();
      await never;
    });

    it('gives a stale copy at once and renews it within the request', async () => {
      const { cache, results } = start({ ttlMs: 1, staleMs: 60_000 });
      await cache.get('instance', 'a', async () => 'old');
      await expect
        .poll(async () => (await cache.get('instance', 'a', async () => 'new'), results.at(-1)), { timeout: 15_000 })
        .toBe('stale');
      await cache.settle(5_000);
      expect(await cache.get('instance', 'a', async () => 'newer')).toBe('new');
      await cache.settle(5_000);
    });

    it('lets one of many renew a stale copy', async () => {
      const caches = Array.from({ length: 5 }, () => start({ ttlMs: 1, staleMs: 60_000 }));
      await caches[0]?.cache.get('instance', 'a', async () => 'old');
      await passed(5);
      // as long as all have asked: who asks later finds what was renewed
      const gate = openGate();
      const source = countingLoad('new', () => gate.opened);
      const all = caches.map(({ cache }) => cache.get('instance', 'a', source.load));
      expect(new Set(await Promise.all(all))).toEqual(new Set(['old']));
      gate.open();
      for (const { cache } of caches) await cache.settle(5_000);
      expect(source.loads).toBe(1);
    });

    it('settles in the time it is given, though a renewal hangs, and a failing one harms nobody', async () => {
      const { cache } = start({ ttlMs: 1, staleMs: 60_000 });
      await cache.get('instance', 'a', async () => 'old');
      await cache.get('instance', 'b', async () => 'old');
      await passed(5);
      const gate = openGate();
      await cache.get('instance', 'a', () => gate.opened.then(() => 'new'));
      expect(await cache.get('instance', 'b', () => Promise.reject(new Error('down')))).toBe('old');
      const begun = performance.now();
      await cache.settle(100);
      expect(performance.now() - begun).toBeLessThan(30_000);
      gate.open();
      await cache.settle(5_000);
    });

    describe('with copies of the process’ own', () => {
      const localTtlMs = 30_000;

      it('gives them without asking anybody, and to each caller one of his own', async () => {
        const { cache, results } = start({ localTtlMs });
        await cache.get('instance', 'a', async () => ({ list: [1] }));
        const mine = await cache.get<{ list: number[] }>('instance', 'a', async () => undefined);
        mine?.list.push(2);
        expect(await cache.get('instance', 'a', async () => undefined)).toEqual({ list: [1] });
        expect(results).toEqual(['miss', 'local', 'local']);
      });

      it.each(['invalidate', 'invalidateKind'] as const)(
        'gives no older value from the call of %s on, before it has been answered',
        async (method) => {
          const { cache } = start({ localTtlMs });
          await cache.get('instance', 'a', async () => 'old');
          await cache.get('instance', 'a', async () => 'old');
          const telling = cache[method]('instance', 'a');
          expect(await cache.get('instance', 'a', async () => 'new')).toBe('new');
          await telling;
          expect(await cache.get('instance', 'a', async () => 'new')).toBe('new');
        },
      );

      it('keeps none of a value that was being loaded when it changed', async () => {
        const { cache } = start({ localTtlMs });
        await cache.get('instance', 'another', async () => 'so that the kind is known');
        const gate = openGate();
        const reading = cache.get('instance', 'a', () => gate.opened.then(() => 'old'));
        await gate.waiting;
        await cache.invalidate('instance', 'a');
        gate.open();
        expect(await reading).toBe('old');
        expect(await cache.get('instance', 'a', async () => 'new')).toBe('new');
      });

      it('gives what another process has changed for their time and no longer', async () => {
        const localTtlMs = 2_000;
        const reader = start({ localTtlMs });
        const writer = start({ localTtlMs });
        await reader.cache.get('instance', 'a', async () => 'old');
        await writer.cache.invalidate('instance', 'a');
        const changedAt = performance.now();
        expect(await reader.cache.get('instance', 'a', async () => 'new')).toBe('old');
        for (let isOld = true; isOld; ) {
          await passed(5);
          const askedAt = performance.now();
          isOld = (await reader.cache.get('instance', 'a', async () => 'new')) === 'old';
          if (isOld) expect(askedAt - changedAt).toBeLessThanOrEqual(localTtlMs);
        }
      });

      it('keeps none beyond the time for which the value is fresh', async () => {
        const { cache, results } = start({ localTtlMs, ttlMs: 1 });
        await cache.get('instance', 'a', async () => 'old');
        await passed(5);
        const word = async () => {
          await cache.get('instance', 'a', async () => 'new');
          return results.at(-1);
        };
        // a busy Redis stores it later than it is told to
        await expect.poll(word, { timeout: 15_000 }).toBe('stale');
        expect(results).not.toContain('local');
        await cache.settle(5_000);
      });
    });
  });
}

function countingLoad<T>(value: T, loading: () => Promise<void> = async () => undefined) {
  const source = {
    loads: 0,
    async load(): Promise<T> {
      source.loads += 1;
      await loading();
      return value;
    },
  };
  return source;
}

/** The time itself is the condition here: an age, or the length of a load. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** `waiting` resolves when somebody waits at the gate. */
function openGate() {
  const waiting = Promise.withResolvers<void>();
  const opening = Promise.withResolvers<void>();
  return {
    waiting: waiting.promise,
    get opened() {
      waiting.resolve();
      return opening.promise;
    },
    open: () => opening.resolve(),
  };
}
