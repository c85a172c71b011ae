import { expect, it } from 'vitest';
import { classify } from './classify.ts';

const origin = 'http://provision.odoo-fleet.svc.cluster.local';

it.each([-1, 301, 302, 404, 408, 409, 425, 429, 500, 502, 503, 504, 599])('%i may go away by itself', (errorCode) => {
  expect(classify({ origin, errorCode })).toBe('transient');
});

it.each([400, 401, 403, 405, 410, 413, 415, 422])('%i is about the event', (errorCode) => {
  expect(classify({ origin, errorCode })).toBe('permanent');
});

it.each([0, 1, 200, 204, 600, -2])('%i says nothing', (errorCode) => {
  expect(classify({ origin, errorCode })).toBe('unknown');
});

it('a destination without a code gave no answer, and without both nothing is known', () => {
  expect(classify({ origin, errorCode: null })).toBe('transient');
  expect(classify({ origin: null, errorCode: null })).toBe('unknown');
});
