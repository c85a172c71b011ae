import { execFile } from 'node:child_process';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { functionNamespace } from './instance.fixture.ts';

// A release after this one, made of a copy of the sources, and how releases of a function follow each other on the cluster.

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..', '..');

/** The only migration of the next release, and what its terminations do besides. */
export const nextMigration = '9999_note-the-release';
export const nextStep = 'farewell';

/** Images of the next release, by name. */
export type NextRelease = { terminate: string; migrate: string };

/**
 * The next release: terminations have a step more, in version 2 of their definition; those of version 1 are carried on by
 * their own steps. Each step also writes a column that only its migration makes.
 */
export async function buildNextRelease({ cluster, folder }: FleetUnderTest): Promise<NextRelease> {
  const sources = join(folder, 'next-release');
  for (const name of ['events', 'functions', 'shared', 'scripts', 'package.json']) {
    await cp(join(root, name), join(sources, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(sources, 'node_modules'));
  const postgres = join(sources, 'shared', 'adapters', 'postgres');
  await change(
    join(sources, 'functions', 'terminate', 'operation.ts'),
    `...definitionFacts.terminate,`,
    `...definitionFacts.terminate, version: 2, others: [{ version: 1, steps: onlyWhile(isTerminated, takeDown(ports)) }],`,
  );
  await change(
    join(sources, 'functions', 'terminate', 'operation.ts'),
    `steps: onlyWhile(isTerminated, takeDown(ports)),\n    },`,
    `steps: [...onlyWhile(isTerminated, takeDown(ports)),
        { name: '${nextStep}', look: async () => ({ found: 'done' }), act: async () => undefined }],\n    },`,
  );
  const written = `step = $3, attempt = $4, woken = false,`;
  await change(join(postgres, 'operation-records.ts'), written, `${written} release_note = 'next',`);
  const migration = 'alter table operations add column release_note text;\n';
  await writeFile(join(postgres, 'migrations', `${nextMigration}.sql`), migration);
  const built = join(folder, 'next-bundles');
  const program = join(sources, 'scripts', 'build', 'main.ts');
  await run(process.execPath, [program, 'terminate', 'migrate', '--folder', built], { cwd: sources });
  return {
    terminate: await cluster.importImage('terminate', join(built, 'terminate')),
    migrate: await cluster.importImage('migrate', join(built, 'migrate')),
  };
}

async function change(file: string, before: string, after: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  if (text.split(before).length !== 2) throw new Error(`${file} does not have this once: ${before}`);
  await writeFile(
    file,
    text.replace(before, () => after),
  );
}

type Service = {
  metadata: { generation: number };
  status: {
    observedGeneration: number;
    latestReadyRevisionName: string;
    conditions: { type: string; status: string }[];
    traffic: { revisionName: string; percent: number }[];
  };
};

async function serviceOf({ kubectl }: FleetUnderTest, name: string): Promise<Service> {
  return JSON.parse(await kubectl.run(['-n', functionNamespace, 'get', 'ksvc', name, '-o', 'json'])) as Service;
}

/** The revision that has all of a function's traffic. */
export async function servingRevision(fleet: FleetUnderTest, name: string): Promise<string> {
  const { traffic } = (await serviceOf(fleet, name)).status;
  const [only] = traffic.filter(({ percent }) => percent === 100);
  if (only === undefined) throw new Error(`the traffic of ${name} is divided`);
  return only.revisionName;
}

/** Gives a function another image, and returns the revision that it has become when it has all of the traffic. */
export async function rollOut(fleet: FleetUnderTest, name: string, image: string): Promise<string> {
  const path = '/spec/template/spec/containers/0/image';
  await patch(fleet, name, ['--type=json', '-p', JSON.stringify([{ op: 'replace', path, value: image }])]);
  return await settledRevision(fleet, name);
}

/** Waits until nothing of a revision without traffic runs: until then it may still carry on what it has in its hands. */
export async function untilGone({ kubectl }: FleetUnderTest, revision: string): Promise<void> {
  const pods = ['-n', functionNamespace, 'get', 'pods', '-l', `serving.knative.dev/revision=${revision}`, '-o', 'name'];
  await until(`the pods of ${revision} to be gone`, async () => (await kubectl.run(pods)).trim() === '', {
    limitMs: 120_000,
  });
}

/** Gives all traffic of a function to one of its revisions: the newest unless stated. */
export async function sendTrafficTo(fleet: FleetUnderTest, name: string, revisionName?: string): Promise<void> {
  const target = revisionName === undefined ? { latestRevision: true } : { revisionName, latestRevision: false };
  const spec = { traffic: [{ ...target, percent: 100 }] };
  await patch(fleet, name, ['--type=merge', '-p', JSON.stringify({ spec })]);
  await settledRevision(fleet, name);
}

async function patch({ kubectl }: FleetUnderTest, name: string, how: readonly string[]): Promise<void> {
  await kubectl.run(['-n', functionNamespace, 'patch', 'ksvc', name, ...how]);
}

async function settledRevision(fleet: FleetUnderTest, name: string): Promise<string> {
  const isSettled = async () => {
    const { metadata, status } = await serviceOf(fleet, name);
    const isReady = status.conditions.every((condition) => condition.status === 'True');
    return metadata.generation === status.observedGeneration && isReady;
  };
  await until(`${name} to have rolled out`, isSettled, { limitMs: 180_000 });
  return await servingRevision(fleet, name);
}
