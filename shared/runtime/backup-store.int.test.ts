import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isWithoutS3, s3World, whyWithoutS3 } from '#shared/adapters/objectstore/s3.fixture.ts';
import { backupRemover, backups } from './backup-rows.ts';
import { backupStoreAccess, openBackupRemover, openBackupStore } from './backup-store.ts';
import { type Environment, parseConfig } from './config.ts';
import { knownSecrets } from './known-secrets.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'backup-store-'));
});
afterAll(() => rm(folder, { recursive: true }));
const writerConfig = (env: Environment) => parseConfig(backups, env);
const removerConfig = (env: Environment) => parseConfig(backupRemover, env);

describe('the configuration of backups', () => {
  it('may be left out, and says so where backups are made', () => {
    expect(writerConfig({}).backupStore).toBeUndefined();
    const refusal = { code: 'misconfigured', message: expect.stringMatching(/BACKUP_STORE is not set/) };
    expect(() => openBackupStore(writerConfig({}))).toThrow(expect.objectContaining(refusal));
    expect(() => openBackupRemover(removerConfig({}))).toThrow(expect.objectContaining(refusal));
  });

  it.each(['relative/path', 's3://', 's3://Upper', 's3://bucket/prefix', 'https://bucket'])(
    'refuses %j as a store',
    (store) => {
      expect(() => writerConfig({ BACKUP_STORE: store })).toThrow(/BACKUP_STORE is .*s3:\/\/bucket/);
    },
  );

  it('opens a folder, for those who write and those who remove', async () => {
    const env = { BACKUP_STORE: join(folder, 'store') };
    await openBackupStore(writerConfig(env)).put('a/b', Buffer.from('x'));
    const remover = openBackupRemover(removerConfig(env));
    expect((await remover.list({ prefix: '' })).keys).toEqual(['a/b']);
    await remover.remove('a/b');
    expect(await openBackupStore(writerConfig(env)).get('a/b')).toBeUndefined();
    expect(await backupStoreAccess(writerConfig(env))).toEqual({ kind: 'directory', folder: env.BACKUP_STORE });
  });

  it('reaches AWS where no endpoint is named', async () => {
    const file = join(folder, 'aws.json');
    await writeFile(file, '{"accessKeyId":"a","secretAccessKey":"a-secret-of-the-test"}');
    const env = { BACKUP_STORE: 's3://my-bucket', BACKUP_S3_REGION: 'eu-central-1', BACKUP_S3_CREDENTIALS_FILE: file };
    expect(await backupStoreAccess(writerConfig(env))).toEqual({
      kind: 's3',
      endpoint: 'https://s3.eu-central-1.amazonaws.com',
      region: 'eu-central-1',
      bucket: 'my-bucket',
      accessKeyId: 'a',
      secretAccessKey: 'a-secret-of-the-test',
    });
    expect(knownSecrets.scrub('it was a-secret-of-the-test')).toBe('it was [secret]');
  });

  it.each([
    ['no file', undefined, /BACKUP_S3_CREDENTIALS_FILE is not set/],
    ['a file that is not there', 'missing.json', /cannot be read \(ENOENT\)/],
    ['no JSON', 'text.json', /does not hold \{"accessKeyId"/],
    ['half of it', 'half.json', /does not hold \{"accessKeyId"/],
  ])('says what is wrong with the credentials: %s', async (_what, name, message) => {
    await writeFile(join(folder, 'text.json'), 'secretAccessKey: hidden-text');
    await writeFile(join(folder, 'half.json'), '{"secretAccessKey":"hidden-text"}');
    const file = name === undefined ? {} : { BACKUP_S3_CREDENTIALS_FILE: join(folder, name) };
    const config = writerConfig({ BACKUP_STORE: 's3://bucket', ...file });
    const refusal = { code: 'misconfigured', message: expect.stringMatching(message) };
    await expect(backupStoreAccess(config)).rejects.toMatchObject(refusal);
    const caught = await openBackupStore(config)
      .head('k')
      .catch((error: unknown) => error);
    expect(caught).toMatchObject(refusal);
    expect(String(caught)).not.toContain('hidden-text');
  });
});

describe.skipIf(isWithoutS3)(`a bucket for backups${whyWithoutS3}`, () => {
  const world = s3World();

  it('is opened with the credentials of who writes and of who removes', async () => {
    const { server } = world();
    const [writer, remover] = [join(folder, 'writer.json'), join(folder, 'remover.json')];
    await writeFile(writer, JSON.stringify(server.writer));
    await writeFile(remover, JSON.stringify(server.remover));
    const place = {
      BACKUP_STORE: `s3://${server.bucket}`,
      BACKUP_S3_ENDPOINT: server.endpoint,
      BACKUP_S3_REGION: server.region,
    };
    const store = openBackupStore(writerConfig({ ...place, BACKUP_S3_CREDENTIALS_FILE: writer }));
    await store.put('backups/k', Buffer.from('x'));
    await expect(store.remove('backups/k')).rejects.toMatchObject({ code: 'not-allowed' });
    const removing = openBackupRemover(removerConfig({ ...place, BACKUP_REMOVER_CREDENTIALS_FILE: remover }));
    await removing.remove('backups/k');
    expect(await store.get('backups/k')).toBeUndefined();
  });
});
