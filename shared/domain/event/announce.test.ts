import { describe, expect, test } from 'vitest';
import { provisionFailed } from '#events/instance/provision-failed.ts';
import { provisioned } from '#events/instance/provisioned.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { announce } from './announce.ts';

describe('an announced event', () => {
  test('gets subject and extensions from its data', () => {
    expect(announce(provisioned, provisioned.example, { id: 'id-1', source: 'urn:x', causationId: 'event-1' })).toEqual(
      {
        id: 'id-1',
        type: 'dev.odoofleet.instance.provisioned',
        source: 'urn:x',
        subject: provisioned.example.instance,
        data: provisioned.example,
        extensions: {
          partitionkey: provisioned.example.instance,
          tenantid: provisioned.example.customer,
          operationid: provisioned.example.operation,
          causationid: 'event-1',
        },
      },
    );
  });

  test('leaves out what its data does not say', () => {
    const event = announce(provisionFailed, provisionFailed.example, { id: 'id-1', source: 'urn:x' });
    expect(event).not.toHaveProperty('subject');
    expect(event.extensions).toEqual({ tenantid: provisionFailed.example.customer });
  });

  test('carries the kind of operation when a Trigger must find its function by it', () => {
    const { extensions } = announce(operationAdvance, operationAdvance.example, { id: 'id-1', source: 'urn:x' });
    expect(extensions).toMatchObject({ opkind: 'provision' });
  });
});
