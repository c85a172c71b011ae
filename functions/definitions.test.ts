import { expect, test } from 'vitest';
import { definitionFacts } from '#shared/domain/operation/definitions.ts';
import { knownVersions } from '#shared/domain/operation/step.ts';
import { purgeOperation } from './purge/operation.ts';
import { restoreOperation } from './restore/operation.ts';
import { verifyOperation } from './verify/operation.ts';

// Building a list of steps touches no port.
const ports = {} as never;

test.each([
  ['purge', purgeOperation(ports).definition],
  ['verify', verifyOperation(ports).definition],
  ['restore', restoreOperation(ports).definition],
] as const)('who accepts a %s knows all versions that its function carries out', (kind, definition) => {
  expect(knownVersions(definitionFacts[kind])).toEqual(knownVersions(definition));
  const { deadlineMs, cancel } = definitionFacts[kind];
  expect(definition).toMatchObject({ kind, deadlineMs, cancel });
});
