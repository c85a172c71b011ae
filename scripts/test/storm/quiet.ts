import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Fleet } from '#shared/sandbox/fleet/start.ts';
import { type Moving, readMoving } from './moving.ts';
import { tellUnrest } from './unrest.ts';

/** What still moves, in numbers; all 0 when the fleet is at rest. */
export type MovingCounts = Readonly<Record<string, number>>;

/** How the fleet came to rest, or what it did instead: `unrest` is lines for people, empty when it rests. */
export type Quiet = { isQuiet: boolean; moving: MovingCounts; unrest: readonly string[]; seconds: number };

/** Twice in a row: what was at rest may have been between two steps. */
const looks = 2;
const everyMs = 2_000;

/** Waits until nothing moves any more, and says what still does after `timeoutMs`. */
export async function untilQuiet(
  fleet: Fleet,
  options: { timeoutMs: number; onLook: (moving: MovingCounts) => void },
): Promise<Quiet> {
  const startedAtMs = Date.now();
  let still = 0;
  for (;;) {
    const found = await lookAt(fleet);
    const moving = countsOf(found);
    options.onLook(moving);
    still = Object.values(moving).every((count) => count === 0) ? still + 1 : 0;
    const seconds = Math.round((Date.now() - startedAtMs) / 1_000);
    if (still === looks) return { isQuiet: true, moving, unrest: [], seconds };
    if (Date.now() - startedAtMs > options.timeoutMs) {
      return { isQuiet: false, moving, unrest: await tellUnrest(fleet.records, found), seconds };
    }
    await delay(everyMs);
  }
}

function countsOf(moving: Moving): MovingCounts {
  return Object.fromEntries(Object.entries(moving).map(([name, rows]) => [name, rows.length]));
}

async function lookAt(fleet: Fleet): Promise<Moving> {
  const moving = await readMoving(fleet.records);
  const spooled = await readdir(join(fleet.folder, 'object-store'), { recursive: true, withFileTypes: true }).catch(
    () => [],
  );
  const files = spooled.filter((entry) => entry.isFile()).map(({ name }) => ({ instance: null, what: name }));
  return { ...moving, 'spooled dead letters': files };
}
