import { expect, test } from 'vitest';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { sealSwapWord } from '#shared/domain/backup/load-result.ts';
import { resultSigner } from '#shared/domain/backup/manifest.ts';
import type { Restore } from '#shared/domain/backup/restore-ports.ts';
import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { JobState } from '#shared/domain/instance/ports.ts';
import { exampleContext, exampleOperation } from '#shared/testing/examples.ts';
import { objectToCancelRestore, releaseRestore } from './release-restore.ts';
import type { RestorePorts } from './restore-parts.ts';

const operation = exampleOperation({ kind: 'restore', request: { backup: 'b1' } });
const context: InstanceContext = exampleContext({ operation });

type World = {
  restore: Pick<Restore, 'state' | 'isWhole'>;
  isOut: boolean;
  mayLogIn: boolean;
  jobs: JobState[];
  hasVolume?: boolean;
};

/** Only what a release talks to; each change is noted. */
function makeWorld(world: World) {
  const done: string[] = [];
  const objects = new Map<string, Buffer>();
  let round = 1;
  const note = (what: string) => async () => void done.push(what);
  const restore = (): Restore => ({
    ...{ id: operation.id, instanceId: context.instance.id, source: { backup: 'b1' }, round, jobKey: 'wrapped' },
    ...{ keepUntil: null, ...world.restore },
  });
  const ports = {
    restores: {
      read: async () => restore(),
      switched: async () => {
        done.push('switched');
        world.restore = { ...world.restore, state: 'switched' };
      },
      swapped: note('swapped'),
      another: async () => {
        round += 1;
        done.push(`round ${round}`);
        return restore();
      },
    },
    restoreSides: {
      isOut: async () => world.isOut,
      mayLogIn: async () => world.mayLogIn,
      letIn: note('let in'),
    },
    loads: { read: async () => ({ round: 1 }) },
    loadDatabases: { drop: note('drop what was loaded') },
    workers: {
      look: async () => (world.jobs.length > 1 ? world.jobs.shift() : world.jobs[0]),
      start: note('start a Job'),
      remove: async () => undefined,
    },
    wrapper: { unwrap: async () => Buffer.alloc(32, 1) },
    store: {
      head: async (key: string) => objects.get(key),
      get: async (key: string) => objects.get(key),
      put: async (key: string, bytes: Buffer) => void objects.set(key, bytes),
    },
    storeAccess: async () => ({ kind: 'directory', folder: '/x' }),
    workerImage: () => 'worker',
    cluster: {
      countPods: async () => 0,
      isGone: async () => world.hasVolume === false,
      apply: note('bring the pods up'),
    },
    credentials: { read: async () => ({ databasePassword: 'x', adminPassword: 'x', masterPassword: 'x' }) },
  } as unknown as RestorePorts;
  return { ports, done, objects };
}

test('before the exchange what was loaded goes, and what was live is opened where it was closed', async () => {
  const open = { restore: { state: 'running', isWhole: false }, isOut: false, jobs: [{ state: 'absent' }] } as const;
  const untouched = makeWorld({ ...open, mayLogIn: true, jobs: [...open.jobs] });
  await releaseRestore(context, untouched.ports);
  expect(untouched.done).toEqual(['drop what was loaded']);
  const closed = makeWorld({ ...open, mayLogIn: false, jobs: [...open.jobs] });
  await releaseRestore(context, closed.ports);
  expect(closed.done).toEqual(['drop what was loaded', 'bring the pods up', 'let in']);
});

test('after it nothing ends, and nobody is let in, before the files are exchanged too', async () => {
  const failed: JobState = { state: 'failed', reason: 'Failed, exit code 1 (Error): foreign-object: a link' };
  const { ports, done } = makeWorld({
    // killed after the exchange, and before it was written down
    restore: { state: 'running', isWhole: false },
    isOut: true,
    mayLogIn: false,
    jobs: [failed],
  });
  await expect(releaseRestore(context, ports)).rejects.toMatchObject({ code: 'unavailable' });
  expect(done).toEqual(['switched', 'round 2', 'start a Job']);
  // and again, with another Job: there is no number after which it gives up
  for (let tries = 0; tries < 10; tries += 1) {
    await expect(releaseRestore(context, ports)).rejects.toMatchObject({ code: 'unavailable' });
  }
  expect(done.filter((what) => what === 'start a Job')).toHaveLength(11);
  expect(done).not.toContain('let in');
  expect(done).not.toContain('drop what was loaded');
});

