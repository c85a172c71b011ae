import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { signEvent, verifySignature } from '#shared/adapters/eventing/signature.ts';
import { readPrivateKey, readPublicKey } from '#shared/adapters/eventing/signature-keys.ts';
import { findSource } from '#shared/adapters/postgres/sources.ts';
import { databaseOfThisFile, platformSettings } from '#shared/testing/databases.ts';
import { platformOfThisFile } from '#shared/testing/platform.ts';
import { runSources } from './sources.ts';

const made = databaseOfThisFile();
const records = platformOfThisFile(made);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sources-'));
  await writeFile(join(folder, 'password'), made().password, { mode: 0o600 });
  await records().query("insert into customers (id) values ('c-1')");
});
afterAll(() => rm(folder, { recursive: true }));

async function sources(...args: string[]) {
  const env = {
    ...platformSettings(made(), join(folder, 'password')),
  };
  const out: string[] = [];
  const errors: string[] = [];
  const code = await runSources(args, env, {
    print: (line) => out.push(line),
    printError: (line) => errors.push(line),
  });
  return { code, out: out.join('\n'), errors: errors.join('\n') };
}
const json = async (...args: string[]) => JSON.parse((await sources(...args, '--json')).out) as Record<string, unknown>;

const type = 'dev.odoofleet.instance.provision.requested';

test('rows are added, replaced, listed and removed, each with an entry in the audit', async () => {
  const source = 'urn:shop';
  expect(await sources('allow', source, '--type', type, '--customer', 'c-1')).toEqual({
    code: 0,
    out: `urn:shop may send ${type}, for customer c-1 only`,
    errors: '',
  });
  expect((await sources('allow', source, '--type', '*', '--must-sign')).out).toBe(
    'urn:shop may send *, signed\nIt has no key yet.',
  );
  expect((await sources('list')).out).toContain('urn:shop may send *, signed');
  expect(await json('list', '--source', source)).toEqual({
    sources: [
      {
        source,
        rules: [
          { eventType: '*', customerId: null, mustSign: true },
          { eventType: type, customerId: 'c-1', mustSign: false },
        ],
        keys: [],
      },
    ],
  });
  expect((await sources('forbid', source, '--type', type)).code).toBe(0);
  expect(await sources('forbid', source, '--type', type)).toMatchObject({
    code: 1,
    errors: expect.stringContaining('has no row'),
  });
  const { rows } = await records().query<{ action: string }>(
    "select action from audit where detail ->> 'source' = $1 order by sequence",
    [source],
  );
  expect(rows.map(({ action }) => action)).toEqual(['source.allow', 'source.allow', 'source.forbid']);
});

test('a key pair is made, its private half for its owner only, and its public half becomes a key', async () => {
  const source = 'urn:billing';
  const [privateFile, publicFile] = [join(folder, 'private.pem'), join(folder, 'public.pem')];
  const madeKey = await sources('make-key', '--private-key', privateFile, '--public-key', publicFile, '--json');
  expect(madeKey.code).toBe(0);
  expect(madeKey.out).not.toContain('PRIVATE');
  const { keyId } = JSON.parse(madeKey.out) as { keyId: string };
  expect((await stat(privateFile)).mode & 0o777).toBe(0o600);
  expect(await json('add-key', source, '--public-key', publicFile)).toEqual({ source, keyId, algorithm: 'EdDSA' });
  const [key] = (await findSource(records(), source)).keys;
  const event = { id: '1', source, type, dataHash: hashOfData({}) };
  const signature = await signEvent(event, readPrivateKey(await readFile(privateFile, 'utf8')));
  const keys = new Map([[keyId, readPublicKey(key?.publicKey ?? '')]]);
  expect(await verifySignature(event, signature, keys)).toEqual({ valid: true, keyId });
  expect((await sources('remove-key', source, '--key-id', keyId)).code).toBe(0);
  expect((await sources('remove-key', source, '--key-id', keyId)).code).toBe(1);
});

test('a private key is never written over, and printed only when asked for', async () => {
  const file = join(folder, 'twice.pem');
  const first = await sources('make-key', '--private-key', file, '--algorithm', 'ES256');
  expect(first.out).toMatch(/^Key id: [\w-]{43}\n-----BEGIN PUBLIC KEY-----/);
  const content = await readFile(file, 'utf8');
  expect(await sources('make-key', '--private-key', file)).toMatchObject({
    code: 1,
    errors: expect.stringContaining('the file is there already'),
  });
  expect(await readFile(file, 'utf8')).toBe(content);
  expect((await sources('make-key', '--private-key', '-')).out).toContain('BEGIN PRIVATE KEY');
});

test('a private key is refused as the key of a source, without being shown', async () => {
  const file = join(folder, 'mistake.pem');
  await sources('make-key', '--private-key', file);
  const result = await sources('add-key', 'urn:x', '--public-key', file);
  expect(result).toMatchObject({ code: 1, errors: expect.stringContaining('only the public half belongs here') });
  expect(result.errors).not.toContain((await readFile(file, 'utf8')).split('\n')[1]);
});

test.each([
  [[], 'The command is one of'],
  [['constructor'], 'The command is one of'],
  [['allow', '--type', type], 'takes one source'],
  [['allow', 'urn:x'], 'needs --type'],
  [['allow', 'urn:x', '--type', 'dev.odoofleet.typo'], 'is not in the catalogue'],
  [['allow', 'urn:x', '--type', 'dev.knative.sources.ping'], 'need no row'],
  [['forbid', 'urn:x', '--type', type, '--customer', 'c-1'], 'has no option --customer'],
  [['make-key'], 'needs --private-key'],
  [['make-key', '--private-key', '-', '--algorithm', 'HS256'], 'is one of EdDSA, ES256'],
  [['list', '--what'], "Unknown option '--what'"],
])('called as %j it says what is wrong and ends with 2', async (args, text) => {
  expect(await sources(...args)).toMatchObject({ code: 2, out: '', errors: expect.stringContaining(text) });
});

test('what cannot be done ends with 1, for programs too', async () => {
  expect(await sources('allow', 'urn:x', '--type', '*', '--customer', 'nobody', '--json')).toMatchObject({
    code: 1,
    out: JSON.stringify({ error: { code: 'not-found', message: 'There is no customer nobody.' } }),
  });
  expect(await sources('add-key', 'urn:x', '--public-key', join(folder, 'none'))).toMatchObject({
    code: 1,
    errors: 'The public key cannot be read (ENOENT).',
  });
  expect((await sources('--help')).out).toContain('Usage: node scripts/sources.ts');
});
