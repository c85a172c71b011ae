import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '#events/catalogue.ts';
import { driftOf, generateCatalogue, writeCatalogue } from './event-catalogue.ts';

const files = generateCatalogue(catalogue);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'event-catalogue-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('the generated catalogue', () => {
  it('has a schema per event and a page that shows each with its example', () => {
    for (const { type } of catalogue) {
      expect(files.has(`generated/${type}.schema.json`)).toBe(true);
      expect(files.get('README.md')).toContain(`## ${type}\n`);
    }
    expect(files.size).toBe(catalogue.length + 1);
  });

  it('closes the schemas of our own events', () => {
    const schema = JSON.parse(files.get('generated/dev.odoofleet.instance.provisioned.schema.json') ?? '{}');
    expect(schema).toMatchObject({
      additionalProperties: false,
      required: ['instance', 'operation', 'customer', 'url', 'seconds'],
    });
  });

  it('shows no drift after it was written, and names changed and stray files', async () => {
    expect(await driftOf(folder, files)).toHaveLength(files.size);
    await writeCatalogue(folder, files);
    expect(await driftOf(folder, files)).toEqual([]);
    await writeFile(join(folder, 'README.md'), 'changed');
    await writeFile(join(folder, 'generated/gone.schema.json'), '{}');
    expect(await driftOf(folder, files)).toEqual(['README.md', 'generated/gone.schema.json']);
    await writeCatalogue(folder, files);
    expect(await driftOf(folder, files)).toEqual([]);
  });

  it('is what is committed', async () => {
    expect(await driftOf(join(import.meta.dirname, '../events'), files)).toEqual([]);
  });
});
