import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { canonicalJson, hmacSigner, openSealed, seal } from './manifest-seal.ts';

const key = Buffer.alloc(32, 7);
const signer = hmacSigner('k1', key);
const schema = v.strictObject({ name: v.string(), rows: v.number() });
const wanted = { purpose: 'backup-manifest', what: 'The manifest', signer } as const;
const bytes = seal({ rows: 3, name: 'Größe' }, 'backup-manifest', signer);

describe('a sealed document', () => {
  it('is read back as it was', () => {
    expect(openSealed(bytes, schema, wanted)).toEqual({ name: 'Größe', rows: 3 });
  });

  it('has the same bytes whatever the order of its entries', () => {
    expect(seal({ name: 'Größe', rows: 3 }, 'backup-manifest', signer)).toEqual(bytes);
  });

  it('is refused after any change of a single byte', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const altered = Buffer.from(bytes);
        altered[at] = (altered[at] ?? 0) ^ change;
        expect(() => openSealed(altered, schema, wanted)).toThrow(expect.objectContaining({ code: 'damaged' }));
      }),
    );
  });

  it('is refused when it is cut anywhere', () => {
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => openSealed(bytes.subarray(0, length), schema, wanted)).toThrow(/is not a signed document/);
    }
  });

  it('is refused when another key of the same name signed it, and when the ring has no such key', () => {
    const other = seal({ rows: 3, name: 'Größe' }, 'backup-manifest', hmacSigner('k1', Buffer.alloc(32, 8)));
    expect(() => openSealed(other, schema, wanted)).toThrow(/altered, or was not signed with the key "k1"/);
    const unknown = seal({ rows: 3, name: 'Größe' }, 'backup-manifest', hmacSigner('k2', key));
    expect(() => openSealed(unknown, schema, wanted)).toThrow(/"k2"/);
  });

  it('is refused where another kind of document is expected, though the key is right', () => {
    const result = seal({ rows: 3, name: 'Größe' }, 'backup-result', signer);
    expect(() => openSealed(result, schema, wanted)).toThrow(/is something else \("backup-result"\)/);
    const relabelled = Buffer.from(result.toString().replace('backup-result', 'backup-manifest'));
    expect(() => openSealed(relabelled, schema, wanted)).toThrow(/was altered/);
  });

  it('is refused, with the entry, when its shape is another one', () => {
    const other = seal({ rows: '3', name: 'x' }, 'backup-manifest', signer);
    expect(() => openSealed(other, schema, wanted)).toThrow(/of another version: rows/);
  });
});

describe('canonical JSON', () => {
  it('reads as what it was made from', () => {
    const json = fc
      .jsonValue({ noUnicodeString: false })
      .filter((value) => !/\d\.|e[-+]?\d|-0/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(json, (value) => {
        const integersOnly = JSON.parse(JSON.stringify(value), (_, one: unknown) =>
          typeof one === 'number' && !Number.isSafeInteger(one) ? 0 : one,
        ) as unknown;
        expect(JSON.parse(canonicalJson(integersOnly))).toEqual(integersOnly);
      }),
    );
  });

  it.each([[undefined], [Number.NaN], [0.5], [2 ** 53], [() => 0], [1n]])('refuses %s', (value) => {
    expect(() => canonicalJson({ value })).toThrow(TypeError);
  });
});
