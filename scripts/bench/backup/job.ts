import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openObjectStore } from '#shared/adapters/objectstore/open.ts';
import { type BackupResult, openBackupResult } from '#shared/domain/backup/manifest.ts';
import type { BackupOrder, DatabaseAccess, StoreAccess } from '#shared/domain/backup/order.ts';

/** Of a backup or a result. */
export const newKey = () => randomBytes(32).toString('base64');
const watchMs = 25;

/** What the Job of a backup is told, for an instance of the bench. */
export function orderOf(
  database: DatabaseAccess,
  store: StoreAccess,
  { filestore, files = newKey() }: { filestore: string; files?: string },
): BackupOrder {
  const backupId = randomUUID();
  const instanceId = database.database.replaceAll('_', '-');
  return {
    version: 1,
    task: 'backup',
    instanceId,
    operationId: backupId,
    backupId,
    attempt: 1,
    store,
    prefix: `backups/${instanceId}/${backupId}/1`,
    resultKey: newKey(),
    database,
    filestore,
    keys: { dump: newKey(), files },
    facts: { kind: 'manual', customerId: 'bench', imageId: 'bench', addonsDigest: '', previous: null },
  };
}

export type JobRun = {
  result: BackupResult;
  seconds: number;
  /** The most memory that Node, pg_dump and zstd had together, as looked at 40 times a second. */
  mib: number;
  nodeMib: number;
};

/** Runs the built worker on the order in the file; tells its process. @throws Error with its last words when it fails. */
export async function runProgram(
  program: string,
  file: string,
  { folder, started = () => undefined }: { folder: string; started?: (pid: number) => void },
): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '', TMPDIR: folder };
  const child = spawn(process.execPath, [program, file], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  started(child.pid ?? 0);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`the worker ended with ${code}: ${stderr}`);
}

/** Runs the built worker on the order, to its end, and reads back what it wrote. */
export async function runJob(program: string, order: BackupOrder, folder: string): Promise<JobRun> {
  const file = join(folder, `${order.backupId}.json`);
  await writeFile(file, JSON.stringify(order), { mode: 0o600 });
  const startedMs = performance.now();
  let [mib, nodeMib] = [0, 0];
  let watching: NodeJS.Timeout | undefined;
  const started = (pid: number) => {
    watching = setInterval(() => {
      void memoryOf(pid).then(([node = 0, ...others]) => {
        nodeMib = Math.max(nodeMib, node);
        mib = Math.max(
          mib,
          others.reduce((sum, one) => sum + one, node),
        );
      });
    }, watchMs);
  };
  await runProgram(program, file, { folder, started }).finally(() => clearInterval(watching));
  const bytes = await openObjectStore(order.store).get(`${order.prefix}/manifest`);
  const result = openBackupResult(bytes ?? Buffer.alloc(0), order);
  return { result, seconds: (performance.now() - startedMs) / 1_000, mib, nodeMib };
}

/** Resident memory of the process and of each of its children, in MiB. */
async function memoryOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const pids = [pid, ...children.split(' ').filter(Boolean).map(Number)];
  return await Promise.all(
    pids.map(async (one) => {
      // what has ended meanwhile has none
      const status = await readFile(`/proc/${one}/status`, 'utf8').catch(() => '');
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024;
    }),
  );
}