test('where the volume is gone there is nothing to wait for: what wants the instance next may have it', async () => {
  const { ports, done } = makeWorld({
    restore: { state: 'switched', isWhole: false },
    isOut: true,
    mayLogIn: false,
    jobs: [{ state: 'failed', reason: 'its pod was pending until its deadline' }],
    hasVolume: false,
  });
  await releaseRestore(context, ports);
  expect(done).toEqual(['switched', 'round 2', 'start a Job', 'swapped', 'bring the pods up', 'let in']);
});

test('when both are exchanged the new side is opened', async () => {
  const { ports, done } = makeWorld({
    restore: { state: 'switched', isWhole: true },
    isOut: true,
    mayLogIn: false,
    jobs: [{ state: 'succeeded' }],
  });
  await releaseRestore(context, ports);
  expect(done).toEqual(['switched', 'swapped', 'bring the pods up', 'let in']);
});

test('pods that were down for a new address come up again, whoever may log in already', async () => {
  const { ports, done } = makeWorld({
    restore: { state: 'succeeded', isWhole: true },
    isOut: true,
    mayLogIn: true,
    jobs: [{ state: 'absent' }],
  });
  await releaseRestore(context, ports);
  expect(done).toContain('bring the pods up');
  expect(done).not.toContain('let in');
});

test('a result whose end the store has lost is none: another Job follows, and its own counts', async () => {
  const { ports, done, objects } = makeWorld({
    restore: { state: 'switched', isWhole: false },
    isOut: true,
    mayLogIn: false,
    jobs: [{ state: 'succeeded' }],
  });
  const prefix = (attempt: number) => `swaps/${context.instance.id}/${operation.id}/${attempt}`;
  const resultOf = (attempt: number) => {
    const { resultKey } = jobSecrets(Buffer.alloc(32, 1), { operationId: operation.id, round: attempt });
    const word = { version: 1, instanceId: context.instance.id, operationId: operation.id, attempt } as const;
    const signer = resultSigner({ operationId: operation.id, attempt, resultKey });
    return sealSwapWord(word, 'swap-result', signer);
  };
  objects.set(`${prefix(1)}/ready`, Buffer.from('ready'));
  objects.set(`${prefix(1)}/result`, resultOf(1).subarray(0, -20));
  await expect(releaseRestore(context, ports)).rejects.toMatchObject({ code: 'unavailable' });
  expect(done).toEqual(['switched', 'round 2', 'start a Job']);
  objects.set(`${prefix(2)}/ready`, Buffer.from('ready'));
  objects.set(`${prefix(2)}/result`, resultOf(2));
  await releaseRestore(context, ports);
  expect(done.slice(3)).toEqual(['switched', 'swapped', 'bring the pods up', 'let in']);
});

test('a cancel comes too late once the sides have changed places: it brings that to its end, and tells the way back', async () => {
  const before = { restore: { state: 'running', isWhole: false }, isOut: false, mayLogIn: true, jobs: [] } as const;
  const early = makeWorld({ ...before, jobs: [{ state: 'absent' }] });
  expect(await objectToCancelRestore(context, early.ports)).toBeUndefined();
  expect(early.done).toEqual([]);
  const after = { restore: { state: 'switched', isWhole: true }, isOut: true, mayLogIn: false } as const;
  const late = makeWorld({ ...after, jobs: [{ state: 'succeeded' }] });
  expect(await objectToCancelRestore(context, late.ports)).toMatchObject({ code: 'not-allowed' });
  expect(late.done).toEqual(['switched', 'swapped', 'bring the pods up', 'let in']);
});
