import * as v from 'valibot';
import { defineEvent, type EventDirection } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';
import { chosenInstanceSubject, instanceSubject } from '#events/subjects.ts';

/** What every request for an operation on an instance says. */
export const requestEntries = {
  instance: fields.instanceId,
  /** Two requests of a kind with the same key are one; the event's id stands in for a missing one. */
  idempotencykey: v.optional(fields.idempotencyKey),
  /** Why, for people who read the record. */
  reason: v.optional(fields.text(200)),
};

/** Why a provider keeps an instance from running. A customer's own wish is `stop`. */
export const suspensionCause = v.picklist(['billing', 'abuse']);

type AskedForInstance = { instance: string };

/** The four events of one kind of operation on an instance that is there already: asked for, accepted, done, failed. */
export function operationEvents<
  const Kind extends string,
  Schema extends v.GenericSchema<AskedForInstance, AskedForInstance>,
>(
  kind: Kind,
  options: {
    request: {
      /** What is wanted, as the end of "Somebody wants …". */
      wants: string;
      /** `both` when functions of ours ask for it too. */
      direction: Exclude<EventDirection, 'out'>;
      schema: Schema;
      example: v.InferInput<Schema>;
    };
    /** Where an instance answers after the operation; left out when it does not. */
    exampleUrl?: string;
    exampleRefusal: { code: string; text: string };
  },
) {
  const { wants, direction, schema, example } = options.request;
  return {
    requested: defineEvent({
      type: `dev.odoofleet.instance.${kind}.requested` as const,
      summary: `Somebody wants ${wants}.`,
      direction,
      schema,
      subject: chosenInstanceSubject,
      example,
    }),
    accepted: acceptedEvent(kind),
    succeeded: succeededEvent(kind, options.exampleUrl ?? null),
    failed: failedEvent(kind, options.exampleRefusal),
  };
}

const instance = 'k3n5q2x7a4bc';
const customer = 'c-1042';
const operation = '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f';

const extensions = {
  partitionkey: (data: { instance: string }) => data.instance,
  tenantid: (data: { customer: string | null }) => data.customer ?? undefined,
  operationid: (data: { operation: string | null }) => data.operation ?? undefined,
};

function acceptedEvent<const Kind extends string>(kind: Kind) {
  return defineEvent({
    type: `dev.odoofleet.instance.${kind}.accepted` as const,
    summary: `A requested ${kind} was accepted; its operation is recorded and will be finished.`,
    direction: 'out',
    schema: acceptedSchema,
    subject: instanceSubject,
    extensions,
    example: { instance, operation, customer, kind },
  });
}

function succeededEvent<const Kind extends string>(kind: Kind, url: string | null) {
  return defineEvent({
    type: `dev.odoofleet.instance.${kind}.succeeded` as const,
    summary: `An operation of kind ${kind} ended well.`,
    direction: 'out',
    schema: succeededSchema,
    subject: instanceSubject,
    extensions,
    example: { instance, operation, customer, kind, seconds: 3.1, url, result: 'done' },
  });
}

/** As the other kinds' event of success, with what this kind has to say besides. */
export function succeededEventWith<const Kind extends string, const Entries extends v.ObjectEntries>(
  kind: Kind,
  more: { summary: string; entries: Entries; example: v.InferInput<v.StrictObjectSchema<Entries, undefined>> },
) {
  const entries = { ...succeededEntries, ...more.entries };
  return {
    type: `dev.odoofleet.instance.${kind}.succeeded` as const,
    summary: more.summary,
    direction: 'out' as const,
    schema: v.strictObject(entries),
    subject: instanceSubject,
    extensions,
    example: { instance, operation, customer, kind, seconds: 3.1, url: null, result: 'done', ...more.example },
  };
}

function failedEvent<const Kind extends string>(kind: Kind, refusal: { code: string; text: string }) {
  return defineEvent({
    type: `dev.odoofleet.instance.${kind}.failed` as const,
    summary: `A requested ${kind} was refused, or its operation failed.`,
    direction: 'out',
    schema: failedSchema,
    subject: instanceSubject,
    extensions,
    example: { instance, operation: null, customer, kind, ...refusal },
  });
}

/**
 * The event that tells of the end of an operation that a later one has overtaken; for whoever does not know its kind
 * beforehand. Provisioning has one of its own.
 */
export function failedEventOf(kind: string): ReturnType<typeof failedEvent> | undefined {
  if (kind === 'provision') return undefined;
  return failedEvent(kind, { code: 'superseded', text: 'A later operation has taken its place.' });
}

const acceptedSchema = v.strictObject({
  instance: fields.instanceId,
  operation: fields.operationId,
  customer: fields.customerId,
  kind: fields.word,
});

const succeededEntries = {
  instance: fields.instanceId,
  operation: fields.operationId,
  customer: fields.customerId,
  kind: fields.word,
  /** From acceptance to the end. */
  seconds: v.pipe(fields.finiteNumber, v.minValue(0, 'must not be negative')),
  /** Where the instance answers; null when it has no address. */
  url: v.nullable(fields.url),
  /** Such as `done`, `nothing-to-do`, `superseded`. */
  result: fields.word,
};
const succeededSchema = v.strictObject(succeededEntries);

const failedSchema = v.strictObject({
  /** As the request named it; there may be no such instance. */
  instance: fields.instanceId,
  /** Null for a refusal: no operation was recorded. */
  operation: v.nullable(fields.operationId),
  /** Null when there is no such instance, or it is not the requester's to know of. */
  customer: v.nullable(fields.customerId),
  kind: fields.word,
  code: fields.word,
  text: fields.text(1000),
});

export type OperationAcceptedData = v.InferOutput<typeof acceptedSchema>;
export type OperationSucceededData = v.InferOutput<typeof succeededSchema>;
export type OperationFailedData = v.InferOutput<typeof failedSchema>;
