import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BuiltFile, bundleFunction } from './bundle.ts';

const client = fileURLToPath(new URL('../../shared/adapters/objectstore/s3-client.ts', import.meta.url));
let folder: string;
let files: BuiltFile[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-s3-'));
  files = await bundleFunction('backup', join(folder, 'backup'));
});
afterAll(() => rm(folder, { recursive: true }));

it('gives a built function all of the S3 SDK that its store asks for, in a file that is loaded on demand', async () => {
  const source = await readFile(client, 'utf8');
  const wanted = [...source.matchAll(/new sdk\.(\w+)|^ {2}\| '(\w+)'$/gm)].map(([, made, named]) => made ?? named);
  const others = await Promise.all(
    ['s3.ts', 's3-read.ts', 's3-write.ts', 's3-multipart.ts', 's3-remove.ts'].map((name) =>
      readFile(join(client, '..', name), 'utf8'),
    ),
  );
  const used = [...others.join('\n').matchAll(/new sdk\.(\w+)/g)].map(([, name]) => name);
  expect(used.length).toBeGreaterThan(8);
  const built = (await import(join(folder, 'backup', 's3.js'))) as Record<string, unknown>;
  for (const name of [...wanted, ...used]) expect(built).toHaveProperty(String(name), expect.any(Function));
});

it('leaves it out of the bundle itself', () => {
  const bundle = files.find(({ name }) => name === 'function.js');
  expect(bundle?.inputs.filter((input) => /@(aws-sdk|smithy)\//.test(input))).toEqual([]);
  expect(bundle?.inputs).toContain('shared/adapters/objectstore/s3-client.ts');
});
