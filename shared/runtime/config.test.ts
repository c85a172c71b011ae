import { describe, expect, expectTypeOf, it } from 'vitest';
import { Failure } from '#shared/domain/failure.ts';
import {
  defineConfig,
  helpOf,
  httpUrl,
  integer,
  oneOf,
  parseConfig,
  requiredRow,
  row,
  secretRow,
  text,
  trueOrFalse,
} from './config.ts';
import { knownSecrets } from './known-secrets.ts';
import * as rows from './rows.ts';

const example = defineConfig({
  port: row('PORT', integer(1, 65_535), 8080, 'Port to listen on.'),
  url: requiredRow('BROKER_URL', httpUrl, 'Where events go.', { alsoNamed: ['K_SINK'] }),
  level: row('LOG_LEVEL', oneOf('info', 'warn'), 'info', 'Least level.'),
  host: row('REDIS_HOST', text({ pattern: /^[a-z]+$/, wanted: 'a host' }), undefined, 'Host.'),
  isStrict: row('STRICT', trueOrFalse, false, 'Strict?'),
  password: secretRow('DB_PASSWORD', 'Password.'),
  optional: secretRow('REDIS_PASSWORD', 'Password.', { optional: true }),
});
const readFile = (path: string) => {
  if (path === '/run/password') return 'correct horse\n';
  if (path === '/run/empty') return '\n';
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};
const good = { BROKER_URL: 'http://broker/x', DB_PASSWORD_FILE: '/run/password' };
const parse = (env: Record<string, string | undefined>) => parseConfig(example, env, { readFile });

function failureOf(work: () => unknown): Failure {
  try {
    work();
  } catch (caught) {
    if (caught instanceof Failure) return caught;
  }
  throw new Error('no Failure was thrown');
}

describe('parseConfig', () => {
  it('gives typed values, defaults and secrets from files', () => {
    const config = parse(good);
    expect(config).toEqual({
      port: 8080,
      url: 'http://broker/x',
      level: 'info',
      host: undefined,
      isStrict: false,
      password: 'correct horse',
      optional: undefined,
    });
    expectTypeOf(config.port).toEqualTypeOf<number>();
    expectTypeOf(config.level).toEqualTypeOf<'info' | 'warn'>();
    expectTypeOf(config.host).toEqualTypeOf<string | undefined>();
    expectTypeOf(config.password).toEqualTypeOf<string>();
  });

  it('lists every mistake at once, with the name and what to write', () => {
    const failure = failureOf(() =>
      parse({
        PORT: '0',
        LOG_LEVEL: 'loud',
        REDIS_HOST: 'A',
        STRICT: 'yes',
        DB_PASSWORD: 'x',
        REDIS_PASSWORD_FILE: '/no',
      }),
    );
    expect(failure.code).toBe('misconfigured');
    expect(failure.message.split('\n  ')).toEqual([
      'The configuration has 7 mistakes:',
      'PORT is "0": write a whole number from 1 to 65535.',
      'BROKER_URL is not set: write an http or https URL without user and password. Where events go.',
      'LOG_LEVEL is "loud": write one of info, warn.',
      'REDIS_HOST is "A": write a host.',
      'STRICT is "yes": write true or false.',
      'DB_PASSWORD is set as a plain value: put it into a file and write its path to DB_PASSWORD_FILE.',
      'REDIS_PASSWORD_FILE names /no, which cannot be read (ENOENT): mount the Secret or mend the path.',
    ]);
  });

  it.each(['', '1.5', '1e3', '0x10', ' 1', '99999999999999999999', '-1', 'NaN'])('refuses %j as a port', (port) => {
    if (port === '') expect(parse({ ...good, PORT: port }).port).toBe(8080);
    else expect(failureOf(() => parse({ ...good, PORT: port })).message).toContain('PORT is');
  });

  it('takes the platform’s name for a row when ours is not set', () => {
    expect(parse({ DB_PASSWORD_FILE: '/run/password', K_SINK: 'http://sink' }).url).toBe('http://sink');
    expect(parse({ ...good, K_SINK: 'http://sink' }).url).toBe('http://broker/x');
  });

  it('never shows a secret: not a plain one, not one inside a URL, not one from a file', () => {
    const failure = failureOf(() => parse({ BROKER_URL: 'http://user:hunter2@broker', DB_PASSWORD: 'hunter2' }));
    expect(failure.message).toContain('BROKER_URL is "http://***@broker"');
    expect(failure.message).not.toContain('hunter2');
    parse(good);
    expect(knownSecrets.scrub('it was correct horse')).toBe('it was [secret]');
  });

  it('refuses an empty secret file', () => {
    expect(failureOf(() => parse({ ...good, DB_PASSWORD_FILE: '/run/empty' })).message).toContain(
      'empty file /run/empty',
    );
  });
});

it('refuses two rows of one name', () => {
  const one = row('PORT', integer(1, 2), 1, 'x');
  expect(() => defineConfig({ a: one, b: one })).toThrow('Two rows of the configuration are named PORT.');
});

it('explains every row in the help text', () => {
  const help = helpOf(example);
  expect(help).toContain(
    'BROKER_URL or K_SINK\n    Where events go.\n    an http or https URL without user and password; required',
  );
  expect(help).toContain('DB_PASSWORD_FILE\n    Password.\n    path of a file with the secret; required');
  expect(help).toContain('REDIS_HOST\n    Host.\n    a host; optional');
});

it('has shared rows that fit together and need only a few values', () => {
  const { serving, platformDatabase, publishing, receiving, cache, tenantCluster, odooServers, operations } = rows;
  const all = defineConfig({
    ...serving,
    ...platformDatabase,
    ...publishing,
    ...receiving,
    ...cache,
    ...tenantCluster,
    ...odooServers,
    ...operations,
  });
  const env = {
    PLATFORM_POSTGRES_HOST: '127.0.0.1',
    PLATFORM_POSTGRES_PASSWORD_FILE: '/run/password',
    BROKER_URL: 'http://127.0.0.1:1',
    TENANT_CONNECT_TO: '127.0.0.1:8080',
  };
  expect(parseConfig(all, env, { readFile })).toMatchObject({
    port: 8080,
    platformPort: 5432,
    databasePoolMax: 5,
    tenantNamespace: 'odoo-tenants',
    leaseMs: 30_000,
    eventSource: 'urn:odoo-fleet',
    sourcesPolicy: 'known',
    eventSigningKey: undefined,
  });
});
