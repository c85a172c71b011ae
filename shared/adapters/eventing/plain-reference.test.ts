import { CloudEvent } from 'cloudevents';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isPlainReference } from './plain-reference.ts';

it.each([
  'urn:billing',
  'urn:odoo-fleet',
  '/apis/v1/namespaces/odoo-fleet/pingsources/tick',
  'mailto:a@b.example',
  '/',
])('knows %s at first sight', (source) => {
  expect(isPlainReference(source)).toBe(true);
});

it.each(['', 'a b', '//host', 'http://host:port/', 'urn:ü', '/%zz', '/a?b', '/a#b', '1:2', '/a\n', '[x]'])(
  'leaves %j to whoever knows all of the rules',
  (source) => {
    expect(isPlainReference(source)).toBe(false);
  },
);

it('takes nothing that the SDK refuses as a source', () => {
  const letters = fc.constantFrom(...'aZ09.-_~!$&\'()*+,;=:@/%?#[]" \n');
  const near = fc.string({ unit: letters, maxLength: 12 });
  const text = fc.oneof(
    near,
    near.map((rest) => `urn:${rest}`),
    near.map((rest) => `/${rest}`),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (source) => {
      if (isPlainReference(source)) new CloudEvent({ id: '1', type: 'a', source });
    }),
    { numRuns: 2_000 },
  );
});
