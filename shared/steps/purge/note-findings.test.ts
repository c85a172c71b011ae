import { expect, test } from 'vitest';
import type { Trace } from '#shared/domain/backup/deletion-certificate.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ClusterPart } from '#shared/domain/instance/ports.ts';
import { done, missing } from '#shared/domain/operation/step.ts';
import { exampleContext, exampleCredentials, exampleInstance } from '#shared/testing/examples.ts';
import { type FindingPorts, findNothing, noteFindings } from './note-findings.ts';

function makeWorld() {
  const world = {
    databases: [{ name: 'tombstone_abcdefgh2345', bytes: 5 }],
    roles: ['odoo_abcdefgh2345'],
    parts: new Set<ClusterPart>(['volume']),
    jobs: 0,
    hasCredentials: true,
    isSignable: true,
    written: undefined as readonly Trace[] | undefined,
  };
  const ports: FindingPorts = {
    traces: { list: async () => ({ databases: world.databases, roles: world.roles }) },
    cluster: { isGone: async (_instance, part) => !world.parts.has(part) },
    jobs: { countOf: async () => world.jobs },
    credentials: { read: async () => (world.hasCredentials ? exampleCredentials : undefined) },
    findings: {
      has: async () => world.written !== undefined,
      write: async (_operation, _instanceId, found) => void (world.written ??= found),
    },
    checkSigner() {
      if (!world.isSignable) throw new Failure('misconfigured', 'no key');
    },
  };
  return { world, ports };
}

test('what is there is noted once, before anything is taken away', async () => {
  const { world, ports } = makeWorld();
  const step = noteFindings(ports);
  expect(await step.look(exampleContext())).toEqual(missing);
  expect(await step.act(exampleContext())).toEqual(done);
  expect(world.written?.map(({ kind, name, where }) => [kind, name, where])).toEqual([
    ['database', 'tombstone_abcdefgh2345', 'one'],
    ['role', 'odoo_abcdefgh2345', 'one'],
    ['cluster-object', 'volume odoo-abcdefgh2345', 'default'],
    ['credentials', 'odoo-abcdefgh2345-credentials', 'default'],
  ]);
  expect(await step.look(exampleContext())).toEqual(done);
});

test('nothing is noted, and so nothing removed, where a certificate could not be signed', async () => {
  const { world, ports } = makeWorld();
  world.isSignable = false;
  await expect(noteFindings(ports).act(exampleContext())).rejects.toMatchObject({ code: 'misconfigured' });
  expect(world.written).toBeUndefined();
});

test('a purge does not end while anything bears the instance’s id, and says what', async () => {
  const { world, ports } = makeWorld();
  const step = findNothing(ports);
  await expect(step.look(exampleContext())).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('database tombstone_abcdefgh2345 (one)'),
  });
  Object.assign(world, { databases: [], roles: [], parts: new Set(), hasCredentials: false, jobs: 1 });
  await expect(step.look(exampleContext())).rejects.toMatchObject({ message: expect.stringContaining('jobs of') });
  world.jobs = 0;
  expect(await step.look(exampleContext())).toEqual(done);
});

test('an instance that has left its server is looked for in the cluster only', async () => {
  const { world, ports } = makeWorld();
  Object.assign(world, { parts: new Set(), hasCredentials: false });
  const context = exampleContext({ instance: exampleInstance({ databaseServer: null }) });
  expect(await findNothing(ports).look(context)).toEqual(done);
});
