import { describe, expect, test } from 'vitest';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { exampleInstance } from '#shared/testing/examples.ts';
import {
  type Catalogue,
  type CatalogueDatabase,
  type CatalogueRole,
  databaseDriftOf,
  databaseOrphansOf,
} from './catalogue-drift.ts';
import { personalisedMark } from './object-names.ts';

const instance = exampleInstance();
const { id } = instance;
const live = `odoo_${id}`;
const tombstone = `tombstone_${id}`;
const terminated = exampleInstance({ desiredState: 'terminated' });

const database = (name: string, change: Partial<CatalogueDatabase> = {}): CatalogueDatabase => ({
  name,
  owner: `${live}_owner`,
  isOurs: true,
  allowsConnections: !name.startsWith('tombstone_'),
  mark: personalisedMark(id),
  publicMayConnect: false,
  namesakeMayConnect: true,
  bytes: 5 * 1024 ** 3,
  ...change,
});
const role = (name: string, change: Partial<CatalogueRole> = {}): CatalogueRole => ({
  name,
  mayLogIn: !name.endsWith('_owner'),
  connectionLimit: name.endsWith('_owner') ? -1 : instance.plan.databaseConnections,
  isPrivileged: false,
  ...change,
});
const bothRoles = [role(live), role(`${live}_owner`)];

function catalogue(databases: CatalogueDatabase[], roles: CatalogueRole[] = bothRoles): Catalogue {
  const byName = <T extends { name: string }>(rows: T[]) => new Map(rows.map((row) => [row.name, row]));
  return { databases: byName(databases), roles: byName(roles) };
}
const kindsOf = (of: Instance, found: Catalogue) => databaseDriftOf(of, found).map(({ kind }) => kind);

describe('the drift of an instance', () => {
  test('is nothing where all is as it should be', () => {
    expect(databaseDriftOf(instance, catalogue([database(live)]))).toEqual([]);
    const locked = [role(live, { mayLogIn: false }), role(`${live}_owner`)];
    expect(databaseDriftOf(terminated, catalogue([database(tombstone)], locked))).toEqual([]);
  });

  test.each<[string, Partial<CatalogueDatabase>]>([
    ['database-owner-wrong', { owner: 'postgres', isOurs: false }],
    ['database-closed', { allowsConnections: false }],
    ['database-open-to-public', { publicMayConnect: true }],
    ['database-grants-wrong', { namesakeMayConnect: false }],
    ['database-unpersonalised', { mark: null }],
    ['database-unpersonalised', { mark: personalisedMark('zzzzzzzzzzzz') }],
    ['database-oversized', { bytes: 5 * 1024 ** 3 + 1 }],
  ])('is %s of its database', (kind, change) => {
    expect(kindsOf(instance, catalogue([database(live, change)]))).toEqual([kind]);
  });

  test('says nothing of a size that was not measured', () => {
    expect(kindsOf(instance, catalogue([database(live, { bytes: null })]))).toEqual([]);
  });

  test('is a role that is missing, or that may do more or less than it should', () => {
    const kinds = (roles: CatalogueRole[]) => kindsOf(instance, catalogue([database(live)], roles));
    const [login, owner] = [role(live), role(`${live}_owner`)];
    expect(kinds([])).toEqual(['role-missing', 'role-missing']);
    expect(kinds([login])).toEqual(['role-missing']);
    expect(kinds([{ ...login, mayLogIn: false }, owner])).toEqual(['role-wrong']);
    expect(kinds([{ ...login, connectionLimit: -1 }, owner])).toEqual(['role-wrong']);
    expect(kinds([{ ...login, isPrivileged: true }, owner])).toEqual(['role-wrong']);
    expect(kinds([login, { ...owner, mayLogIn: true }])).toEqual(['role-wrong']);
  });

  test('is where the database is, when that is not where it should be', () => {
    expect(kindsOf(instance, catalogue([]))).toEqual(['database-missing']);
    expect(kindsOf(instance, catalogue([database(`making_${id}_3`)]))).toEqual(['database-missing']);
    expect(kindsOf(instance, catalogue([database(`quarantine_${id}_1`)]))).toEqual(['database-missing']);
    expect(kindsOf(instance, catalogue([database(tombstone)]))).toEqual(['database-aside']);
    expect(kindsOf(terminated, catalogue([]))).toEqual(['database-missing']);
    for (const of of [instance, terminated]) {
      expect(kindsOf(of, catalogue([database(live), database(tombstone)]))).toEqual(['database-doubled']);
    }
  });

  test('of a terminated one is all by which somebody can still come in', () => {
    const locked = [role(live, { mayLogIn: false })];
    const detailsOf = (found: Catalogue) => databaseDriftOf(terminated, found).map(({ detail }) => detail);
    expect(detailsOf(catalogue([database(live)], locked))).toEqual([`${live} has its own name`]);
    expect(detailsOf(catalogue([database(tombstone, { allowsConnections: true })], locked))).toEqual([
      `${tombstone} takes connections`,
    ]);
    expect(detailsOf(catalogue([database(tombstone)]))).toEqual([`role ${live} may log in`]);
  });
});

describe('orphans', () => {
  const namesOf = (found: Catalogue, known: string[]) =>
    databaseOrphansOf(found, new Set(known)).map(({ name, database: toQuarantine }) => [name, toQuarantine]);

  test('are databases and roles of unknown instances, and nothing of a known one', () => {
    const found = catalogue([database(live), database(tombstone)]);
    expect(namesOf(found, [id])).toEqual([]);
    expect(namesOf(found, ['zzzzzzzzzzzz'])).toEqual([
      [`database ${live}`, live],
      [`database ${tombstone}`, tombstone],
    ]);
    expect(namesOf(catalogue([]), [id])).toEqual([]);
    expect(namesOf(catalogue([]), [])).toEqual([
      [`role ${live}`, undefined],
      [`role ${live}_owner`, undefined],
    ]);
  });

  test('are not what is half-made or in quarantine, nor the roles of those', () => {
    expect(namesOf(catalogue([database(`making_${id}_3`)]), [])).toEqual([]);
    expect(namesOf(catalogue([database(`quarantine_${id}_1`)]), [])).toEqual([]);
  });

  test("are told, but cannot be put aside, when they are somebody else's", () => {
    expect(namesOf(catalogue([database(live, { isOurs: false, owner: 'postgres' })]), [])).toEqual([
      [`database ${live}`, undefined],
    ]);
  });
});
