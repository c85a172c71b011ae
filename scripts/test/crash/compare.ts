import { expect } from 'vitest';
import { until } from '#shared/testing/fleet.ts';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';
import { type CaseResult, inParallel, type Recovery, runCaseUntilKilled } from './case.ts';
import { type EndState, fleetProblems, forget, mendFleet } from './end-state.ts';
import { outboxPoints } from './life-points.ts';
import { printTable } from './table.ts';
import type { World } from './world.ts';

/** 1 tries every stop point, k every k-th. A test run takes a third of them; all are tried before a release. */
export const every = Number(process.env['CRASH_EVERY'] ?? 3);
/** The same for what comes after provisioning, whose points around external writes are tried whatever it says. */
export const everyOfLife = Number(process.env['CRASH_EVERY'] ?? 60);
/** Cases side by side. */
export const concurrency = Number(process.env['CRASH_CONCURRENCY'] ?? 8);

/** What an instance must have been left as, and which logins must work where it runs. */
export type Expected = { endState: EndState; logins: CaseResult['logins'] };

/** Crashes at every point, prints the table, and expects each end to be as wanted and nothing left over anywhere. */
export async function crashEverywhere(
  world: World,
  points: readonly PassedPoint[],
  options: {
    title: string;
    recovery: (point: PassedPoint) => Recovery;
    expected: (result: CaseResult) => Expected;
    /** All points of the run they are taken from: those of publishing another process may take over, which spares this one. */
    ofRun: readonly PassedPoint[];
    data?: Record<string, unknown>;
  },
): Promise<void> {
  const { data = {} } = options;
  const sparable = outboxPoints(options.ofRun);
  const wrong: { point: string; instanceId: string; why: string[] }[] = [];
  const results: CaseResult[] = [];
  await inParallel(points, concurrency, async (point) => {
    const told = (instanceId: string, why: string[]) =>
      wrong.push({ point: `${point.number} ${point.name} (${point.occurrence})`, instanceId, why });
    try {
      const result = await runCaseUntilKilled(world, point, { recovery: options.recovery(point), data });
      const { endState, logins, wasKilled, instanceId } = result;
      results.push(result);
      const expected = options.expected(result);
      const why = [
        ...differences(endState, expected.endState),
        ...differences(
          { logins, wasKilled },
          { logins: expected.logins, wasKilled: wasKilled || !sparable.has(point) },
        ),
      ];
      if (why.length === 0) await forget(world.fleet, instanceId);
      else told(instanceId, why);
    } catch (error) {
      told('', [String(error)]);
    }
  });
  printTable(
    options.title,
    results.toSorted((one, other) => (one.point?.number ?? 0) - (other.point?.number ?? 0)),
  );
  expect({ wrong, left: await takeLeftovers(world) }).toEqual({ wrong: [], left: [] });
  expect(results.filter(({ wasKilled }) => wasKilled).length).toBeGreaterThan(points.length / 2);
}

/**
 * Wrong counts, dead events and what is half-made on the Odoo server, in words. It is put right then: what comes after is
 * not to find it again.
 */
export async function takeLeftovers(world: World): Promise<string[]> {
  // What a crash left half-made on the Odoo server is the tick's to sweep.
  let problems: string[] = [];
  await until('nothing to be left over', async () => (problems = await fleetProblems(world.fleet)).length === 0, {
    timeoutMs: 20_000,
  }).catch(() => undefined);
  if (problems.length > 0) await mendFleet(world.fleet);
  return problems;
}

/** The fields that differ, with both values; of nested ones the innermost. */
export function differences(found: EndState, wanted: EndState): string[] {
  return differencesAt('', found, wanted);
}

function differencesAt(path: string, found: unknown, wanted: unknown): string[] {
  const [one, other] = [found, wanted].map((value) => JSON.stringify(value) ?? 'nothing');
  if (one === other) return [];
  if (!isNested(found) || !isNested(wanted)) return [`${path} is ${one}, not ${other}`];
  const names = [...new Set([...Object.keys(found), ...Object.keys(wanted)])];
  return names.flatMap((name) => differencesAt(path === '' ? name : `${path}.${name}`, found[name], wanted[name]));
}

/** Lists are compared whole where they are of words, and by place where they are of objects. */
function isNested(value: unknown): value is Record<string, unknown> {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'object' && item !== null);
  return typeof value === 'object' && value !== null;
}
