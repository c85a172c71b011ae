import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';
import { openProcessGroup, type ProcessGroup } from '#shared/sandbox/processes.ts';
import {
  ensureVersitygw,
  type S3Credentials,
  type S3Server,
  startVersitygw,
  versitygwObstacle,
} from '#shared/sandbox/servers/versitygw.ts';
import { openS3Store } from './s3.ts';
import type { S3Limits } from './s3-client.ts';

const obstacle = await versitygwObstacle();

/** True where there can be no S3 server, and nobody promised one: CI does. */
export const isWithoutS3 = obstacle !== undefined && process.env['CI'] !== 'true';
/** For the titles of what is left out. */
export const whyWithoutS3 = obstacle === undefined ? '' : `: cannot be tested here, ${obstacle}`;

export type S3World = {
  server: S3Server;
  processes: ProcessGroup;
  folder: string;
  /** The bucket as one process has it; parts are small, so that multipart costs little to test. */
  open(options?: {
    bucket?: string;
    credentials?: S3Credentials;
    endpoint?: string;
    limits?: Partial<S3Limits>;
  }): ObjectStore;
};

/** One S3 server for the tests of a file; ask for the world inside of tests. */
export function s3World(): () => S3World {
  let world: S3World | undefined;
  beforeAll(async () => {
    if (isWithoutS3) return;
    const folder = await mkdtemp(join(tmpdir(), 's3-'));
    const processes = await openProcessGroup();
    await ensureVersitygw();
    const server = await startVersitygw({ processes, folder: join(folder, 'server') });
    world = {
      server,
      processes,
      folder,
      open: ({ bucket = server.bucket, credentials = server.writer, endpoint = server.endpoint, limits = {} } = {}) =>
        openS3Store({
          endpoint,
          region: server.region,
          bucket,
          credentials: async () => credentials,
          limits: { partBytes: 5 * 1024 * 1024, ...limits },
        }),
    };
  }, 900_000);
  afterAll(async () => {
    await world?.server.stop();
    await world?.processes.stopAll();
    if (world !== undefined) await rm(world.folder, { recursive: true, force: true });
  });
  return () => {
    if (world === undefined) throw new Error('there is no S3 server');
    return world;
  };
}

/** Writes as the writer and removes as the remover: the contract does both. */
export function s3Everything({ open, server }: S3World, bucket: string): ObjectStore {
  const remover = open({ bucket, credentials: server.remover });
  return { ...open({ bucket }), remove: (key) => remover.remove(key) };
}
