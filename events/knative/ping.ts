import * as v from 'valibot';
import { defineEvent, type InferData } from '#events/envelope.ts';
import { foreignSubject } from '#events/subjects.ts';

/** The tick. Its id is random, some ticks come twice and some never: whoever gets it must be repeatable. */
export const ping = defineEvent({
  type: 'dev.knative.sources.ping',
  summary: "The tick of a Knative PingSource. Its data is whatever the source's manifest says, or nothing.",
  direction: 'in',
  schema: v.nullish(v.looseObject({})),
  subject: foreignSubject('not used'),
  example: {},
});
export type Ping = InferData<typeof ping>;
