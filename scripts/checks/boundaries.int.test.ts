import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'boundaries-'));
  await copyFile(join(root, '.oxlintrc.json'), join(folder, '.oxlintrc.json'));
});
afterAll(() => rm(folder, { recursive: true }));

/** One import in one file: the place of the file, and what it imports. */
type Import = readonly [file: string, target: string];

const refused: readonly Import[] = [
  ['events/instance/a.ts', '#shared/domain/failure.ts'],
  ['events/instance/b.ts', '../../shared/domain/failure.ts'],
  ['events/instance/c.ts', 'pg'],
  ['events/instance/d.ts', 'node:fs'],
  ['shared/domain/instance/a.ts', '#shared/adapters/postgres/pool.ts'],
  ['shared/domain/instance/b.ts', '../../adapters/postgres/pool.ts'],
  ['shared/domain/instance/c.ts', '#shared/steps/database/provide-database.ts'],
  ['shared/domain/instance/d.ts', '#shared/runtime/serve.ts'],
  ['shared/domain/instance/e.ts', '#functions/provision/handler.ts'],
  ['shared/domain/instance/f.ts', 'undici'],
  ['shared/domain/instance/g.ts', 'node:fs'],
  ['shared/steps/database/a.ts', '#shared/adapters/odoo-server/claim.ts'],
  ['shared/steps/database/b.ts', '../../adapters/odoo-server/claim.ts'],
  ['shared/steps/database/c.ts', '#shared/runtime/config.ts'],
  ['shared/steps/database/d.ts', '../../runtime/config.ts'],
  ['shared/steps/database/e.ts', '#functions/provision/operation.ts'],
  ['shared/adapters/redis/a.ts', '#shared/runtime/config.ts'],
  ['shared/adapters/redis/b.ts', '#shared/steps/runtime/apply-part.ts'],
  ['shared/adapters/redis/c.ts', '#functions/provision/operation.ts'],
  ['shared/adapters/redis/d.ts', '../../runtime/config.ts'],
  ['shared/adapters/redis/e.ts', '#shared/testing/servers.ts'],
  ['shared/runtime/a.ts', '#functions/provision/operation.ts'],
  ['shared/runtime/b.ts', '#shared/steps/database/create-roles.ts'],
  ['shared/runtime/c.ts', '#shared/adapters/kubernetes/client.ts'],
  ['shared/runtime/operation/d.ts', '../../adapters/kubernetes/client.ts'],
  ['shared/runtime/e.ts', '#shared/sandbox/manifests.ts'],
  ['functions/provision/a.ts', '#functions/observe/handler.ts'],
  ['functions/provision/b.ts', '../observe/handler.ts'],
  ['functions/provision/c.ts', '#shared/sandbox/manifests.ts'],
  ['functions/provision/d.ts', '#shared/testing/servers.ts'],
  ['functions/provision/e.ts', '#scripts/migrate.ts'],
  ['shared/sandbox/broker/a.ts', '#functions/provision/main.ts'],
  ['shared/sandbox/broker/b.ts', '../../../functions/provision/main.ts'],
  ['shared/sandbox/broker/c.ts', '#shared/runtime/serve.ts'],
  ['shared/sandbox/broker/d.ts', '#shared/steps/database/create-roles.ts'],
  ['shared/sandbox/broker/e.ts', '#shared/testing/servers.ts'],
  ['shared/testing/a.ts', '#functions/provision/handler.ts'],
];

const allowed: readonly Import[] = [
  ['events/instance/ok.ts', 'valibot'],
  ['events/instance/ok2.ts', '#events/envelope.ts'],
  ['shared/domain/instance/ok.ts', '../failure.ts'],
  ['shared/domain/instance/ok2.ts', '#events/catalogue.ts'],
  ['shared/domain/instance/ok3.ts', 'node:crypto'],
  ['shared/steps/database/ok.ts', '#shared/domain/failure.ts'],
  ['shared/steps/database/ok2.ts', '#shared/steps/runtime/apply-part.ts'],
  ['shared/adapters/redis/ok.ts', '#shared/domain/cache/cache.ts'],
  ['shared/adapters/redis/ok2.ts', 'ioredis'],
  ['shared/adapters/redis/ok.test.ts', '#shared/testing/servers.ts'],
  ['shared/runtime/ok.ts', '#shared/adapters/postgres/pool.ts'],
  ['functions/provision/ok.ts', '#shared/runtime/serve.ts'],
  ['functions/provision/ok2.ts', './handler.ts'],
  ['functions/provision/ok.test.ts', '#shared/testing/servers.ts'],
  ['shared/sandbox/fleet/ok.ts', '#shared/sandbox/functions/hosts.ts'],
  ['shared/sandbox/fleet/ok2.ts', '../functions/hosts.ts'],
  ['scripts/local/ok.ts', '#shared/sandbox/manifests.ts'],
];

/** Files in which oxlint refuses something, each once. */
async function lint(sources: ReadonlyMap<string, string>): Promise<string[]> {
  for (const [file, source] of sources) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), source);
  }
  const output = await new Promise<string>((resolve) => {
    const args = ['--format=unix', '.'];
    execFile(join(root, 'node_modules/.bin/oxlint'), args, { cwd: folder }, (_error, stdout) => resolve(stdout));
  });
  const files = output.split('\n').map((line) => /^([\w./-]+\.ts):\d+:\d+: .*restrict|forbidden/.exec(line)?.[1]);
  return [...new Set(files.filter((file) => file !== undefined))].toSorted();
}

const inEveryForm: readonly ((target: string) => string)[] = [
  (target) => `import { thing } from '${target}';\nexport const copy = thing;\n`,
  (target) => `import type { Thing } from '${target}';\nexport type Copy = Thing;\n`,
  (target) => `export { thing } from '${target}';\n`,
  (target) => `export const thing = await import('${target}');\n`,
];

it.each(inEveryForm.map((form) => [form('TARGET').split('\n')[0], form] as const))(
  'refuses every import against the direction and no other: %s',
  async (_text, form) => {
    const files = await lint(new Map([...refused, ...allowed].map(([file, target]) => [file, form(target)])));
    expect(files).toEqual(refused.map(([file]) => file).toSorted());
  },
);
