import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newOperationId, shortOperationId } from '../operation/identifiers.ts';
import { deriveInstanceId, instanceIdPattern, namesOf } from './names.ts';

const instanceId = fc.stringMatching(/^[a-z2-7]{12}$/);
const postgresNames = ['database', 'role', 'ownerRole', 'backupRole'] as const;

describe('names of an instance', () => {
  test('fit into 63 bytes and need no quotes where they are used', () => {
    fc.assert(
      fc.property(instanceId, (id) => {
        for (const [what, name] of Object.entries(namesOf(id))) {
          expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
          const isPostgres = (postgresNames as readonly string[]).includes(what);
          expect(name).toMatch(isPostgres ? /^[a-z_][a-z0-9_]*$/ : /^[a-z]([a-z0-9-]*[a-z0-9])?$/);
        }
      }),
    );
  });

  test('leave room for the name of its init Job', () => {
    const job = `${namesOf('abcdefgh2345').object}-init-${shortOperationId(newOperationId())}-9999999999`;
    expect(job.length).toBeLessThanOrEqual(63);
  });

  test('of two instances have nothing in common', () => {
    fc.assert(
      fc.property(instanceId, instanceId, (one, other) => {
        fc.pre(one !== other);
        const names = new Set<string>(Object.values(namesOf(one)));
        expect(Object.values(namesOf(other)).filter((name) => names.has(name))).toEqual([]);
      }),
    );
  });

  test('are distinct among the objects of one kind', () => {
    const { object, cronDeployment, credentialsSecret, configurationSecret, role, ownerRole } = namesOf('abcdefgh2345');
    expect(new Set([object, cronDeployment]).size).toBe(2);
    expect(new Set([credentialsSecret, configurationSecret]).size).toBe(2);
    expect(new Set([role, ownerRole]).size).toBe(2);
  });
});

describe('a derived instance id', () => {
  test('is an instance id, always the same for one request', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (source, key) => {
        const id = deriveInstanceId(source, key);
        expect(id).toMatch(instanceIdPattern);
        expect(deriveInstanceId(source, key)).toBe(id);
      }),
    );
    // written down: another value here would make a second instance of a request that is delivered again
    expect(deriveInstanceId('urn:billing', 'order-7731')).toBe('npo43ja74hyr');
  });

  test('differs by source and by key', () => {
    const ids = ['urn:a', 'urn:b'].flatMap((source) => ['1', '2'].map((key) => deriveInstanceId(source, key)));
    expect(new Set(ids).size).toBe(4);
  });
});
