import * as v from 'valibot';
import type { ExtensionRules } from '#events/envelope.ts';
import * as fields from '#events/fields.ts';

/** What every command to an operation's function says. The row decides; this is a hint to look at it. */
export const operationCommand = v.strictObject({
  operation: fields.operationId,
  instance: fields.instanceId,
  kind: fields.word,
  /** Why now, for people who read logs. */
  reason: fields.text(200),
});
export type OperationCommand = v.InferOutput<typeof operationCommand>;

/** `opkind` is what Triggers filter on: without it no operation's function gets the command. */
export const operationExtensions: ExtensionRules<OperationCommand> = {
  partitionkey: (data) => data.instance,
  operationid: (data) => data.operation,
  opkind: (data) => data.kind,
};

export const exampleCommand = {
  operation: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f',
  instance: 'k3n5q2x7a4bc',
  kind: 'provision',
};
