import type * as v from 'valibot';

/**
 * The extension attributes of our events. All are ASCII text; none is a secret.
 * Names follow CloudEvents 1.0: lower-case letters and digits, at most 20 characters.
 */
export const extensionAttributes = {
  partitionkey: 'Instance id. Brokers that order (Kafka) keep the events of one instance in order by it.',
  tenantid: 'Customer id.',
  operationid: 'Operation the event belongs to.',
  opkind:
    "Kind of operation. Only commands to an operation's function carry it (operation.advance, .retry, .cancel): Triggers filter on it.",
  causationid: 'Id of the event that led to this one.',
  traceparent: 'W3C trace context of the sender.',
  tracestate: 'What tracing systems tell each other beside it, as it came.',
  signature: 'Detached JWS over id, source, type and the hash of data, by a key of the source.',
} as const;
export type ExtensionName = keyof typeof extensionAttributes;

/** Where an event travels: `in` to us, `out` from us, `both` from one of our functions to another. */
export type EventDirection = 'in' | 'out' | 'both';

/** What the `subject` attribute of an event says. */
export type SubjectRule<Data> = {
  /** The rule in words, for the catalogue page. */
  text: string;
  /**
   * `required`: exactly what `of` gives. `optional`: that, or absent.
   * `free`: chosen by a source that is not ours, never compared.
   */
  strictness: 'required' | 'optional' | 'free';
  /** The subject of an event with this data; undefined when it has none. */
  of(data: Data): string | undefined;
};

/** One type of event: its name, what its data must look like, and an example that says so. */
export type EventDefinition<Type extends string, Schema extends v.GenericSchema> = {
  /** Reverse-DNS name. A breaking change of the data is a new definition whose type ends in `.v2`. */
  readonly type: Type;
  readonly summary: string;
  readonly direction: EventDirection;
  readonly schema: Schema;
  readonly subject: SubjectRule<v.InferOutput<Schema>>;
  /** Extensions that every event of this type carries, and what they say. One that is present must agree. */
  readonly extensions: ExtensionRules<v.InferOutput<Schema>>;
  readonly example: v.InferInput<Schema>;
};

/** Per extension: what it says for given data; undefined when it is left out. */
export type ExtensionRules<Data> = { [Name in ExtensionName]?: (data: Data) => string | undefined };

/** Any definition, where the data's type does not matter. */
export type AnyEventDefinition = {
  readonly type: string;
  readonly summary: string;
  readonly direction: EventDirection;
  readonly schema: v.GenericSchema;
  readonly subject: {
    text: string;
    strictness: SubjectRule<unknown>['strictness'];
    of(data: never): string | undefined;
  };
  readonly extensions: { [Name in ExtensionName]?: (data: never) => string | undefined };
  readonly example: unknown;
};

/** The parsed data of a definition: `InferData<typeof provisionRequested>`. */
export type InferData<Definition extends { schema: v.GenericSchema }> = v.InferOutput<Definition['schema']>;

/** Defines an event; `extensions` is empty unless given. */
export function defineEvent<const Type extends string, Schema extends v.GenericSchema>(
  definition: Omit<EventDefinition<Type, Schema>, 'extensions'> & {
    extensions?: ExtensionRules<v.InferOutput<Schema>>;
  },
): EventDefinition<Type, Schema> {
  return { ...definition, extensions: definition.extensions ?? {} };
}

/** Attributes that follow from the data alone: the subject and the extensions the definition asks for. */
export function attributesOf<Type extends string, Schema extends v.GenericSchema>(
  definition: EventDefinition<Type, Schema>,
  data: v.InferOutput<Schema>,
): { subject?: string; extensions: Record<string, string> } {
  const extensions: Record<string, string> = {};
  for (const [name, rule] of Object.entries(definition.extensions)) {
    const value = rule(data);
    if (value !== undefined) extensions[name] = value;
  }
  const subject = definition.subject.of(data);
  return subject === undefined ? { extensions } : { subject, extensions };
}
