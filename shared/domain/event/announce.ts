import type * as v from 'valibot';
import { attributesOf, type EventDefinition } from '#events/envelope.ts';
import type { OutgoingEvent } from './outgoing.ts';

/** An event of the catalogue on its way out; subject and extensions follow from its data. */
export function announce<Type extends string, Schema extends v.GenericSchema>(
  definition: EventDefinition<Type, Schema>,
  data: v.InferOutput<Schema>,
  envelope: { id: string; source: string; causationId?: string },
): OutgoingEvent {
  const { subject, extensions } = attributesOf(definition, data);
  const cause = envelope.causationId === undefined ? {} : { causationid: envelope.causationId };
  return {
    id: envelope.id,
    type: definition.type,
    source: envelope.source,
    ...(subject === undefined ? {} : { subject }),
    data,
    extensions: { ...extensions, ...cause },
  };
}
