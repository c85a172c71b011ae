import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inFolder, neverAborted } from './backup.fixture.ts';
import { openOdooArchive } from './odoo-archive.ts';
import { packArchive } from './pack-archive.ts';
import { dropTestDatabase, makeTenant, type Tenant } from './tenant.fixture.ts';

let folder: string;
let tenant: Tenant;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fleet-pack-'));
  tenant = await makeTenant(folder, { partners: 200 });
});
afterAll(async () => {
  await dropTestDatabase(tenant.access);
  await rm(folder, { recursive: true, force: true });
});

/** Packs it into a file; what it lost. */
async function packed(file: string): Promise<string[]> {
  const lost: string[] = [];
  await inFolder((own) => {
    const options = { filestore: tenant.filestore, folder: own, signal: neverAborted() };
    return packArchive(tenant.access, { ...options, onLost: (text) => lost.push(text) }, async (bytes) => {
      const pieces: Buffer[] = [];
      for await (const piece of bytes) pieces.push(piece);
      await writeFile(file, Buffer.concat(pieces));
    });
  });
  return lost;
}

it('a database that runs elsewhere is packed into an archive with its files', async () => {
  const file = join(folder, 'whole.zip');
  expect(await packed(file)).toEqual([]);
  const archive = await openOdooArchive(file);
  expect(archive.files.size).toBe(4);
  const pieces: Buffer[] = [];
  for await (const piece of archive.read(archive.dump)) pieces.push(piece);
  const sql = Buffer.concat(pieces).toString();
  expect(sql).toContain('名前 🐘');
  expect(sql).not.toMatch(/^(GRANT|REVOKE|ALTER .* OWNER TO) /m);
  expect(sql).toContain('-- PostgreSQL database dump complete');
  await archive.close();
});

it('a file that it has lost is left out, and told', async () => {
  const name = await tenant.asSuperuser((client) => tenant.attach(client, 'soon gone'));
  await unlink(join(tenant.filestore, name));
  const file = join(folder, 'lost.zip');
  expect(await packed(file)).toEqual([
    expect.stringContaining(`names the file ${name}, which is not in the filestore`),
  ]);
  const archive = await openOdooArchive(file);
  expect(archive.files.size).toBe(4);
  await archive.close();
});
