import { expect } from 'vitest';
import type { PassedPoint } from '#shared/testing/stop-points/counter.ts';
import { allOver, type Recovery } from './case.ts';
import { takeLeftovers } from './compare.ts';
import { forget } from './end-state.ts';
import { brokenCase, type LifeKind, type LifeResult, runCounted, runKilled, runPlain } from './life-case.ts';
import { chosenPoints, outboxPoints, randomFrom, randomPair } from './life-points.ts';
import type { LifeState } from './life-state.ts';
import { printLifeTable } from './life-table.ts';
import { earlierResults, keepResult } from './results-file.ts';
import type { World } from './world.ts';

/** Times a point is tried that its run did not come by: other work of the fleet decides that. */
const triesPerPoint = 4;

type Waiting = {
  points: readonly PassedPoint[];
  recovery: Recovery;
  tries: number;
  /** Others' publishing may spare the process. */
  isSparable: boolean;
};

/** Which of a run's points processes are killed at: every so many one by one, or pairs in one run, drawn with a seed. */
export type Choice = { every: number } | { pairs: number; seed: number };

export type Reference = { points: readonly PassedPoint[]; state: LifeState };

/**
 * Kills every kind of a cycle at its stop points. The kinds follow on one another, so that each brings the instance to
 * where the next begins: each run of one is a case of its own. Several instances go round at once, and all go on when a
 * case fails. Expects all to have ended as the run that was not killed, and nothing to be left over.
 */
export async function crashCycle(
  world: World,
  options: {
    kinds: readonly LifeKind[];
    /** Each where the first kind begins; one that a case has spoilt is replaced by another. */
    newInstance: () => Promise<string>;
    /** Instances that go round at once. */
    concurrency: number;
    choice: Choice;
  },
): Promise<void> {
  const { kinds, newInstance, concurrency } = options;
  const instanceIds = await allOver(Array.from({ length: concurrency }, newInstance));
  const references = await referencesOf(world, kinds, instanceIds);
  const waiting = new Map(
    kinds.map((kind) => [kind, queueOf(references.get(kind)?.points ?? [], options.choice)] as const),
  );
  const results = await leaveOutEarlier(waiting);
  const isOver = () => [...waiting.values()].every((queue) => queue.length === 0);
  const goRound = async (instanceId: string): Promise<void> => {
    let current = instanceId;
    while (!isOver()) {
      for (const kind of kinds) {
        // What fails here is no case of a kind: it ends the round, and the others take over its cases.
        current = (await kind.prepare?.(world, current)) ?? current;
        const expected = references.get(kind)?.state ?? {};
        const result = await runNext(world, waiting.get(kind) ?? [], { kind, instanceId: current, expected });
        if (result === undefined) continue;
        results.push(result);
        await keepResult(result);
        if (result.why.length === 0) continue;
        // It would keep its connections from the others.
        await forget(world.fleet, current);
        current = await newInstance();
        break;
      }
    }
  };
  let left: string[] = [];
  try {
    await allOver(instanceIds.map(goRound));
  } finally {
    printLifeTable(kinds, { references, results });
    left = await takeLeftovers(world);
  }
  expect({ cases: wrongOf(results), left }).toEqual({ cases: [], left: [] });
  expectMostKilled(results);
}

/** Takes the cases out of the queues that an earlier run has done, and returns what they came to. */
async function leaveOutEarlier(waiting: Map<LifeKind, Waiting[]>): Promise<LifeResult[]> {
  const earlier = await earlierResults();
  const caseOf = (kind: string, point: PassedPoint | undefined) => `${kind} ${point?.name} ${point?.occurrence}`;
  const done = new Map(earlier.map((result) => [caseOf(result.kind, result.point), result]));
  const results: LifeResult[] = [];
  for (const [kind, queue] of waiting) {
    const left = queue.filter(({ points: [point] }) => !done.has(caseOf(kind.kind, point)));
    const leftOut = queue.filter((one) => !left.includes(one));
    results.push(...leftOut.flatMap(({ points: [point] }) => done.get(caseOf(kind.kind, point)) ?? []));
    waiting.set(kind, left);
  }
  return results;
}

/** The next case of a kind; undefined when there is none, or when its run did not come by the point and it is to be tried again. */
async function runNext(
  world: World,
  queue: Waiting[],
  run: { kind: LifeKind; instanceId: string; expected: LifeState },
): Promise<LifeResult | undefined> {
  const next = queue.shift();
  if (next === undefined) {
    await runPlain(world, run.kind, run.instanceId);
    return undefined;
  }
  const { points, recovery, tries, isSparable } = next;
  const killed = { ...run, points, recovery };
  const result = await runKilled(world, killed).catch((error: unknown) => brokenCase(killed, error));
  if (result.kills > 0 || result.why.length > 0) return result;
  if (tries < triesPerPoint) {
    queue.push({ ...next, tries: tries + 1 });
    return undefined;
  }
  return isSparable ? result : { ...result, why: ['the run did not come by the point'] };
}

async function referencesOf(
  world: World,
  kinds: readonly LifeKind[],
  instanceIds: readonly string[],
): Promise<Map<LifeKind, Reference>> {
  const references = new Map<LifeKind, Reference>();
  const [first = ''] = instanceIds;
  let current = first;
  for (const kind of kinds) {
    current = (await kind.prepare?.(world, current)) ?? current;
    references.set(kind, await runCounted(world, kind, current));
  }
  return references;
}

function queueOf(points: readonly PassedPoint[], choice: Choice): Waiting[] {
  // Every second crash is left to the tick alone.
  const recoveryOf = (index: number): Recovery => (index % 2 === 0 ? 'event' : 'tick');
  const sparable = outboxPoints(points);
  const waitingFor = (chosen: readonly PassedPoint[], index: number): Waiting => {
    const isSparable = chosen.some((point) => sparable.has(point));
    return { points: chosen, recovery: recoveryOf(index), tries: 1, isSparable };
  };
  if ('pairs' in choice) {
    const random = randomFrom(choice.seed);
    return Array.from({ length: choice.pairs }, (_, index) => waitingFor(randomPair(points, random), index));
  }
  return chosenPoints(points, choice.every).map((point, index) => waitingFor([point], index));
}

/** All ended as the run that was not killed, and most were killed at all. */
export function expectAllWell(results: readonly LifeResult[]): void {
  expect(wrongOf(results)).toEqual([]);
  expectMostKilled(results);
}

function wrongOf(results: readonly LifeResult[]) {
  const wrong = results.filter(({ why }) => why.length > 0);
  return wrong.map(({ kind, point, instanceId, recovery, kills, why }) => ({
    case: `${kind} ${point?.number} ${point?.name} (${point?.occurrence}), ${recovery}, ${kills} kills, ${instanceId}`,
    why: why.map((text) => text.slice(0, 20_000)),
  }));
}

function expectMostKilled(results: readonly LifeResult[]): void {
  expect(results.filter(({ kills }) => kills > 0).length).toBeGreaterThan(results.length / 2);
}
