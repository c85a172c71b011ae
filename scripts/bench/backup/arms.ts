import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { Client } from 'pg';
import type { DatabaseAccess } from '#shared/domain/backup/order.ts';
import { seal } from '#shared/domain/objects/sealing.ts';
import { readContents } from '#shared/worker/contents.ts';
import { zstdArguments } from '#shared/worker/dump.ts';
import { startPipeline } from '#shared/worker/pipeline.ts';

const common = ['--no-owner', '--no-acl', '--no-password'];

/** The environment of libpq's programs, with the password in a file. */
export function environmentOf(access: DatabaseAccess, passwordFile: string): Record<string, string> {
  const { host, port, user, database } = access;
  return { PGHOST: host, PGPORT: String(port), PGUSER: user, PGDATABASE: database, PGPASSFILE: passwordFile };
}

/** Seconds of pg_dump with these options, its output thrown away by the kernel: the limit of what a dump can do. */
export async function dumpToNothing(env: Record<string, string>): Promise<number> {
  const startedMs = performance.now();
  // `ignore` is /dev/null itself
  const child = spawn('pg_dump', ['-Fc', '-Z0', ...common], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`pg_dump ended with ${code}`);
  return secondsSince(startedMs);
}

/** Bytes and seconds of a plain `pg_dump -Fc`, which compresses by itself. */
export async function plainCustom(env: Record<string, string>): Promise<{ bytes: number; seconds: number }> {
  const startedMs = performance.now();
  const child = spawn('pg_dump', ['-Fc', ...common], {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  return { bytes, seconds: secondsSince(startedMs) };
}

/** The worker's own pipeline, read by this process; sealed and hashed as on the way to a store, or not. */
export async function dumpThroughZstd(
  env: Record<string, string>,
  { isSealed }: { isSealed: boolean },
): Promise<{ bytes: number; seconds: number }> {
  const startedMs = performance.now();
  const pipeline = startPipeline(
    [
      { program: 'pg_dump', args: ['--format=custom', '--compress=0', ...common], env },
      { program: 'zstd', args: zstdArguments },
    ],
    { gives: 'output', signal: new AbortController().signal },
  );
  if (pipeline.output === null) throw new Error('the pipeline has no output');
  const output = pipeline.output as AsyncIterable<Buffer>;
  let bytes = 0;
  if (isSealed) {
    const [plain, sealed] = [createHash('sha256'), createHash('sha256')];
    async function* hashed() {
      for await (const chunk of output) {
        plain.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    }
    for await (const piece of seal(hashed(), { key: Buffer.alloc(32, 1), name: 'bench' })) sealed.update(piece);
  } else {
    for await (const chunk of output) bytes += chunk.length;
  }
  await pipeline.ended;
  return { bytes, seconds: secondsSince(startedMs) };
}

/** Seconds that counting all rows and hashing the core tables takes, alone. */
export async function contentsAlone(access: DatabaseAccess): Promise<number> {
  const startedMs = performance.now();
  const client = new Client(access);
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await readContents(client);
    return secondsSince(startedMs);
  } finally {
    await client.end();
  }
}

function secondsSince(startedMs: number): number {
  return (performance.now() - startedMs) / 1_000;
}
