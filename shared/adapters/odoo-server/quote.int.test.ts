import fc from 'fast-check';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from './odoo-server.fixture.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';

const hostile = fc.oneof(
  fc.constantFrom(
    'a"; DROP DATABASE victim; --',
    "a'; DROP DATABASE victim; --",
    'a\\"; DROP DATABASE victim; --',
    '"',
    '""',
    "'",
    '\\',
    'line\nbreak',
    '--host=example.com',
    '../../etc/passwd',
    'postgres"',
    'x'.repeat(63),
    'x'.repeat(64),
    'ü'.repeat(32),
    'nul\0byte',
    '',
    '😀',
    '$1',
    '/* */',
  ),
  fc.string({ unit: 'grapheme', maxLength: 70 }),
  fc.string({ unit: fc.constantFrom('"', "'", ';', '\\', ' ', '-', '\n', 'a'), maxLength: 40 }),
);

describe.each(['system', 'embedded'] as const)('quoting on the %s PostgreSQL', (version) => {
  let on: TestServer;
  let admin: Client;

  beforeAll(async () => {
    on = await startTestServer(version);
    const { host, port, adminUser: user } = on.server;
    admin = new Client({ host, port, user, password: on.adminPassword, database: 'postgres' });
    await admin.connect();
    await admin.query('CREATE DATABASE victim');
  });
  afterAll(async () => {
    await admin.end();
    await on.stop();
  });

  const names = async (text: string) => (await admin.query<{ name: string }>(text)).rows.map(({ name }) => name).sort();
  const roles = () => names('SELECT rolname AS name FROM pg_roles');
  const databases = () => names('SELECT datname AS name FROM pg_database');

  test('a name that passed no check names one role, exactly, or is refused before it is sent', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (name) => {
        const before = [await roles(), await databases()] as const;
        let quoted: string;
        try {
          quoted = quoteIdentifier(name);
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid-request' });
          expect(name === '' || name.includes('\0') || Buffer.byteLength(name) > 63).toBe(true);
          return;
        }
        // a reserved or a taken name (pg_…, public, none, postgres) is the server's to refuse
        const made = await admin.query(`CREATE ROLE ${quoted}`).then(
          () => [name],
          () => [],
        );
        expect(await roles()).toEqual([...before[0], ...made].sort());
        expect(await databases()).toEqual(before[1]);
        if (made.length > 0) await admin.query(`DROP ROLE ${quoted}`);
      }),
      { numRuns: 150 },
    );
  });

  test('hostile database names are created, renamed and dropped as one database', async () => {
    for (const name of ['a"; DROP DATABASE victim; --', '--host=example.com', 'line\nbreak', '../x', 'x'.repeat(63)]) {
      const before = await databases();
      await admin.query(`CREATE DATABASE ${quoteIdentifier(name)}`);
      expect(await databases()).toEqual([...before, name].sort());
      await admin.query(`ALTER DATABASE ${quoteIdentifier(name)} RENAME TO ${quoteIdentifier('renamed"')}`);
      await admin.query(`DROP DATABASE ${quoteIdentifier('renamed"')}`);
      expect(await databases()).toEqual(before);
    }
  });

  test('a text comes back as it was, whatever it holds', async () => {
    await fc.assert(
      fc.asyncProperty(hostile, async (text) => {
        if (text.includes('\0')) {
          expect(() => quoteLiteral(text)).toThrow(expect.objectContaining({ code: 'invalid-request' }));
          return;
        }
        const { rows } = await admin.query(`SELECT ${quoteLiteral(text)} AS text`);
        expect(rows).toEqual([{ text }]);
      }),
      { numRuns: 150 },
    );
  });
});
