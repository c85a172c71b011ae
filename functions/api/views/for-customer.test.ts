import { describe, expect, it } from 'vitest';
import { forCustomer } from './for-customer.ts';

const at = new Date();

describe('what a customer reads', () => {
  it('has no text that was written for operators, at any depth', () => {
    const item = {
      id: 'a',
      at,
      statusReason: 'pg-1.internal does not answer',
      waitingFor: 'the Job x of odoo-tenants',
      error: { code: 'unavailable', text: 'pg-1.internal' },
      proof: { state: 'refuted', at, text: 'table x on pg-1.internal' },
      detail: { server: 'pg-1.internal' },
      steps: [{ step: 'x', error: { code: 'job-failed', text: 'pg-1.internal' } }],
    };
    const shown = forCustomer({ items: [item], next: null });
    expect(JSON.stringify(shown)).not.toContain('pg-1');
    expect(shown).toMatchObject({
      items: [{ id: 'a', at, error: { code: 'failed' }, steps: [{ error: { code: 'failed' } }] }],
    });
  });

  it('has what was written for him, and his own words', () => {
    const body = {
      error: { code: 'quota-exceeded', text: 'You have 5 instances.' },
      settings: { error: 'x', proof: true },
      detail: 'This instance is suspended.',
      proof: null,
      waiting: [],
    };
    expect(forCustomer(body)).toEqual(body);
  });
});
