import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from 'vitest';
import type { StoreAccess } from '#shared/domain/backup/order.ts';
import { objectStoreContract } from '#shared/testing/contracts/object-store.ts';
import { isWithoutS3, s3Everything, s3World, whyWithoutS3 } from './s3.fixture.ts';

describe.skipIf(isWithoutS3)(`an S3 server (versitygw)${whyWithoutS3}`, () => {
  const world = s3World();

  objectStoreContract(
    'the S3 store',
    async () => {
      const { server, folder } = world();
      const bucket = await server.newBucket();
      const both = s3Everything(world(), bucket);
      const access: StoreAccess = {
        kind: 's3',
        endpoint: server.endpoint,
        region: server.region,
        bucket,
        ...server.writer,
      };
      const order = join(folder, `${bucket}.json`);
      await writeFile(order, JSON.stringify(access), { mode: 0o600 });
      const writer = join(import.meta.dirname, 's3-writer.fixture.ts');
      return { open: () => both, writer: { command: process.execPath, args: [writer, order] } };
    },
    { largeBytes: 12_000_000 },
  );
});
