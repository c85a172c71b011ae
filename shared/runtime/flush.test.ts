import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { flusher } from './flush.ts';

let warnings: string[];
let begun: { withinMs: number; end(failed?: number): void }[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  [warnings, begun] = [[], []];
});
afterEach(() => vi.useRealTimers());

const log = { warn: (_fields: unknown, text?: string) => void warnings.push(String(text)) };

/** One whose runs end when the test says so. */
function open() {
  return flusher({
    send: ({ withinMs }) =>
      new Promise((resolve) => {
        begun.push({ withinMs, end: (failed = 0) => resolve({ failed }) });
      }),
    log,
  });
}

/** Has it come to its end by now? */
async function isOver(flushed: Promise<void>): Promise<boolean> {
  return await Promise.race([flushed.then(() => true), vi.advanceTimersByTimeAsync(0).then(() => false)]);
}

describe('a flush', () => {
  it('waits for what it sends, and leaves of its two seconds something for noting it', async () => {
    const flush = open();
    const flushed = flush();
    expect(begun).toMatchObject([{ withinMs: 1_600 }]);
    expect(await isOver(flushed)).toBe(false);
    begun[0]?.end(3);
    await flushed;
    expect(warnings).toEqual(['the broker did not take all events; the tick sends them']);
  });

  it('that is asked for during another one has a run after it, together with all who ask meanwhile', async () => {
    const flush = open();
    const asked = [flush(), flush(), flush()];
    expect(begun).toHaveLength(1);
    begun[0]?.end();
    await asked[0];
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toHaveLength(2);
    begun[1]?.end();
    await Promise.all(asked);
    expect(begun).toHaveLength(2);
  });

  it('behind another one has what is left of its time, and none when nothing is left', async () => {
    const flush = open();
    const first = flush();
    await vi.advanceTimersByTimeAsync(500);
    const second = flush();
    await vi.advanceTimersByTimeAsync(1_000);
    begun[0]?.end();
    await first;
    await vi.advanceTimersByTimeAsync(0);
    expect(begun[1]?.withinMs).toBe(800);
    begun[1]?.end();
    await second;
    const [third, fourth] = [flush(), flush()];
    await vi.advanceTimersByTimeAsync(2_000);
    await Promise.all([third, fourth]);
    begun[2]?.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toHaveLength(3);
  });

  it('is not begun in the last moments of its time', async () => {
    const flush = open();
    const first = flush();
    await vi.advanceTimersByTimeAsync(20);
    const second = flush();
    await vi.advanceTimersByTimeAsync(1_900);
    begun[0]?.end();
    await Promise.all([first, second]);
    expect(begun).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  it('has the time of the last who asked for it', async () => {
    const flush = open();
    const first = flush();
    await vi.advanceTimersByTimeAsync(20);
    const second = flush();
    await vi.advanceTimersByTimeAsync(1_880);
    const third = flush();
    begun[0]?.end();
    await first;
    await vi.advanceTimersByTimeAsync(0);
    expect(begun[1]?.withinMs).toBe(1_600);
    begun[1]?.end();
    await Promise.all([second, third]);
  });

  it('that hangs keeps nobody longer than two seconds, and the next one begins once it is over', async () => {
    const flush = open();
    const first = flush();
    await vi.advanceTimersByTimeAsync(1_999);
    expect(await isOver(first)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await isOver(first)).toBe(true);
    expect(warnings).toEqual(['flushing the outbox takes too long; the tick does it']);
    begun[0]?.end();
    await vi.advanceTimersByTimeAsync(0);
    void flush();
    expect(begun).toHaveLength(2);
  });

  it('that fails is nobody’s failure', async () => {
    const flush = flusher({ send: () => Promise.reject(new Error('down')), log });
    await flush();
    await flush();
    expect(warnings).toEqual(Array(2).fill('the outbox could not be flushed; the tick does it'));
  });
});
