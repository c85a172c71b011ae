import { expect, test } from 'vitest';
import { checkKey } from '../objects/keys.ts';
import { newOperationId } from '../operation/identifiers.ts';
import { backupPrefix, manifestKey, verificationDatabaseName, verificationPrefix, workerJobName } from './job-names.ts';
import { jobSecrets } from './job-secrets.ts';

const place = { instanceId: 'abcdefgh2345', operationId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', round: 2 };
const backupId = newOperationId();

test('each Job has a place of its own in the store, and all names fit where they are used', () => {
  const keys = [
    `${backupPrefix(place)}/dump`,
    manifestKey(place),
    `${verificationPrefix(place, backupId)}/result`,
    `${verificationPrefix({ ...place, round: 3 }, backupId)}/result`,
    `${backupPrefix({ ...place, round: 3 })}/dump`,
  ];
  expect(new Set(keys).size).toBe(keys.length);
  for (const key of keys) expect(() => checkKey(key)).not.toThrow();
  const round = 999_999_999;
  expect(workerJobName('backup', { ...place, round }).length).toBeLessThanOrEqual(63);
  expect(verificationDatabaseName({ ...place, round }).length).toBeLessThanOrEqual(63);
});

test('what a Job needs follows from its key, its operation and its round, and from nothing less', () => {
  const key = Buffer.alloc(32, 1);
  const first = jobSecrets(key, place);
  expect(jobSecrets(Buffer.from(key), { ...place })).toEqual(first);
  expect(first.password).toMatch(/^[A-Za-z0-9_-]{32}$/);
  expect(Buffer.from(first.resultKey, 'base64')).toHaveLength(32);
  const others = [
    jobSecrets(Buffer.alloc(32, 2), place),
    jobSecrets(key, { ...place, round: 3 }),
    jobSecrets(key, { ...place, operationId: newOperationId() }),
  ];
  const all = [first, ...others].flatMap(({ password, resultKey }) => [password, resultKey]);
  expect(new Set(all).size).toBe(8);
});
