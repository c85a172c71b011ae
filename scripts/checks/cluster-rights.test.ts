import { expect, test } from 'vitest';
import { rightsMistakes, wantedRights } from './cluster-rights.ts';

test('Roles that give what the steps call have no mistakes', () => {
  expect(rightsMistakes(wantedRights)).toEqual([]);
});

test('a Role that gives too much or too little is named', () => {
  const stop = { ...wantedRights['stop'], secrets: ['get', 'list'], pods: [] } as const;
  expect(rightsMistakes({ ...wantedRights, stop, billing: { secrets: ['get'] } })).toEqual([
    'Role stop allows to list secrets, which no step of it does.',
    'Role stop does not allow to list pods.',
    'Role billing allows to get secrets, which no step of it does.',
  ]);
});

test('who only finds drift does not put it right, and nobody makes a volume anew', () => {
  expect(wantedRights['reconcile']?.['deployments']).toEqual(['list']);
  const makers = Object.entries(wantedRights).filter(([, rights]) =>
    rights['persistentvolumeclaims']?.includes('create'),
  );
  expect(makers.map(([name]) => name)).toEqual(['provision', 'clone', 'import']);
});
