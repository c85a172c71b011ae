import { eventByType } from '#events/catalogue.ts';
import { checkData } from '#events/check.ts';
import type { AnyEventDefinition, InferData } from '#events/envelope.ts';
import { Failure } from '#shared/domain/failure.ts';
import { refusedAttribute, shown } from './attributes.ts';
import type { ReceivedEvent } from './receive.ts';

/** What every event brings besides its type and data. */
type Envelope = Omit<ReceivedEvent['event'], 'type' | 'data'> & {
  /** sha256 of the canonical JSON of the data as it was sent. */
  readonly dataHash: Buffer;
};

/** An event whose data is what its definition says; a union over `type` when there are several definitions. */
export type TypedEvent<Definition extends AnyEventDefinition> = Definition extends AnyEventDefinition
  ? Envelope & { type: Definition['type']; data: InferData<Definition> }
  : never;

/**
 * Checks the event against the definition of its type: data, subject and the extensions that follow from the data.
 * After this line everything is typed and nothing is checked again.
 * @throws Failure `invalid-event` that names the type, field or attribute.
 */
export function parseEvent<const Definitions extends readonly AnyEventDefinition[]>(
  received: ReceivedEvent,
  definitions: Definitions,
): TypedEvent<Definitions[number]> {
  const { event } = received;
  const definition = definitions.find((one) => one.type === event.type);
  if (definition === undefined) throw unknownType(event.type);
  const checked = checkData(definition, event.data);
  if (!checked.accepted) throw refusedData(event.type, checked.reason);
  checkSubject(definition, event.subject, checked.data);
  checkExtensions(definition, event.extensions, checked.data);
  const { data } = checked;
  const typed = {
    ...event,
    data,
    get dataHash() {
      return received.dataHash;
    },
  };
  return typed as TypedEvent<Definitions[number]>;
}

function unknownType(type: string): Failure {
  const facts = { attribute: 'type' };
  if (eventByType(type) !== undefined) {
    return new Failure('invalid-event', `Events of type ${type} are not for this function. Mend the Trigger.`, {
      facts,
    });
  }
  const version = /^(?<base>.+)\.v(?<number>\d+)$/.exec(type)?.groups;
  const base = version?.['base'];
  if (base !== undefined && eventByType(base) !== undefined) {
    const text = `Version ${version?.['number']} of ${base} is not understood here. Send ${base}, or roll this function out first.`;
    return new Failure('invalid-event', text, { facts });
  }
  return new Failure('invalid-event', `The event type ${shown(type)} is not in the catalogue.`, { facts });
}

function refusedData(type: string, reason: string): Failure {
  return new Failure('invalid-event', `The data of ${type} is wrong: ${reason}.`, { facts: { attribute: 'data' } });
}

function checkSubject(definition: AnyEventDefinition, subject: string | undefined, data: unknown): void {
  const { strictness, text } = definition.subject;
  if (strictness === 'free' || (strictness === 'optional' && subject === undefined)) return;
  if (subject !== definition.subject.of(data as never)) throw refusedAttribute('subject', `must be: ${text}`);
}

/** An extension may be missing (only brokers need it), but it must not contradict the data. */
function checkExtensions(definition: AnyEventDefinition, extensions: Record<string, string>, data: unknown): void {
  for (const [name, rule] of Object.entries(definition.extensions)) {
    const given = extensions[name];
    if (given !== undefined && given !== rule(data as never)) {
      throw refusedAttribute(name, 'says something else than the data');
    }
  }
}
