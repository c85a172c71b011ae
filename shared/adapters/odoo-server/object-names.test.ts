import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deriveInstanceId } from '#shared/domain/instance/names.ts';
import { makingName, personalisedMark, templateNames, tenantNames, trashName } from './object-names.ts';

test('every name fits the 63 bytes that PostgreSQL keeps, with any fence', () => {
  fc.assert(
    fc.property(fc.string(), fc.maxSafeNat(), (key, fence) => {
      const id = deriveInstanceId('source', key);
      const names = [
        makingName(id, fence),
        trashName(id, `${fence}_${Date.now().toString(36)}`),
        tenantNames(id).ownerRole,
      ];
      expect(names.every((name) => Buffer.byteLength(name) <= 63)).toBe(true);
    }),
  );
});

test('no name is made of anything but an instance id or a digest', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^[a-z2-7]{12}$/.test(text) && !/^[0-9a-f]{12}$/.test(text));
      const refusal = expect.objectContaining({ code: 'invalid-request' });
      expect(() => tenantNames(text)).toThrow(refusal);
      expect(() => makingName(text, 1)).toThrow(refusal);
      expect(() => personalisedMark(text)).toThrow(refusal);
      expect(() => templateNames(text)).toThrow(refusal);
    }),
  );
});
