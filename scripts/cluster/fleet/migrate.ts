import type { Kubectl } from '../kubectl.ts';
import { poll } from '../poll.ts';
import { type Manifest, migrationManifests } from './manifests.ts';

/** What a run of the migration Job says in the one line that is JSON. */
export type Migrated = { applied: string[]; seconds: number };

/**
 * Runs the migration Job of the given image as `knative/migration/kustomization.yaml` says it is done, and waits for its end.
 * The namespace, its Secret and `host`, the PostgreSQL server itself, are there before.
 * @throws Error with what the Job's pods said when it does not complete.
 */
export async function runMigrationJob(kubectl: Kubectl, options: { image: string; host: string }): Promise<Migrated> {
  const manifests = await migrationManifests(kubectl, options);
  const { name, namespace = '' } = jobOf(manifests);
  const inPlace = (...args: string[]) => kubectl.run(['-n', namespace, ...args]);
  await inPlace('delete', 'job', name, '--ignore-not-found');
  await kubectl.apply(manifests);
  const conditions = 'jsonpath={.status.conditions[?(@.status=="True")].type}';
  let seen = '';
  await poll(`the Job ${name}`, async () => {
    seen = await inPlace('get', 'job', name, '-o', conditions);
    return /\b(Complete|Failed)\b/.test(seen);
  });
  const said = await inPlace('logs', '--selector', `job-name=${name}`, '--tail=-1');
  if (!/\bComplete\b/.test(seen)) throw new Error(`the Job ${name} has failed:\n${said}`);
  // The other lines are its progress, from its other output: a log keeps no order between the two.
  const result = said.split('\n').findLast((line) => line.startsWith('{'));
  if (result === undefined) throw new Error(`the Job ${name} has not said what it did:\n${said}`);
  return JSON.parse(result) as Migrated;
}

function jobOf(manifests: readonly Manifest[]): Manifest['metadata'] {
  const job = manifests.find(({ kind }) => kind === 'Job');
  if (job === undefined) throw new Error('the overlay of the migration has no Job');
  return job.metadata;
}
