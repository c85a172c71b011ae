import { describe, expect, test } from 'vitest';
import { catalogue } from '#events/catalogue.ts';
import { backupFailed } from '#events/instance/backup.ts';
import { statusChanged } from '#events/instance/status-changed.ts';
import { webhookEndpointDisabled } from '#events/webhook/endpoint-disabled.ts';
import { customerView, visibleEvents, visibleTypes } from './visible-events.ts';

describe('what customers may see', () => {
  test('comes from us only, and is about a customer', () => {
    for (const { type, direction, extensions } of visibleEvents) {
      expect(direction, type).toBe('out');
      expect(extensions, type).toHaveProperty('tenantid');
    }
  });

  test('is listed once, and leaves out commands, repairs, notices and what billing says', () => {
    expect(new Set(visibleTypes).size).toBe(visibleTypes.length);
    for (const type of visibleTypes) {
      expect(type).not.toMatch(
        /\.(requested|accepted|advance|retry|cancel)$|\.repair\.|\.billing\.|\.notification\.|knative/,
      );
    }
  });

  test('has the end of everything that a customer may ask for', () => {
    const ends = catalogue
      .map(({ type }) => type)
      .filter((type) => /\.(succeeded|failed)$/.test(type) && !/\.(repair|purge|billing)\./.test(type));
    expect(visibleTypes).toEqual(expect.arrayContaining(ends.filter((type) => !type.includes('payment'))));
  });
});

describe("a customer's view of an event", () => {
  test('has no reason of a move: those are written for operators', () => {
    expect(customerView(statusChanged.type, statusChanged.example)).toEqual({
      instance: 'k3n5q2x7a4bc',
      customer: 'c-1042',
      from: 'starting',
      to: 'running',
    });
  });

  test('keeps the text of a refusal', () => {
    const refused = { ...backupFailed.example, code: 'terminated', text: 'The instance is terminated.' };
    expect(customerView(backupFailed.type, refused)).toEqual(refused);
  });

  test('does not repeat what a failure of ours says', () => {
    const failed = { ...backupFailed.example, code: 'unavailable', text: 'Server db-7.internal refused fleet_admin.' };
    const shown = customerView(backupFailed.type, failed);
    expect(JSON.stringify(shown)).not.toContain('db-7');
    expect(shown).toMatchObject({ instance: 'k3n5q2x7a4bc', code: 'failed' });
  });

  test('says why an endpoint was disabled', () => {
    expect(customerView(webhookEndpointDisabled.type, webhookEndpointDisabled.example)).toMatchObject({
      reason: 'failing',
    });
  });
});
