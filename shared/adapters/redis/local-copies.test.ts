import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openLocalCopies } from './local-copies.ts';

function open(options: { maxEntries?: number; ttlMs?: number } = {}) {
  const clock = { ms: 0 };
  const copies = openLocalCopies({ maxEntries: 3, ttlMs: 100, now: () => clock.ms, ...options });
  const keep = (key: string, value: unknown, freshForMs = 1_000) =>
    copies.fill(copies.reserve(key), JSON.stringify(value), { freshForMs });
  return { copies, clock, keep };
}

describe('copies in memory', () => {
  it('are given until their time is over', () => {
    const { copies, clock, keep } = open();
    keep('a', { n: 1 });
    clock.ms = 99;
    expect(copies.find('a')).toEqual({ value: { n: 1 } });
    clock.ms = 100;
    expect(copies.find('a')).toBeUndefined();
  });

  it('are not given for longer than the value was fresh', () => {
    const { copies, clock, keep } = open();
    keep('a', 1, 10);
    clock.ms = 10;
    expect(copies.find('a')).toBeUndefined();
  });

  it('age from the moment at which somebody began to read', () => {
    const { copies, clock } = open();
    const place = copies.reserve('a');
    clock.ms = 90;
    copies.fill(place, '1', { freshForMs: 1_000 });
    clock.ms = 101;
    expect(copies.find('a')).toBeUndefined();
  });

  it('of a value that was read before it was forgotten are not kept', () => {
    const { copies } = open();
    const [early, early2] = [copies.reserve('a'), copies.reserve('a')];
    copies.forget('a');
    const late = copies.reserve('a');
    copies.fill(early, '"old"', { freshForMs: 1_000 });
    copies.fill(early2, '"old"', { freshForMs: 1_000 });
    expect(copies.find('a')).toBeUndefined();
    copies.fill(late, '"new"', { freshForMs: 1_000 });
    copies.fill(early, '"old"', { freshForMs: 1_000 });
    expect(copies.find('a')).toEqual({ value: 'new' });
  });

  it('are forgotten by the beginning of their keys', () => {
    const { copies, keep } = open();
    keep('plan:a', 1);
    keep('plan:b', 1);
    keep('image:a', 1);
    copies.forgetAll('plan:');
    expect(['plan:a', 'plan:b', 'image:a'].map((key) => copies.find(key) !== undefined)).toEqual([false, false, true]);
  });

  it('give way to others when there are too many: what was used last stays', () => {
    const { copies, keep } = open();
    for (const key of ['a', 'b', 'c']) keep(key, key);
    copies.find('a');
    keep('d', 'd');
    expect(['a', 'b', 'c', 'd'].filter((key) => copies.find(key) !== undefined)).toEqual(['a', 'c', 'd']);
  });

  it('belong to whoever was given them', () => {
    const { copies, keep } = open();
    keep('a', { list: [1] });
    const { value } = copies.find('a') as { value: { list: number[] } };
    value.list.push(2);
    expect(copies.find('a')).toEqual({ value: { list: [1] } });
  });

  it('are none when nothing is to be kept', () => {
    const { copies, keep } = open({ ttlMs: 0 });
    keep('a', 1);
    expect(copies.find('a')).toBeUndefined();
  });

  it('never give what was read before the last change, whatever the order of reading, changing and time', () => {
    const step = fc.record({
      what: fc.constantFrom('begin', 'end', 'change', 'wait'),
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { copies, clock } = open();
        const source: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
        const reading: { place: ReturnType<typeof copies.reserve>; value: number | undefined }[] = [];
        for (const { what, key, pick } of steps) {
          if (what === 'begin') reading.push({ place: copies.reserve(key), value: source[key] });
          if (what === 'end' && reading.length > 0) {
            const [one] = reading.splice(pick % reading.length, 1);
            if (one) copies.fill(one.place, JSON.stringify(one.value), { freshForMs: 1_000 });
          }
          if (what === 'change') {
            source[key] = (source[key] ?? 0) + 1;
            copies.forget(key);
          }
          if (what === 'wait') clock.ms += pick % 60;
          const found = copies.find(key);
          if (found !== undefined) expect(found.value).toBe(source[key]);
        }
      }),
    );
  });
});
