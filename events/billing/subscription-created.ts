import * as v from 'valibot';
import { defineEvent } from '#events/envelope.ts';
import { subscriptionSubject } from '#events/subjects.ts';
import { exampleSubscription, subscriptionEntries } from './subscription.ts';

/** Asks for an instance when it is in its trial or paid, and its configuration is known. */
export const subscriptionCreated = defineEvent({
  type: 'dev.odoofleet.billing.subscription.created',
  summary: 'A customer took out a subscription.',
  direction: 'in',
  schema: v.strictObject({ ...subscriptionEntries }),
  subject: subscriptionSubject,
  example: {
    ...exampleSubscription,
    sequence: 1,
    phase: 'trial',
    paid: false,
    configuration: { name: 'acme', owner: { email: 'owner@acme.example' }, language: 'de_DE' },
  },
});
