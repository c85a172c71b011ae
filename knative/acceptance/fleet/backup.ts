import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { workerLabel } from '#shared/adapters/kubernetes/resources/worker-job.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { queryAsSuperuser } from '#shared/testing/fleet-traces.ts';
import { until } from '../cluster.fixture.ts';
import type { FleetUnderTest } from './fleet.fixture.ts';
import { carryOut, functionNamespace, inDatabase, tenantNamespace, visit } from './instance.fixture.ts';

type BackupRow = {
  id: string;
  state: string;
  proof: string;
  odoo_booted: boolean;
  manifest_key: string | null;
  dump_bytes: number | null;
  files_count: number | null;
  summary: { rows?: number; odooVersion?: string };
};

type WorkerPod = {
  metadata: { labels: Record<string, string> };
  spec: {
    automountServiceAccountToken?: boolean;
    containers: { image: string; securityContext?: Record<string, unknown> }[];
  };
  status: { phase: string };
};

const note = 'Kept by a backup: žluťoučký kůň';

/** A real instance's backup in a bucket, proven by a restore, and the platform's own: by the worker's image as it is shipped. */
export function backupTests(fleet: () => FleetUnderTest): void {
  let instance = '';
  let workersSeen: WorkerPod[] = [];
  const rows = () =>
    fleet().rows<BackupRow>(
      `select id, state, proof, odoo_booted, manifest_key, dump_bytes::integer, files_count::integer, summary
       from backups where instance_id = $1 order by started_at`,
      [instance],
    );
  const newest = async () => {
    const row = (await rows()).at(-1);
    if (row === undefined) throw new Error('there is no backup');
    return row;
  };
  const bucket = () => {
    const { objectStore } = fleet();
    if (objectStore === undefined) throw new Error('there is no object store');
    return objectStore.folderOf(objectStore.bucket);
  };
  const stored = async () =>
    (await readdir(bucket(), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(bucket().length + 1));
  const ofWorkers = async <T>(kinds: string): Promise<T[]> => {
    const selector = `app.kubernetes.io/name=${workerLabel},odoofleet.dev/instance=${instance}`;
    const text = await fleet().kubectl.run(['-n', tenantNamespace, 'get', kinds, '-l', selector, '-o', 'json']);
    return (JSON.parse(text) as { items: T[] }).items;
  };
  const workers = () => ofWorkers<WorkerPod>('pods');
  const workersLeft = async () => (await ofWorkers('jobs,pods,secrets')).length > 0;

  beforeAll(async () => {
    instance = await fleet().provision('kept', { customer: 'kept' });
    expect(await fleet().settled(instance, { limitMs: 300_000 })).toBe('running');
    const { database } = namesOf(instance);
    await inDatabase(fleet(), database, 'insert into res_partner (name, active) values ($1, true)', [note]);
    // what the page is made of becomes files of the instance's
    const page = await visit(fleet(), instance);
    for (const [, path] of (page.body ?? '').matchAll(/(?:href|src)="(\/web\/assets\/[^"]+)"/g)) {
      if (path !== undefined) await visit(fleet(), instance, { path, accept: '*/*', timeoutMs: 60_000 });
    }
  }, 420_000);

  // Its pod has half a core of the node's two to itself.
  afterAll(async () => void (await carryOut(fleet(), 'stop', instance)));

  it('backs an instance up into the bucket while it runs', async () => {
    const isSeen = async () => {
      workersSeen = await workers();
      return workersSeen.length > 0;
    };
    const [status] = await Promise.all([
      carryOut(fleet(), 'backup', instance),
      until('the worker of the backup', isSeen, { limitMs: 120_000 }),
    ]);
    expect(status).toBe('running');
    const backup = await newest();
    expect(backup).toMatchObject({
      state: 'succeeded',
      proof: 'none',
      summary: { odooVersion: expect.stringMatching(/^19\./) },
    });
    expect(backup.dump_bytes).toBeGreaterThan(500_000);
    const keys = await stored();
    expect(keys).toContain(backup.manifest_key);
    expect(keys.filter((key) => key.startsWith(`files/${instance}/`))).toHaveLength(backup.files_count ?? -1);
    const dump = await readFile(join(bucket(), `backups/${instance}/${backup.id}/1/dump`), 'latin1');
    expect(dump).not.toContain('PGDMP');
  }, 200_000);

  it('did so by a Job that has no token, is not root, and whose order is gone with it', async () => {
    for (const { spec } of workersSeen) {
      expect(spec.automountServiceAccountToken).toBe(false);
      for (const { image, securityContext } of spec.containers) {
        expect(image).toBe(fleet().images.get('worker'));
        expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true });
      }
    }
    await until('its pod and its order to be gone', async () => !(await workersLeft()), { limitMs: 60_000 });
    const { backupRole } = namesOf(instance);
    const left = `select 1 from pg_roles where rolname = $1 and rolcanlogin`;
    await until(
      'the role of the backup to be closed',
      async () => (await queryAsSuperuser(fleet().servers.odoo, left, { values: [backupRole] })).length === 0,
      { limitMs: 30_000 },
    );
  });

  it('proves it by a restore on a server of its own', async () => {
    await carryOut(fleet(), 'verify', instance);
    expect(await newest()).toMatchObject({ state: 'succeeded', proof: 'proven' });
    const { verification } = fleet().servers;
    if (verification === undefined) throw new Error('there is no server for verifications');
    const left = `select datname from pg_database where datname like 'verify%'`;
    await until('its database to be gone', async () => (await queryAsSuperuser(verification, left)).length === 0, {
      limitMs: 30_000,
    });
  }, 200_000);

  it('starts Odoo on what was restored, when that is asked for', async () => {
    await carryOut(fleet(), 'verify', instance, { boot: true });
    expect(await newest()).toMatchObject({ proof: 'proven', odoo_booted: true });
  }, 200_000);

  it('brings a second backup only what changed', async () => {
    const before = await stored();
    await carryOut(fleet(), 'backup', instance);
    const files = (keys: readonly string[]) => keys.filter((key) => key.startsWith('files/')).toSorted();
    expect(files(await stored())).toEqual(files(before));
    expect(await newest()).toMatchObject({ state: 'succeeded' });
  }, 200_000);

  it('backs the platform itself up when its CronJob is run', async () => {
    const { kubectl } = fleet();
    const job = 'platform-backup-now';
    await kubectl.run(['-n', functionNamespace, 'create', 'job', job, '--from=cronjob/platform-backup']);
    try {
      await kubectl.run(['-n', functionNamespace, 'wait', `job/${job}`, '--for=condition=Complete', '--timeout=120s'], {
        timeoutMs: 130_000,
      });
    } catch (cause) {
      const log = await kubectl.run(['-n', functionNamespace, 'logs', `job/${job}`, '--tail=20']).catch(String);
      throw new Error(`the platform's backup did not end well: ${log}`, { cause });
    }
    const said = JSON.parse(await kubectl.run(['-n', functionNamespace, 'logs', `job/${job}`])) as { backup: string };
    const own = (await stored()).filter((key) => key.startsWith('platform/'));
    expect(own.toSorted()).toEqual([`platform/${said.backup}/dump`, `platform/${said.backup}/manifest`]);
    await kubectl.run(['-n', functionNamespace, 'delete', 'job', job]);
  }, 200_000);
}
