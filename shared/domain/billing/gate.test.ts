import { expect, test } from 'vitest';
import { refuseByBilling } from './gate.ts';

test.each(['none', 'trial', 'active', 'unpaid', 'grace'] as const)('%s lets an instance start', (state) => {
  expect(refuseByBilling(state)).toBeUndefined();
});

// B8: a suspended customer could start his instance himself, and billing was never asked.
test.each([
  ['overdue', /overdue invoice\. Pay/],
  ['cancelled', /cancelled\. Take out a new one/],
  ['expired', /expired\. Renew/],
  ['deactivated', /deactivated\. Reactivate/],
  ['deleted', /deleted\. Reactivate/],
] as const)('%s refuses, says why and what to do', (state, text) => {
  expect(refuseByBilling(state)).toMatchObject({ code: 'not-allowed', message: expect.stringMatching(text) });
});
