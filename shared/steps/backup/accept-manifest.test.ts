import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { manifestKey } from '#shared/domain/backup/job-names.ts';
import { jobSecrets } from '#shared/domain/backup/job-secrets.ts';
import { type BackupResult, fileKeysOf, openManifest, resultSigner } from '#shared/domain/backup/manifest.ts';
import { hmacSigner, seal } from '#shared/domain/backup/manifest-seal.ts';
import type { BackupSuccess } from '#shared/domain/backup/ports.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { acceptManifest } from './accept-manifest.ts';
import { makeWorld } from './backup-steps.fixture.ts';
import { exampleResult } from './example-result.fixture.ts';
import { makeBackup } from './make-backup.ts';

const signer = hmacSigner('k1', Buffer.alloc(32, 7));

/** A backup whose Job has ended well, and whose objects are in the store. */
async function afterJob(change: (result: BackupResult) => BackupResult = (result) => result) {
  const made = makeWorld();
  const { world, ports, context, place } = made;
  await makeBackup(ports).act(context);
  const { id: operationId } = context.operation;
  const result = change(exampleResult(place(1), operationId));
  const { resultKey } = jobSecrets(await ports.wrapper.unwrap('wrapped-1', { purpose: 'dump', instanceId: '' }), {
    operationId,
    round: 1,
  });
  const write = (sealed: BackupResult, key: string) =>
    world.objects.set(
      `${place(1)}/manifest`,
      seal(sealed, 'backup-result', resultSigner({ operationId, attempt: 1, resultKey: key })),
    );
  write(result, resultKey);
  world.objects.set(`${place(1)}/dump`, Buffer.alloc(100));
  for (const key of fileKeysOf(result)) world.objects.set(key, Buffer.alloc(12));
  const successes: BackupSuccess[] = [];
  const step = acceptManifest({
    ...ports,
    signer,
    records: {
      ...ports.records,
      filesKey: async () => 'wrapped-files',
      async succeed(_operation, success) {
        successes.push(success);
        if (world.row === undefined) throw new Error('there is no row');
        world.row = { ...world.row, state: 'succeeded' };
        return world.row;
      },
    },
    store: {
      ...ports.store,
      list: async ({ prefix }) => ({
        keys: [...world.objects.keys()].filter((key) => key.startsWith(prefix)).sort(),
        next: undefined,
      }),
      async put(key, bytes, { onlyIfNew = false } = {}) {
        if (onlyIfNew && world.objects.has(key)) return 'exists';
        world.objects.set(key, Buffer.from(bytes));
        return 'written';
      },
    },
  });
  const key = manifestKey({ instanceId: 'abcdefgh2345', operationId });
  return { ...made, step, result, write, successes, key };
}

describe('what the Job has made', () => {
  test('is a backup once the signed manifest was read back', async () => {
    const { step, context, world, successes, key, result } = await afterJob();
    expect(await step.look(context)).toEqual(missing);
    expect(await step.act(context)).toEqual(done);
    expect(await step.look(context)).toEqual(done);
    const manifest = openManifest(world.objects.get(key) ?? Buffer.alloc(0), signer);
    expect(manifest).toEqual({ ...result, wrappedKeys: { dump: 'wrapped-1', files: 'wrapped-files' } });
    expect(successes).toMatchObject([
      {
        round: 1,
        manifest: { key, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
        sizes: { dumpBytes: 100, filesBytes: 12, filesCount: 1, uploadedBytes: 9 },
        summary: { rows: 7, tables: 2, odooVersion: '19.0.1.3' },
      },
    ]);
  });

  test('is taken again as it was written the first time', async () => {
    const { step, context, world, successes, ports } = await afterJob();
    await step.act(context);
    const row = await ports.records.read('');
    world.row = row && { ...row, state: 'running' };
    await step.act(context);
    expect(successes[1]).toEqual(successes[0]);
  });

  test.each([
    ['of another instance', (one: BackupResult) => ({ ...one, instanceId: 'zzzzzzzzzzzz' })],
    ['of another backup', (one: BackupResult) => ({ ...one, backupId: '01936f2e-8b5a-7c3d-9e4f-000000000000' })],
    ['of another try', (one: BackupResult) => ({ ...one, attempt: 2 })],
    [
      'with a dump elsewhere',
      (one: BackupResult) => ({ ...one, dump: { ...one.dump, key: 'backups/zzzzzzzzzzzz/dump' } }),
    ],
  ])('is not taken when it says that it is %s', async (_what, change) => {
    const { step, context, successes } = await afterJob(change);
    await expect(step.act(context)).rejects.toMatchObject({ code: 'damaged' });
    expect(successes).toEqual([]);
  });

  test('is not taken when somebody else has signed it', async () => {
    const { step, context, write, result, successes } = await afterJob();
    write(result, randomBytes(32).toString('base64'));
    await expect(step.act(context)).rejects.toMatchObject({ code: 'damaged' });
    expect(successes).toEqual([]);
  });

  test.each([
    ['the dump is not there', (key: string) => key.endsWith('/dump'), undefined],
    ['the dump is cut off', (key: string) => key.endsWith('/dump'), 99],
    ['a file is not there', (key: string) => key.startsWith('files/'), undefined],
  ] as const)('is not taken when %s', async (_what, isIt, bytes) => {
    const { step, context, world, successes, key } = await afterJob();
    const spoilt = [...world.objects.keys()].find(isIt) ?? '';
    if (bytes === undefined) world.objects.delete(spoilt);
    else world.objects.set(spoilt, Buffer.alloc(bytes));
    await expect(step.act(context)).rejects.toMatchObject({ code: 'damaged' });
    expect(successes).toEqual([]);
    expect(world.objects.has(key)).toBe(false);
  });

  test('is not taken from a store that gives back something else', async () => {
    const { step, context, world, successes, key } = await afterJob();
    const { get } = world.objects;
    world.objects.get = function read(asked) {
      const found = get.call(this, asked);
      return asked === key ? found?.subarray(1) : found;
    };
    await expect(step.act(context)).rejects.toMatchObject({ code: 'damaged' });
    expect(successes).toEqual([]);
  });
});
