import type { Client } from 'pg';
import type { BackupOrder } from '#shared/domain/backup/order.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { ObjectStore, Written } from '#shared/domain/objects/ports.ts';
import { startPipeline } from './pipeline.ts';

/**
 * The quickest level, two threads, and matches looked for in 16 MB instead of half a one: rows that repeat each other lie
 * far apart in a dump. It costs next to nothing, and 16 MB of memory on both ways.
 */
export const zstdArguments: readonly string[] = ['-1', '--long=24', '-T2', '--quiet', '--stdout'];

/** Begins the transaction whose view of the database all of the backup shares. */
export async function takeSnapshot(client: Client): Promise<{ name: string; at: string; databaseBytes: number }> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows } = await client.query<{ name: string; at: Date; bytes: string }>(
    `SELECT pg_export_snapshot() AS name, clock_timestamp() AS at,
       pg_database_size(current_database())::text AS bytes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Failure('internal', 'PostgreSQL exported no snapshot.');
  return { name: row.name, at: row.at.toISOString(), databaseBytes: Number(row.bytes) };
}

/**
 * Streams the dump of the snapshot, compressed, into the object. It is written only when pg_dump and zstd both ended well:
 * before, the stream throws, and the store writes nothing.
 */
export async function writeDump(
  order: Pick<BackupOrder, 'operationId'>,
  store: ObjectStore,
  options: {
    key: string;
    snapshot: string;
    environment: Record<string, string>;
    signal: AbortSignal;
    onBytes(count: number): void;
  },
): Promise<Extract<Written, { outcome: 'written' }>> {
  const { key, snapshot, environment, signal, onBytes } = options;
  // A dump is restored by whoever: owners and grants are put right by the one who restores.
  const dump = [
    '--format=custom',
    '--compress=0',
    '--no-owner',
    '--no-acl',
    '--no-password',
    '--lock-wait-timeout=60s',
    `--snapshot=${snapshot}`,
  ];
  const pipeline = startPipeline(
    [
      { program: 'pg_dump', args: dump, env: environment },
      { program: 'zstd', args: zstdArguments },
    ],
    { gives: 'output', signal },
  );
  const written = await store.write(key, untilAllEnded(pipeline, onBytes));
  if (written.outcome === 'exists')
    throw new Failure('conflict', `The object ${key} of order ${order.operationId} exists.`);
  return written;
}

async function* untilAllEnded(
  { output, ended }: ReturnType<typeof startPipeline>,
  onBytes: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  if (output === null) throw new Error('the pipeline has no output');
  for await (const chunk of output as AsyncIterable<Buffer>) {
    onBytes(chunk.length);
    yield chunk;
  }
  await ended;
}
