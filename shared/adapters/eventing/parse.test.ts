import { describe, expect, expectTypeOf, it } from 'vitest';
import { catalogue } from '#events/catalogue.ts';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { operationAdvance } from '#events/operation/advance.ts';
import { Failure } from '#shared/domain/failure.ts';
import { parseEvent } from './parse.ts';
import { type ReceivedEvent, receive } from './receive.ts';

const definitions = [provisionRequested, operationAdvance] as const;

function received(type: string, data: unknown, more: Record<string, string> = {}): ReceivedEvent {
  const headers: Record<string, string> = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': type };
  for (const [name, value] of Object.entries(more)) headers[`ce-${name}`] = value;
  return receive(headers, Buffer.from(JSON.stringify(data)));
}

const messageOf = (event: ReceivedEvent) => {
  try {
    parseEvent(event, definitions);
  } catch (caught) {
    if (caught instanceof Failure && caught.code === 'invalid-event') return caught.message;
  }
  return 'accepted';
};

describe('parseEvent', () => {
  it('gives an event whose type tells its data’s type', () => {
    const event = parseEvent(received(provisionRequested.type, provisionRequested.example), definitions);
    expectTypeOf(event.type).toEqualTypeOf<
      'dev.odoofleet.instance.provision.requested' | 'dev.odoofleet.operation.advance'
    >();
    if (event.type === 'dev.odoofleet.operation.advance') throw new Error('not that one');
    expectTypeOf(event.data.owner).toEqualTypeOf<{ email: string }>();
    expect(event.data.owner.email).toBe('owner@acme.example');
    expect(event).toMatchObject({ id: '1', source: '/s', extensions: {}, dataHash: expect.any(Buffer) });
  });

  const { instance, ...withoutInstance } = provisionRequested.example;
  const advance = operationAdvance.example;
  it.each<[string, ReceivedEvent, string]>([
    [
      'names the wrong field',
      received(provisionRequested.type, { ...withoutInstance, plan: 1 }),
      'data.plan must be text',
    ],
    [
      'knows no other types',
      received('dev.odoofleet.nonsense', {}),
      '"dev.odoofleet.nonsense" is not in the catalogue',
    ],
    [
      'says which version is understood',
      received(`${provisionRequested.type}.v2`, {}),
      'Version 2 of dev.odoofleet.instance.provision.requested is not understood here',
    ],
    ['refuses events of other functions', received('dev.knative.sources.ping', {}), 'not for this function'],
    ['takes an absent optional subject', received(provisionRequested.type, provisionRequested.example), 'accepted'],
    [
      'takes the subject that follows from the data',
      received(provisionRequested.type, provisionRequested.example, { subject: instance ?? '' }),
      'accepted',
    ],
    [
      'refuses a subject that contradicts the data',
      received(provisionRequested.type, provisionRequested.example, { subject: 'other' }),
      'Attribute subject must be: absent, or',
    ],
    [
      'refuses a subject when there can be none',
      received(provisionRequested.type, withoutInstance, { subject: 'other' }),
      'Attribute subject',
    ],
    [
      'demands a required subject',
      received(operationAdvance.type, advance),
      'Attribute subject must be: the instance id',
    ],
    ['takes missing extensions', received(operationAdvance.type, advance, { subject: advance.instance }), 'accepted'],
    [
      'takes right extensions',
      received(operationAdvance.type, advance, { subject: advance.instance, opkind: 'provision' }),
      'accepted',
    ],
    [
      'refuses contradicting ones',
      received(operationAdvance.type, advance, { subject: advance.instance, opkind: 'terminate' }),
      'Attribute opkind says something else',
    ],
  ])('%s', (_, event, message) => {
    expect(messageOf(event)).toContain(message);
  });

  it('does not care about the subject of sources that are not ours', () => {
    const event = received('dev.knative.sources.ping', null, { subject: 'whatever' });
    expect(parseEvent(event, catalogue).subject).toBe('whatever');
  });
});
